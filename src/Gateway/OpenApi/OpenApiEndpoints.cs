using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>The OpenAPI document of all that is mapped, made once from the routes themselves.</summary>
internal static partial class OpenApiEndpoints
{
    public const string Path = "/openapi.json";

    public static void Map(WebApplication app, IReadOnlyList<MappedRoute> routes)
    {
        byte[] document = JsonSerializer.SerializeToUtf8Bytes(DocumentOf(routes), GatewayJson.Default.JsonObject);
        app.MapMethods(Path, ["GET"], async context =>
        {
            context.Response.ContentType = "application/json; charset=utf-8";
            context.Response.ContentLength = document.Length;
            await context.Response.Body.WriteAsync(document, context.RequestAborted);
        });
    }

    public static JsonObject DocumentOf(IReadOnlyList<MappedRoute> routes)
    {
        JsonObject paths = [];
        foreach (MappedRoute route in routes)
        {
            if (paths[route.Path] is not JsonObject path) paths[route.Path] = path = [];
            path[route.Method.ToLowerInvariant()] = OperationOf(route);
        }
        return new JsonObject
        {
            ["openapi"] = "3.1.0",
            ["info"] = new JsonObject
            {
                ["title"] = "Qanat",
                ["version"] = QanatVersion.Text,
                ["description"] = "Every answer carries what it cost: in headers (x-qanat-charge, x-qanat-cost) and in usage.x_qanat, as exact decimal strings.",
                ["license"] = new JsonObject { ["name"] = "Apache-2.0", ["identifier"] = "Apache-2.0" },
            },
            ["security"] = new JsonArray(new JsonObject { ["bearer"] = new JsonArray() }, new JsonObject { ["x-api-key"] = new JsonArray() }, new JsonObject { ["api-key"] = new JsonArray() }),
            ["paths"] = paths,
            ["components"] = new JsonObject
            {
                ["schemas"] = RequestSchemas.All(),
                ["securitySchemes"] = new JsonObject
                {
                    ["bearer"] = new JsonObject { ["type"] = "http", ["scheme"] = "bearer" },
                    ["x-api-key"] = new JsonObject { ["type"] = "apiKey", ["in"] = "header", ["name"] = "x-api-key" },
                    ["api-key"] = new JsonObject { ["type"] = "apiKey", ["in"] = "header", ["name"] = "api-key" },
                },
            },
        };
    }

    private static JsonObject OperationOf(MappedRoute route)
    {
        RouteWord? word = RouteWords.Of(route);
        JsonObject operation = new()
        {
            ["operationId"] = NotWord().Replace($"{route.Method.ToLowerInvariant()} {route.Path}", "_").Trim('_'),
            ["tags"] = new JsonArray(word?.Tag ?? "Administration"),
            ["summary"] = word?.Summary ?? $"{route.Method} {route.Path}",
            ["description"] = $"Needs the permission {route.Needs}.",
        };
        JsonArray parameters = [.. Parameter().Matches(route.Path).Select(match => new JsonObject
        {
            ["name"] = match.Groups["name"].Value,
            ["in"] = "path",
            ["required"] = true,
            ["schema"] = new JsonObject { ["type"] = "string" },
        })];
        if (parameters.Count > 0) operation["parameters"] = parameters;
        if (route.Method is "POST" or "PUT")
        {
            JsonObject schema = word?.Body is { } name ? new JsonObject { ["$ref"] = "#/components/schemas/" + name } : new JsonObject { ["type"] = "object" };
            operation["requestBody"] = new JsonObject { ["required"] = word?.Body is not null, ["content"] = new JsonObject { [word?.BodyType ?? "application/json"] = new JsonObject { ["schema"] = schema } } };
        }
        operation["responses"] = new JsonObject
        {
            ["200"] = new JsonObject { ["description"] = "The answer" },
            ["default"] = new JsonObject
            {
                ["description"] = "An error, in the words of the API that was asked; with Retry-After and retry-after-ms on 429 and 5xx",
                ["content"] = new JsonObject { ["application/json"] = new JsonObject { ["schema"] = new JsonObject { ["$ref"] = "#/components/schemas/Error" } } },
            },
        };
        return operation;
    }

    [GeneratedRegex(@"\{(?<name>\w+)\}", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Parameter();

    [GeneratedRegex(@"\W+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex NotWord();
}
