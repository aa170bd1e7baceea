using System.Text;
using System.Text.Json.Nodes;

namespace Qanat.Gateway.Tests;

/// <summary>An operation as the document describes it.</summary>
internal sealed record DescribedOperation(string Method, string Path, JsonObject Operation, JsonObject Components)
{
    public string Name => $"{Method} {Path}";
    public string Id => (string)Operation["operationId"]!;
    public string Summary => (string)Operation["summary"]!;
    public string Tag => (string)Operation["tags"]![0]!;
    public string Needs => ((string)Operation["description"]!).Replace("Needs the permission ", "", StringComparison.Ordinal);
    public bool IsAdmin => Path.StartsWith("/api/", StringComparison.Ordinal) && !Needs.StartsWith(nameof(Permission.Infer), StringComparison.Ordinal);
    public JsonArray Parameters => Operation["parameters"]?.AsArray() ?? [];

    /// <summary>The parameters of its query, each with its schema.</summary>
    public IEnumerable<KeyValuePair<string, JsonObject>> Query => Parameters.Where(each => (string)each!["in"]! == "query").Select(each => KeyValuePair.Create((string)each!["name"]!, each["schema"]!.AsObject()));

    public JsonObject? Body => Operation["requestBody"]?["content"]?["application/json"]?["schema"] is { } schema ? Resolve(schema) : null;
    public JsonObject? Answer => Operation["responses"]!["200"]!["content"]?["application/json"]?["schema"] is { } schema ? Resolve(schema) : null;
    public JsonObject Fields => Body?["properties"]?.AsObject() ?? [];
    public string[] Required => [.. (Body?["required"]?.AsArray() ?? []).Select(name => (string)name!)];

    /// <summary>The names of all fields of its body, however deep.</summary>
    public IEnumerable<string> DeepFields => Body is null ? [] : Deep(Body);

    public JsonObject Resolve(JsonNode schema) => schema["$ref"] is { } reference ? Components["schemas"]![((string)reference!).Split('/')[^1]]!.AsObject() : schema.AsObject();

    public static async Task<List<DescribedOperation>> AllAsync(TestGateway gateway)
    {
        JsonNode document = (await gateway.GetAsync("/openapi.json")).Body;
        return [.. from path in document["paths"]!.AsObject()
                   from operation in path.Value!.AsObject()
                   select new DescribedOperation(operation.Key.ToUpperInvariant(), path.Key, operation.Value!.AsObject(), document["components"]!.AsObject())];
    }

    /// <summary>Sends a request to it with the owner's key.</summary>
    public Task<Answer> SendAsync(TestGateway gateway, string id, string query = "", JsonObject? body = null) => TestGateway.SendAsync(gateway.Owner, new HttpRequestMessage(new HttpMethod(Method), Path.Replace("{id}", id, StringComparison.Ordinal) + query)
    {
        Content = body is null ? null : new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json"),
    });

    private IEnumerable<string> Deep(JsonNode schema)
    {
        JsonObject own = Resolve(schema);
        foreach (KeyValuePair<string, JsonNode?> field in own["properties"]?.AsObject() ?? [])
        {
            yield return field.Key;
            foreach (string name in Deep(field.Value!)) yield return name;
        }
        foreach (JsonNode inner in (JsonNode?[])[own["items"], own["additionalProperties"], .. own["anyOf"]?.AsArray() ?? []] is { } all ? all.OfType<JsonNode>() : [])
            foreach (string name in Deep(inner)) yield return name;
    }
}
