using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Routing;

namespace Qanat.Gateway.Tests;

/// <summary>Every endpoint of the admin API, as the server itself lists them, with every kind of bad input.</summary>
public sealed class AdminInputTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    private static readonly string[] Values =
    [
        "null", "true", "-1", "1.5", "1e400", "99999999999999999999999999999999999999999", "\"\"", "\"x\"", "\"-1\"", "\"1e5\"", "\"0.0000000000000001\"", "\"1 XX\"", "\"1 USD more\"", "\"\\ud800\"", "\"\\u0000\"",
        "[]", "{}", "[[1]]", "\"house\"", "\"2026-13-45\"",
    ];

    private static readonly string[] Fields =
    [
        "name", "tenant", "project", "role", "reach", "monthly_budget", "model", "currency", "input_per_million", "output_per_million", "cache_read_per_million", "effective_from", "source", "pool", "hourly_cost",
        "practical_capacity_permille",
    ];

    private static readonly string[] Queries = ["from", "to", "at", "by", "limit", "tenant", "project", "model", "transaction", "before", "account", "format"];

    [Fact]
    public async Task Bad_fields_are_refused_and_never_break_the_server()
    {
        TestGateway gateway = fixture.Fresh();
        foreach (AdminEndpoint endpoint in EndpointsOf(gateway).Where(each => each.HasBody && !each.Path.Contains("demo", StringComparison.Ordinal)))
        {
            foreach (string field in Fields)
            {
                foreach (string value in Values)
                {
                    string body = "{" + string.Join(",", Fields.Where(each => each != field).Select(each => $"\"{each}\":{Plausible(each)}").Append($"\"{field}\":{value}")) + "}";
                    Answer answer = await TestGateway.SendAsync(gateway.Owner, endpoint.Request(body));
                    Assert.True(answer.Status is >= 200 and < 500, $"{endpoint} {field} = {value}: {answer.Status} {answer.Text}");
                    Assert.True(answer.Status < 300 || answer.Code is not null, answer.Text);
                }
            }
            Assert.Equal(400, (await TestGateway.SendAsync(gateway.Owner, endpoint.Request("{"))).Status);
        }
    }

    [Fact]
    public async Task Bad_queries_are_refused_and_never_break_the_server()
    {
        TestGateway gateway = fixture.Fresh();
        string[] values = ["x", "-1", "0", "99999999999999999999", "%00", "%F0%9F", "2026-13-45", "9999-12-31T23:59:59Z", "0001-01-01", "tenant,tenant", "../..", "house", "acme"];
        foreach (AdminEndpoint endpoint in EndpointsOf(gateway).Where(each => each.Method == "GET" && !each.Path.EndsWith("export", StringComparison.Ordinal)))
        {
            foreach (string query in Queries)
            {
                foreach (string value in values)
                {
                    Answer answer = await TestGateway.SendAsync(gateway.Owner, new HttpRequestMessage(HttpMethod.Get, $"{endpoint.Path}?{query}={value}"));
                    Assert.True(answer.Status is 200 or 400 or 404, $"{endpoint} {query} = {value}: {answer.Status} {answer.Text}");
                }
            }
        }
    }

    private static string Plausible(string field) => field switch
    {
        "tenant" => "\"acme\"",
        "project" => "\"default\"",
        "role" => "\"inference\"",
        "reach" => "\"tenant\"",
        "currency" => "\"USD\"",
        "pool" => "\"this-machine\"",
        "effective_from" => "\"2030-01-01\"",
        "practical_capacity_permille" => "850",
        "name" => "\"n\"",
        "source" or "model" => "\"m\"",
        _ => "\"1.5\"",
    };

    private static List<AdminEndpoint> EndpointsOf(TestGateway gateway) =>
    [
        .. from endpoint in gateway.Get<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
           let path = endpoint.RoutePattern.RawText
           where path.StartsWith("/api", StringComparison.Ordinal) && !OllamaEndpoints.Owns(path) && !DashScopeEndpoints.Owns(path)
           from method in endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? []
           select new AdminEndpoint(method, path.Replace("{id}", "01930b2c-7a5e-7c1d-9f5e-0123456789ab", StringComparison.Ordinal)),
    ];

    private sealed record AdminEndpoint(string Method, string Path)
    {
        public bool HasBody => Method is "POST" or "PUT";

        public HttpRequestMessage Request(string body) => new(new HttpMethod(Method), Path) { Content = HasBody ? new StringContent(body, Encoding.UTF8, "application/json") : null };
    }
}
