using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Routing;
using Microsoft.OpenApi;
using Microsoft.OpenApi.Reader;

namespace Qanat.Gateway.Tests;

public sealed partial class OpenApiTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    [Fact]
    public async Task The_document_has_every_route_and_no_other()
    {
        TestGateway gateway = fixture.Fresh();
        string[] open = ["/healthz", "/readyz"];
        string[] mapped = [.. from route in gateway.Get<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
                              where route.Metadata.GetMetadata<Needed>() is not null || open.Contains(route.RoutePattern.RawText)
                              from method in route.Metadata.GetMetadata<HttpMethodMetadata>()!.HttpMethods
                              where method != "HEAD" // as GET
                              select $"{method} /{route.RoutePattern.RawText!.Trim('/').Replace("{**", "{", StringComparison.Ordinal)}"];
        Assert.Equal(mapped.Order(StringComparer.Ordinal), (await DescribedOperation.AllAsync(gateway)).Select(operation => operation.Name).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Every_route_says_what_it_does_in_words_of_its_own()
    {
        List<DescribedOperation> operations = await DescribedOperation.AllAsync(fixture.Fresh());
        Assert.All(operations, operation => Assert.True(Words().Count(operation.Summary) > 1 && !operation.Summary.Contains('/', StringComparison.Ordinal), $"{operation.Name} is not described: say in its RouteWords, where it is mapped, what it does."));
        // Other APIs serve the same under paths of their own.
        IEnumerable<IGrouping<string, DescribedOperation>> same = operations.GroupBy(operation => operation.Summary).Where(group => group.Select(operation => operation.Path.Split('/')[^1]).Distinct().Count() > 1);
        Assert.All(same.SelectMany(group => group), operation => Assert.True(operation.Tag != Tags.Server && !operation.Needs.StartsWith("Change", StringComparison.Ordinal), $"{operation.Name} says only what another route says: {operation.Summary}"));
    }

    [Fact]
    public async Task Every_field_and_parameter_is_explained_and_every_operation_has_a_name_of_its_own()
    {
        List<DescribedOperation> operations = await DescribedOperation.AllAsync(fixture.Fresh());
        Assert.All(operations, operation => Assert.All(operation.Parameters, parameter => Assert.True(parameter!["description"] is not null, $"{operation.Name}: say what '{parameter["name"]}' is.")));
        Assert.All(operations.Where(operation => operation.IsAdmin), operation => Assert.All(operation.Fields, field => Assert.True(field.Value!["description"] is not null || field.Value["$ref"] is not null || field.Value["type"]?.ToString() == "object", $"{operation.Name}: say what '{field.Key}' is.")));
        Assert.Equal(operations.Count, operations.Select(operation => operation.Id).Distinct().Count());
    }

    /// <summary>Another implementation reads it, and finds no fault and nothing that refers to what is not there.</summary>
    [Fact]
    public async Task Readers_of_OpenAPI_find_no_fault_in_the_document()
    {
        string text = (await fixture.Fresh().GetAsync("/openapi.json")).Text;
        ReadResult read = OpenApiDocument.Parse(text, "json");
        Assert.Empty(read.Diagnostic!.Errors.Select(error => $"{error.Pointer}: {error.Message}"));
        Assert.Empty(read.Diagnostic.Warnings.Select(warning => $"{warning.Pointer}: {warning.Message}"));
        Assert.Empty(read.Document!.Validate(ValidationRuleSet.GetDefaultRuleSet()).Select(error => $"{error.Pointer}: {error.Message}"));
        JsonNode components = JsonNode.Parse(text)!["components"]!;
        Assert.All(Reference().Matches(text).Select(match => match.Groups), part => Assert.NotNull(components[part["kind"].Value]![part["name"].Value]));
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

    [GeneratedRegex("#/components/(?<kind>\\w+)/(?<name>[\\w-]+)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Reference();

    [GeneratedRegex("\\w+", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Words();
}
