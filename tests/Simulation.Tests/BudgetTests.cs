using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;

namespace Qanat.Simulation.Tests;

public sealed class BudgetTests
{
    [Fact]
    public async Task Fifty_concurrent_requests_against_a_budget_that_fits_exactly_seven_admit_exactly_seven()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        string data = Directory.CreateTempSubdirectory("qanat-budget").FullName;
        await using (ServerProcess server = await ServerProcess.StartAsync(data, cancel))
        {
            JsonNode tenant = await PostAsync(server.Http, "api/tenants", new JsonObject { ["name"] = "seven" }, cancel);
            JsonNode key = await PostAsync(server.Http, "api/keys", new JsonObject { ["tenant"] = "seven", ["name"] = "k" }, cancel);
            using HttpClient http = new() { BaseAddress = server.Http.BaseAddress, Timeout = TimeSpan.FromMinutes(2) };
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key["key"]!.ToString());

            decimal one = await ChargeAsync(await AskAsync(http, cancel), cancel);
            string budget = (one * 8).ToString(CultureInfo.InvariantCulture);
            using (HttpResponseMessage set = await server.Http.PutAsJsonAsync($"api/tenants/{tenant["id"]}/budget", new JsonObject { ["monthly_budget"] = budget }, cancel))
                set.EnsureSuccessStatusCode();

            HttpResponseMessage[] answers = await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => AskAsync(http, cancel)));
            Assert.Equal(7, answers.Count(answer => answer.IsSuccessStatusCode));
            Assert.All(answers.Where(answer => !answer.IsSuccessStatusCode), answer => Assert.Equal(HttpStatusCode.PaymentRequired, answer.StatusCode));
            JsonNode error = JsonNode.Parse(await answers.First(answer => !answer.IsSuccessStatusCode).Content.ReadAsStringAsync(cancel))!["error"]!;
            Assert.Equal("budget_exceeded", error["code"]!.ToString());
            Assert.Contains("budget", error["message"]!.ToString(), StringComparison.Ordinal);

            decimal spent = 0;
            foreach (JsonNode? record in (await server.GetAsync("api/usage?limit=500&tenant=seven", cancel))["data"]!.AsArray())
                spent += decimal.Parse(record!["charge"]!.ToString(), CultureInfo.InvariantCulture);
            Assert.Equal(one * 8, spent);
            Assert.True((await server.GetAsync("api/books/check", cancel))["ok"]!.GetValue<bool>());
        }
        Directory.Delete(data, recursive: true);
    }

    private static Task<HttpResponseMessage> AskAsync(HttpClient http, CancellationToken cancel) => http.PostAsJsonAsync("v1/completions", new JsonObject
    {
        ["model"] = "qanat-tiny",
        ["prompt"] = "Seven shares of water, no more.",
        ["max_tokens"] = 16,
        ["ignore_eos"] = true,
    }, cancel);

    private static async Task<decimal> ChargeAsync(HttpResponseMessage answer, CancellationToken cancel)
    {
        JsonNode body = JsonNode.Parse(await answer.Content.ReadAsStringAsync(cancel))!;
        return decimal.Parse(body["usage"]!["x_qanat"]!["charge"]!.ToString(), CultureInfo.InvariantCulture);
    }

    private static async Task<JsonNode> PostAsync(HttpClient http, string path, JsonObject body, CancellationToken cancel)
    {
        using HttpResponseMessage response = await http.PostAsJsonAsync(path, body, cancel);
        string text = await response.Content.ReadAsStringAsync(cancel);
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }
}
