using System.Collections.Immutable;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Finds the caller of an HTTP request. Clients show their key in one of three headers; some in two at once.</summary>
internal sealed class Callers(KeyRing keys)
{
    private const string BearerScheme = "Bearer ";

    /// <summary>Lets a request in if its caller may do this, and remembers the caller for the endpoint.</summary>
    /// <exception cref="ApiException">401: no key, or one that is unknown or revoked. 403: its role does not have the permission.</exception>
    public void Admit(HttpContext context, Permission permission)
    {
        ArgumentNullException.ThrowIfNull(context);
        Caller caller = Require(context.Request);
        DemandScope(caller, context);
        caller.Demand(permission);
        context.Features.Set(caller.Told is null && ToldRates.In(context.Response, caller) is { } told ? caller with { Told = told } : caller);
    }

    /// <exception cref="ApiException">401: no key, or one that is unknown or revoked.</exception>
    public Caller Require(HttpRequest request)
    {
        if (request.HttpContext.Features.Get<Caller>() is { } known) return known;
        if (ShownBefore(request) is { } shown && keys.TryAuthenticate(shown.Hash.AsSpan(), out Caller same)) return same;
        string? key = KeyOf(request);
        if (string.IsNullOrEmpty(key))
            throw new ApiException(401, Refusal.InvalidRequest, "missing_api_key", "No API key was given: send it as 'Authorization: Bearer KEY', 'x-api-key: KEY' or 'api-key: KEY'.");
        if (!keys.TryAuthenticate(key, out Caller caller)) throw new ApiException(401, Refusal.InvalidRequest, "invalid_api_key", "Incorrect API key provided: it is unknown here, revoked or expired.");
        Remember(request, key);
        return caller;
    }

    /// <summary>The key that this connection showed last, if it shows the same header again. The server then gives the same string again: nothing is compared, and nothing of a key is kept longer than its connection.</summary>
    private static ShownKey? ShownBefore(HttpRequest request) =>
        ItemsOf(request) is { } items && items.TryGetValue(typeof(ShownKey), out object? known) && known is ShownKey shown && ReferenceEquals(shown.Header, (string?)request.Headers.Authorization) ? shown : null;

    /// <summary>Only a key that this header itself shows: beside one of another scheme, a key may be in a header that changes.</summary>
    private static void Remember(HttpRequest request, string key)
    {
        if (BearerOf(request) is { } header && ItemsOf(request) is { } items) items[typeof(ShownKey)] = new ShownKey(header, KeySecret.Hash(key));
    }

    private static string? BearerOf(HttpRequest request) =>
        (string?)request.Headers.Authorization is { } header && header.StartsWith(BearerScheme, StringComparison.OrdinalIgnoreCase) ? header : null;

    /// <summary>Of connections that carry one request at a time, which nobody else uses meanwhile; null: it is none.</summary>
    private static IDictionary<object, object?>? ItemsOf(HttpRequest request) =>
        HttpProtocol.IsHttp11(request.Protocol) ? request.HttpContext.Features.Get<IConnectionItemsFeature>()?.Items : null;

    /// <exception cref="ApiException">403: the key is bound to other networks or endpoints.</exception>
    private static void DemandScope(Caller caller, HttpContext context)
    {
        if (!caller.Terms.Networks.IsEmpty && !caller.Terms.AllowsAddress(context.Connection.RemoteIpAddress))
            throw new ApiException(403, "permission_error", "network_not_allowed", $"This key may not be used from {context.Connection.RemoteIpAddress}.");
        if (!caller.Terms.AllowsPath(context.Request.Path.Value ?? ""))
            throw new ApiException(403, "permission_error", "endpoint_not_allowed", $"This key may not call {context.Request.Path}. It may call: {string.Join(", ", caller.Terms.Endpoints)}.");
    }

    /// <summary>The key that is shown, whether it is known or not.</summary>
    public static string? KeyOf(HttpRequest request)
    {
        if (BearerOf(request) is { } authorization) return authorization[BearerScheme.Length..].Trim();
        string? key = request.Headers["x-api-key"];
        return string.IsNullOrEmpty(key) ? request.Headers["api-key"] : key;
    }

    private sealed record ShownKey(string Header, ImmutableArray<byte> Hash);
}
