using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Routing;

namespace Qanat.Gateway.Tests;

public sealed partial class OpenApiTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    [Fact]
    public async Task The_document_has_every_route_of_the_APIs_and_no_other()
    {
        TestGateway gateway = fixture.Fresh();
        JsonObject paths = (await gateway.GetAsync("/openapi.json")).Body["paths"]!.AsObject();
        string[] documented = [.. paths.SelectMany(path => path.Value!.AsObject().Select(operation => $"{operation.Key.ToUpperInvariant()} {path.Key}"))];
        string[] mapped = [.. from route in gateway.Get<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
                              where route.Metadata.GetMetadata<Needed>() is not null && !route.RoutePattern.RawText!.StartsWith("/mcp", StringComparison.Ordinal) // MCP describes itself
                              from method in route.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods
                              select $"{method} {route.RoutePattern.RawText!.Replace("{**", "{", StringComparison.Ordinal)}"];
        Assert.Equal(mapped.Order(StringComparer.Ordinal), documented.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Every_route_of_the_models_APIs_is_described_and_nothing_is_that_is_not_mapped()
    {
        JsonObject paths = (await fixture.Fresh().GetAsync("/openapi.json")).Body["paths"]!.AsObject();
        MappedRoute[] inference = [.. from path in paths
                                      from operation in path.Value!.AsObject()
                                      where ((string?)operation.Value!["description"])!.Contains(nameof(Permission.Infer), StringComparison.Ordinal)
                                      select new MappedRoute(operation.Key.ToUpperInvariant(), path.Key, Permission.Infer)];
        Assert.All(inference, route => Assert.True(RouteWords.Of(route) is not null, $"{route.Method} {route.Path} is not described in RouteWords."));
        string[] mapped = [.. inference.Select(route => $"{route.Method} {RouteWords.Canonical(route.Path)}").Distinct()];
        Assert.Empty(RouteWords.Routes.Except(mapped));
    }

    [Fact]
    public async Task Every_schema_that_is_named_is_there_and_every_operation_has_a_name_of_its_own()
    {
        Answer answer = await fixture.Fresh().GetAsync("/openapi.json");
        JsonObject schemas = answer.Body["components"]!["schemas"]!.AsObject();
        Assert.All(Reference().Matches(answer.Text).Select(match => match.Groups["name"].Value), name => Assert.True(schemas.ContainsKey(name), name));
        string[] names = [.. answer.Body["paths"]!.AsObject().SelectMany(path => path.Value!.AsObject()).Select(operation => (string)operation.Value!["operationId"]!)];
        Assert.Equal(names.Length, names.Distinct().Count());
    }

    [Fact]
    public async Task The_page_that_shows_it_needs_no_key_and_nothing_from_elsewhere()
    {
        TestGateway gateway = fixture.Fresh();
        using HttpClient anyone = gateway.Client(key: null);
        string page = await anyone.GetStringAsync("/docs/", TestContext.Current.CancellationToken);
        Assert.Contains("openapi.json", page, StringComparison.Ordinal);
        Assert.DoesNotContain("https://cdn", page, StringComparison.Ordinal);
    }

    [GeneratedRegex("schemas/(?<name>\\w+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Reference();
}
