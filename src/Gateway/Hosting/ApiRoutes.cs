using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Qanat.Gateway;

/// <summary>The routes of the APIs. Each names the permission it needs, and nobody without it gets as far as the endpoint; and each says in words what it does, from which the OpenAPI document is made. Below their roots every path belongs to them, whatever paths pages take: an unknown one is 404 and another method 405, both with an error body.</summary>
internal sealed class ApiRoutes(IEndpointRouteBuilder routes, Callers callers)
{
    private static readonly string[] Roots = ["/v1", "/api", "/compatible-mode", "/compatible-api", "/anthropic", "/apps"];
    private readonly Dictionary<string, List<string>> methods = new(StringComparer.Ordinal);
    private readonly List<MappedRoute> mapped = [];

    /// <summary>Everything mapped so far.</summary>
    public IReadOnlyList<MappedRoute> Mapped => mapped;

    /// <summary>Without regard to case, as routes match.</summary>
    public static bool IsApi(PathString path) => path == OperationsEndpoints.Metrics || Array.Exists(Roots, root => path.StartsWithSegments(root, StringComparison.OrdinalIgnoreCase));

    public void Get(string pattern, Permission needs, RequestDelegate serve, RouteWords words) => Map("GET", pattern, needs, serve, words);
    public void Post(string pattern, Permission needs, RequestDelegate serve, RouteWords words) => Map("POST", pattern, needs, serve, words);
    public void Put(string pattern, Permission needs, RequestDelegate serve, RouteWords words) => Map("PUT", pattern, needs, serve, words);
    public void Delete(string pattern, Permission needs, RequestDelegate serve, RouteWords words) => Map("DELETE", pattern, needs, serve, words);

    /// <summary>For anybody, with a key or without; also HEAD.</summary>
    public void Open(string pattern, RequestDelegate serve, RouteWords words)
    {
        routes.MapMethods(pattern, ["GET", "HEAD"], serve);
        mapped.Add(new MappedRoute("GET", pattern, null, words));
    }

    /// <summary>A route that others map, and let nobody in without the permission.</summary>
    public void Foreign(string method, string pattern, Permission needs, RouteWords words) => mapped.Add(new MappedRoute(method, pattern, needs, words));

    /// <summary>Call once, after all others: takes every other method and path.</summary>
    public void MapRest()
    {
        foreach ((string pattern, List<string> allowed) in methods)
        {
            string allow = string.Join(", ", allowed);
            routes.Map(pattern, context => RefuseMethod(context, allow));
        }
        foreach (string root in Roots)
            routes.Map(root + "/{**rest}", RefusePath);
    }

    private void Map(string method, string pattern, Permission needs, RequestDelegate serve, RouteWords words)
    {
        routes.MapMethods(pattern, [method], context =>
        {
            callers.Admit(context, needs);
            return serve(context);
        }).WithMetadata(new Needed(needs));
        mapped.Add(new MappedRoute(method, pattern.Replace("{**", "{", StringComparison.Ordinal), needs, words));
        if (!methods.TryGetValue(pattern, out List<string>? allowed)) methods[pattern] = allowed = [];
        allowed.Add(method);
    }

    private static Task RefuseMethod(HttpContext context, string allow)
    {
        context.Response.Headers.Allow = allow;
        throw new ApiException(405, Refusal.InvalidRequest, "method_not_allowed", $"{context.Request.Method} is not allowed here; allowed: {allow}.");
    }

    private static Task RefusePath(HttpContext context) =>
        throw new ApiException(404, Refusal.InvalidRequest, "unknown_url", OllamaEndpoints.ChangesModels(context.Request.Path)
            ? "Models are not pulled, pushed, created, copied or deleted through this API: whoever runs this cloud decides what it serves. GET /api/tags lists it."
            : $"Unknown request URL: {context.Request.Method} {context.Request.Path}.");
}

/// <summary>Which paths belong to the APIs, for hosts that treat pages otherwise.</summary>
public static class GatewayPaths
{
    public static bool IsApi(PathString path) => ApiRoutes.IsApi(path) || McpEndpoint.Is(path);
}

/// <param name="Path">With its parameters in braces.</param>
/// <param name="Needs">Null: anybody may have it.</param>
internal sealed record MappedRoute(string Method, string Path, Permission? Needs, RouteWords Words);
