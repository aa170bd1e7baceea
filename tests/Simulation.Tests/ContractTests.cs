using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;

namespace Qanat.Simulation.Tests;

/// <summary>Contracts, credit and price terms in the running server, with a real model behind it.</summary>
public sealed class ContractTests
{
    private const string Today = "2026-01-01";

    [Fact]
    public async Task Terms_of_price_and_contract_are_charged_while_serving()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        string data = Directory.CreateTempSubdirectory("qanat-contracts").FullName;
        await using (ServerProcess server = await ServerProcess.StartAsync(data, cancel))
        {
            await PostAsync(server.Http, "api/prices/import", new JsonObject { ["text"] = "price qanat-tiny from 2026-01-01\n  input 1 output 2 batch 50% request 0.001\n  above 20 input 3 output 6" }, cancel);
            using HttpClient list = await TenantAsync(server, "list", cancel), beta = await TenantAsync(server, "beta", cancel), free = await TenantAsync(server, "free", cancel),
                stop = await TenantAsync(server, "stop", cancel), paid = await TenantAsync(server, "paid", cancel), inside = await TenantAsync(server, "inside", cancel);
            await PostAsync(server.Http, "api/declarations", new JsonObject
            {
                ["text"] = $"""
                    contract beta-2026 tenant beta from {Today} discount 10%
                    contract free-2026 tenant free from {Today} free-tokens 30 free-for 10years then charge
                    contract stop-2026 tenant stop from {Today} free-tokens 50 free-for 10years then stop
                    credit paid-1 tenant paid amount 0.00105 paid {Today} then stop
                    contract inside-2026 tenant inside from {Today} transfer cost-plus margin 10%
                    """,
            }, cancel);

            // 10 tokens in, 8 out at 1 and 2 a million, and 0.001 for the request; above 20 tokens the whole request is in the next tier.
            Assert.Equal(0.001026m, await ChargeAsync(list, 10, 8, cancel));
            Assert.Equal(0.001111m, await ChargeAsync(list, 21, 8, cancel));
            Assert.Equal(0.0009234m, await ChargeAsync(beta, 10, 8, cancel));

            // The first 18 tokens are free; of the next request 12 of 18, which is two thirds of its price.
            Assert.Equal(0m, await ChargeAsync(free, 10, 8, cancel));
            Assert.Equal(0.000342m, await ChargeAsync(free, 10, 8, cancel));
            Assert.Equal(0.001026m, await ChargeAsync(free, 10, 8, cancel));

            // 50 tokens and not one more: the stream stops when they are used up, the next request is refused.
            JsonNode cut = await AskAsync(stop, 10, 100, cancel);
            Assert.Equal(40, cut["usage"]!["completion_tokens"]!.GetValue<int>());
            Assert.Equal(0m, Money(cut, "charge"));
            Assert.Equal("free_quota_exhausted", (await AskAsync(stop, 10, 1, cancel))["error"]!["code"]!.ToString());

            // Credit pays for one request; after it not even a prompt fits.
            Assert.Equal(0.001026m, await ChargeAsync(paid, 10, 8, cancel));
            Assert.Equal("credit_exhausted", (await AskAsync(paid, 10, 8, cancel))["error"]!["code"]!.ToString());
            await PostAsync(server.Http, "api/declarations", new JsonObject { ["text"] = $"credit paid-2 tenant paid amount 1 paid {Today} then stop" }, cancel);
            Assert.Equal(0.001026m, await ChargeAsync(paid, 10, 8, cancel));

            // A team of the house pays the cost of its device time and a tenth.
            JsonNode internalUse = await AskAsync(inside, 10, 8, cancel);
            decimal cost = Money(internalUse, "cost");
            Assert.InRange(Money(internalUse, "charge"), cost * 1.1m - 0.000000000001m, cost * 1.1m + 0.000000000001m);

            Assert.True((await server.GetAsync("api/books/check", cancel))["ok"]!.GetValue<bool>());
            JsonNode standing = await server.GetAsync("api/contracts", cancel);
            Assert.Equal(30, standing["contracts"]!.AsArray().Single(contract => contract!["name"]!.ToString() == "free-2026")!["free_tokens_used"]!.GetValue<int>());
            await server.KillAsync();
        }
        // What was used of quotas and credit is known again after a crash.
        await using (ServerProcess server = await ServerProcess.StartAsync(data, cancel))
        {
            using HttpClient stop = await KeyAsync(server, "stop", cancel);
            Assert.Equal("free_quota_exhausted", (await AskAsync(stop, 10, 1, cancel))["error"]!["code"]!.ToString());
            JsonNode credit = (await server.GetAsync("api/contracts", cancel))["credits"]!.AsArray().Single(each => each!["name"]!.ToString() == "paid-2")!;
            Assert.Equal("0.998998", credit["left"]!.ToString());
            Assert.True((await server.GetAsync("api/books/check", cancel))["ok"]!.GetValue<bool>());
        }
        Directory.Delete(data, recursive: true);
    }

    private static async Task<decimal> ChargeAsync(HttpClient http, int input, int output, CancellationToken cancel)
    {
        JsonNode answer = await AskAsync(http, input, output, cancel);
        Assert.True(answer["usage"] is not null, answer.ToJsonString());
        Assert.Equal((input, output), (answer["usage"]!["prompt_tokens"]!.GetValue<int>(), answer["usage"]!["completion_tokens"]!.GetValue<int>()));
        return Money(answer, "charge");
    }

    private static async Task<JsonNode> AskAsync(HttpClient http, int input, int output, CancellationToken cancel)
    {
        using HttpResponseMessage response = await http.PostAsJsonAsync("v1/completions", new JsonObject
        {
            ["model"] = "qanat-tiny",
            ["prompt"] = new JsonArray([.. Enumerable.Range(0, input).Select(token => JsonValue.Create(300 + token))]),
            ["max_tokens"] = output,
            ["ignore_eos"] = true,
        }, cancel);
        return JsonNode.Parse(await response.Content.ReadAsStringAsync(cancel))!;
    }

    private static decimal Money(JsonNode answer, string name) => decimal.Parse(answer["usage"]!["x_qanat"]![name]!.ToString(), CultureInfo.InvariantCulture);

    private static async Task<HttpClient> TenantAsync(ServerProcess server, string name, CancellationToken cancel)
    {
        await PostAsync(server.Http, "api/tenants", new JsonObject { ["name"] = name }, cancel);
        return await KeyAsync(server, name, cancel);
    }

    private static async Task<HttpClient> KeyAsync(ServerProcess server, string tenant, CancellationToken cancel)
    {
        JsonNode key = await PostAsync(server.Http, "api/keys", new JsonObject { ["tenant"] = tenant, ["name"] = "k" }, cancel);
        HttpClient http = new() { BaseAddress = server.Http.BaseAddress, Timeout = TimeSpan.FromMinutes(2) };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key["key"]!.ToString());
        return http;
    }

    private static async Task<JsonNode> PostAsync(HttpClient http, string path, JsonObject body, CancellationToken cancel)
    {
        using HttpResponseMessage response = await http.PostAsJsonAsync(path, body, cancel);
        string text = await response.Content.ReadAsStringAsync(cancel);
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }
}
