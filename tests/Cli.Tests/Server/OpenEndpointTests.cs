using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Routing;
using Qanat.Books;
using Qanat.Gateway;

namespace Qanat.Cli.Tests;

/// <summary>Every endpoint of the whole server, pages and downloads with it, as the server itself lists them.</summary>
public sealed class OpenEndpointTests
{
    /// <summary>What anybody may have. Anything else that is added needs a rule.</summary>
    private static readonly string[] Open = ["/healthz", "/readyz", "/openapi.json", "/signin", "/signout", "/signin/openid", "/signin/openid/end", "/outlook/parts.css", "/{**path:file}"];
    private static readonly string[] OpenBelow = ["/docs", "/_framework", "/_content"];

    [Fact]
    public async Task Nobody_without_an_identity_gets_further_than_the_sign_in_page()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        RouteEndpoint[] endpoints = [.. server.Get<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>().Where(each => !IsOpen(each))];
        Assert.True(endpoints.Length > 100, $"Only {endpoints.Length} endpoints were found.");
        using HttpClient nobody = new(new SocketsHttpHandler { AllowAutoRedirect = false }) { BaseAddress = server.Address };
        foreach (RouteEndpoint endpoint in endpoints)
        {
            foreach (string method in endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? ["GET"])
            {
                using HttpRequestMessage request = new(new HttpMethod(method), PathOf(endpoint)) { Content = method is "POST" or "PUT" ? new StringContent("{}", System.Text.Encoding.UTF8, "application/json") : null };
                using HttpResponseMessage response = await nobody.SendAsync(request, TestContext.Current.CancellationToken);
                bool refused = (int)response.StatusCode is 400 or 401 or 404 or 405 || response.Headers.Location is { } onward && onward.OriginalString.Contains("/signin", StringComparison.Ordinal);
                Assert.True(refused, $"{method} {endpoint.RoutePattern.RawText} gave a stranger {(int)response.StatusCode}.");
            }
        }
    }

    [Fact]
    public async Task Every_endpoint_names_who_may_use_it()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        Assert.Empty(server.Get<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
            .Where(each => !IsOpen(each) && each.Metadata.GetMetadata<Needed>() is null && each.Metadata.GetMetadata<IAuthorizeData>() is null && !IsRefusal(each))
            .Select(each => each.RoutePattern.RawText));
    }

    private static bool IsOpen(RouteEndpoint endpoint)
    {
        string path = "/" + endpoint.RoutePattern.RawText!.TrimStart('/');
        return Open.Contains(path) || OpenBelow.Any(root => path.StartsWith(root, StringComparison.Ordinal)) || endpoint.Metadata.Any(each => each.GetType().Name == "StaticAssetDescriptor");
    }

    /// <summary>What takes every other method or path of an API and answers 405 or 404.</summary>
    private static bool IsRefusal(RouteEndpoint endpoint) => endpoint.Metadata.GetMetadata<HttpMethodMetadata>() is null && GatewayPaths.IsApi("/" + endpoint.RoutePattern.RawText!.TrimStart('/'));

    private static string PathOf(RouteEndpoint endpoint) => "/" + string.Join('/', endpoint.RoutePattern.PathSegments.Select(segment => string.Concat(segment.Parts.Select(part => part switch
    {
        Microsoft.AspNetCore.Routing.Patterns.RoutePatternLiteralPart literal => literal.Content,
        Microsoft.AspNetCore.Routing.Patterns.RoutePatternSeparatorPart separator => separator.Content,
        _ => "01930b2c-7a5e-7c1d-9f5e-0123456789ab",
    }))));
}
