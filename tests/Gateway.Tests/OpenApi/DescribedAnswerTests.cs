using System.Text.Json;
using System.Text.Json.Nodes;

namespace Qanat.Gateway.Tests;

/// <summary>What the document says of answers is what is answered.</summary>
public sealed class DescribedAnswerTests
{
    [Fact]
    public async Task Real_answers_hold_what_is_said_of_them_and_nothing_else()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        const string ask = """{"model":"scripted-1","messages":[{"role":"user","content":"hi"}]}""";
        string file = await UploadAsync(gateway);
        (string Method, string Path, string? Body, string Described)[] requests =
        [
            ("GET", "/healthz", null, "/healthz"), ("GET", "/readyz", null, "/readyz"), ("GET", "/v1/models", null, "/v1/models"), ("GET", "/v1/models/scripted-1", null, "/v1/models/{id}"),
            ("POST", "/v1/chat/completions", ask, "/v1/chat/completions"), ("POST", "/v1/completions", """{"model":"scripted-1","prompt":"hi"}""", "/v1/completions"), ("POST", "/v1/messages/count_tokens", ask, "/v1/messages/count_tokens"),
            ("GET", "/v1/files", null, "/v1/files"), ("GET", "/v1/files/" + file, null, "/v1/files/{id}"), ("POST", "/v1/batches", $$"""{"input_file_id":"{{file}}","endpoint":"/v1/chat/completions"}""", "/v1/batches"), ("GET", "/v1/batches", null, "/v1/batches"),
            ("DELETE", "/v1/files/" + file, null, "/v1/files/{id}"), ("PUT", "/api/tenants/acme/responses", """{"days":3}""", "/api/tenants/{id}/responses"), ("POST", "/api/prices/check", """{"text":"x"}""", "/api/prices/check"),
            ("GET", "/api/keys", null, "/api/keys"), ("GET", "/api/contracts", null, "/api/contracts"), ("GET", "/api/version", null, "/api/version"), ("GET", "/api/usage", null, "/api/usage"), ("GET", "/v1/nothing", null, ""),
        ];
        List<DescribedOperation> operations = await DescribedOperation.AllAsync(gateway);
        foreach ((string method, string path, string? body, string described) in requests)
        {
            Answer answer = await gateway.AdminAsync(method, path, body);
            JsonObject schema = described.Length == 0 ? operations[0].Components["schemas"]!["Error"]!.AsObject() : operations.Single(each => each.Method == method && each.Path == described).Answer!;
            Assert.Empty(Faults(operations[0], schema, answer.Body, path).Select(fault => $"{method} {fault} ({answer.Text})"));
        }
    }

    [Fact]
    public async Task Every_header_of_cost_and_rates_is_described()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Assert.Equal(200, (await gateway.AdminAsync("PUT", "/api/tenants/acme/limits", """{"requests_per_minute":60,"tokens_per_minute":60000}""")).Status);
        Answer answer = await gateway.PostAsync("/v1/chat/completions", """{"model":"scripted-1","messages":[{"role":"user","content":"hi"}]}""");
        string[] sent = [.. answer.Headers.Select(header => header.Key).Where(name => name.StartsWith("x-", StringComparison.Ordinal))];
        Assert.True(sent.Length >= 14, string.Join(", ", sent));
        JsonObject described = (await DescribedOperation.AllAsync(gateway)).Single(each => each.Name == "POST /v1/chat/completions").Operation["responses"]!["200"]!["headers"]!.AsObject();
        Assert.All(sent, name => Assert.True(described.ContainsKey(name), $"{name} is not described: add it to AnswerSchemas.HeadersOfCalls."));
    }

    private static async Task<string> UploadAsync(TestGateway gateway)
    {
        using MultipartFormDataContent form = new() { { new StringContent("batch"), "purpose" }, { new StringContent("""{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":{"model":"scripted-1","messages":[{"role":"user","content":"hi"}]}}"""), "file", "rows.jsonl" } };
        return (string)(await TestGateway.SendAsync(gateway.Owner, new HttpRequestMessage(HttpMethod.Post, "/v1/files") { Content = form })).Body["id"]!;
    }

    /// <summary>Where a value is not what its schema says. An object without described fields may hold anything.</summary>
    private static IEnumerable<string> Faults(DescribedOperation document, JsonNode described, JsonNode? value, string place)
    {
        JsonObject schema = document.Resolve(described);
        if (schema["anyOf"] is JsonArray either)
        {
            if (either.All(each => Faults(document, each!, value, place).Any())) yield return $"{place} is none of {either.ToJsonString()}";
            yield break;
        }
        string[] types = schema["type"] switch { JsonArray several => [.. several.Select(each => (string)each!)], { } one => [(string)one!], null => [] };
        string kind = value?.GetValueKind() switch { null => "null", JsonValueKind.Object => "object", JsonValueKind.Array => "array", JsonValueKind.Number => "number", JsonValueKind.String => "string", _ => "boolean" };
        if (types.Length > 0 && !types.Contains(kind) && !(kind == "number" && types.Contains("integer"))) yield return $"{place} is {kind}, not {string.Join(" or ", types)}";
        if (schema["enum"] is JsonArray words && value is not null && !words.Any(word => JsonNode.DeepEquals(word, value))) yield return $"{place} is {value}";
        foreach (string fault in value is JsonArray list && schema["items"] is { } items ? list.SelectMany((item, index) => Faults(document, items, item, $"{place}[{index}]")) : []) yield return fault;
        if (value is not JsonObject fields || schema["properties"] is not JsonObject known) yield break;
        foreach (JsonNode? name in schema["required"]?.AsArray() ?? []) if (!fields.ContainsKey((string)name!)) yield return $"{place} lacks {name}";
        foreach ((string name, JsonNode? inner) in fields)
        {
            if (known[name] is { } field) foreach (string fault in Faults(document, field, inner, $"{place}.{name}")) yield return fault;
            else if (schema["required"] is not null) yield return $"{place} has {name}, of which nothing is said";
        }
    }
}
