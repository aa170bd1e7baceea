using System.Collections.Frozen;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>The OpenAPI document of all that is mapped, made from the routes themselves and the words that stand with them.</summary>
internal static partial class OpenApiEndpoints
{
    public const string Path = "/openapi.json";

    /// <summary>What the "id" of a path is, by what stands before it.</summary>
    private static readonly FrozenDictionary<string, string> Ids = new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["models"] = "The model's name, which may have slashes",
        ["responses"] = "The response's id",
        ["files"] = "The file's id",
        ["batches"] = "The batch's id",
        ["tasks"] = "The task's id",
        ["tenants"] = "The tenant's id or name",
        ["projects"] = "The project's id",
        ["keys"] = "The key's id",
        ["accounts"] = "The account's id, as that of a key",
        ["upstreams"] = "The upstream's name",
        ["transcripts"] = "The request's id",
        ["usage"] = "The request's id",
        ["invoices"] = "The invoice's number",
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <param name="routes">All that will have been mapped when the document is first asked for.</param>
    public static void Map(WebApplication app, IReadOnlyList<MappedRoute> routes)
    {
        Lazy<byte[]> document = new(() => JsonSerializer.SerializeToUtf8Bytes(DocumentOf(routes), GatewayJson.Default.JsonObject));
        app.MapMethods(Path, ["GET"], async context =>
        {
            context.Response.ContentType = "application/json; charset=utf-8";
            context.Response.ContentLength = document.Value.Length;
            await context.Response.Body.WriteAsync(document.Value, context.RequestAborted);
        });
    }

    public static JsonObject DocumentOf(IReadOnlyList<MappedRoute> routes)
    {
        JsonObject paths = [], schemas = [], headers = [];
        foreach (MappedRoute route in routes)
        {
            if (paths[route.Path] is not JsonObject path) paths[route.Path] = path = [];
            path[route.Method.ToLowerInvariant()] = OperationOf(route, schemas);
        }
        foreach (Field header in AnswerSchemas.HeadersOfCalls) headers[header.Name] = new JsonObject { ["schema"] = header.Schema.Use() };
        return new JsonObject
        {
            ["openapi"] = "3.1.0",
            ["info"] = new JsonObject
            {
                ["title"] = "Qanat",
                ["version"] = QanatVersion.Text,
                ["description"] = "Every answer to a call carries what it cost: in headers (x-qanat-charge, x-qanat-cost) and in usage.x_qanat, as exact decimal strings. A request that carries an Idempotency-Key is served and billed once, however often it is sent.",
                ["license"] = new JsonObject { ["name"] = "Apache-2.0", ["identifier"] = "Apache-2.0" },
            },
            ["security"] = new JsonArray(new JsonObject { ["bearer"] = new JsonArray() }, new JsonObject { ["x-api-key"] = new JsonArray() }, new JsonObject { ["api-key"] = new JsonArray() }),
            ["tags"] = new JsonArray([.. routes.Select(route => route.Words.Tag).Distinct().Select(tag => new JsonObject { ["name"] = tag })]),
            ["paths"] = paths,
            ["components"] = new JsonObject
            {
                ["schemas"] = schemas,
                ["headers"] = headers,
                ["securitySchemes"] = new JsonObject
                {
                    ["bearer"] = new JsonObject { ["type"] = "http", ["scheme"] = "bearer" },
                    ["x-api-key"] = new JsonObject { ["type"] = "apiKey", ["in"] = "header", ["name"] = "x-api-key" },
                    ["api-key"] = new JsonObject { ["type"] = "apiKey", ["in"] = "header", ["name"] = "api-key" },
                },
            },
        };
    }

    private static JsonObject OperationOf(MappedRoute route, JsonObject schemas)
    {
        RouteWords words = route.Words;
        JsonNode Use(Schema schema)
        {
            schema.AddTo(schemas);
            return schema.Use();
        }
        JsonObject Content(string type, Schema? schema) => new() { [type] = schema is null ? new JsonObject() : new JsonObject { ["schema"] = Use(schema) } };
        JsonObject operation = new()
        {
            ["operationId"] = NotWord().Replace($"{route.Method.ToLowerInvariant()} {route.Path}", "_").Trim('_'),
            ["tags"] = new JsonArray(words.Tag),
            ["summary"] = words.Summary,
            ["description"] = route.Needs is { } needs ? $"Needs the permission {needs}." : "Needs no key.",
        };
        if (route.Needs is null) operation["security"] = new JsonArray();
        JsonArray parameters =
        [
            .. Parameter().Matches(route.Path).Select(match => ParameterOf("path", Field.Needed(match.Groups["name"].Value, Schema.Text(IdOf(route.Path))), Use)),
            .. words.Query.Select(field => ParameterOf("query", field, Use)),
            .. words.Headers.Select(field => ParameterOf("header", field, Use)),
        ];
        if (parameters.Count > 0) operation["parameters"] = parameters;
        if (words.Body is { } body) operation["requestBody"] = new JsonObject { ["required"] = true, ["content"] = Content(words.BodyType, body) };
        JsonObject answer = new() { ["description"] = "The answer", ["content"] = Content(words.AnswerType, words.Answer) };
        if (words.Streams is { } stream) answer["content"]![stream] = new JsonObject();
        if (words.IsCharged) answer["headers"] = new JsonObject(AnswerSchemas.HeadersOfCalls.Select(header => KeyValuePair.Create<string, JsonNode?>(header.Name, new JsonObject { ["$ref"] = "#/components/headers/" + header.Name })));
        operation["responses"] = new JsonObject { ["200"] = answer, ["default"] = ErrorOf(Content("application/json", AnswerSchemas.ErrorOf(words.Tag))) };
        if (words.Unready is { } unready) operation["responses"]!["503"] = new JsonObject { ["description"] = "Not at the moment", ["content"] = Content(words.AnswerType, unready) };
        return operation;
    }

    private static JsonObject ErrorOf(JsonObject content) => new()
    {
        ["description"] = "An error, in the words of the API that was asked",
        ["headers"] = new JsonObject
        {
            ["x-request-id"] = new JsonObject { ["schema"] = Schema.Text("Under which the server's log has it").Use() },
            ["Retry-After"] = new JsonObject { ["schema"] = Schema.Text("On 429 and 5xx: after how many seconds to try again").Use() },
            ["retry-after-ms"] = new JsonObject { ["schema"] = Schema.Text("The same in milliseconds").Use() },
        },
        ["content"] = content,
    };

    private static JsonObject ParameterOf(string place, Field field, Func<Schema, JsonNode> use)
    {
        JsonNode schema = use(field.Schema);
        JsonObject parameter = new() { ["name"] = field.Name, ["in"] = place, ["required"] = field.IsRequired };
        if (schema["description"] is { } about) parameter["description"] = about.DeepClone();
        parameter["schema"] = schema;
        return parameter;
    }

    private static string IdOf(string path)
    {
        string before = path.Split('/').TakeWhile(part => !part.StartsWith('{')).Last();
        return Ids.TryGetValue(before, out string? about) ? about : throw new InvalidOperationException($"Nobody says what the id after '{before}' in {path} is: say it in {nameof(OpenApiEndpoints)}.{nameof(Ids)}.");
    }

    [GeneratedRegex(@"\{(?<name>\w+)\}", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Parameter();

    [GeneratedRegex(@"\W+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex NotWord();
}
