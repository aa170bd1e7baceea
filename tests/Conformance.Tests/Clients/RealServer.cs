using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Qanat.Simulation.Tests;

namespace Qanat.Conformance.Tests;

/// <summary>The built `qanat up` on an empty data directory, for clients to talk to.</summary>
public sealed class RealServer : IAsyncLifetime
{
    private readonly string data = Directory.CreateTempSubdirectory("qanat-clients-").FullName;
    private ServerProcess? process;

    /// <summary>An inference key of a tenant without a budget.</summary>
    public string Key { get; private set; } = "";

    /// <summary>A key of a tenant whose budget cannot pay for anything.</summary>
    public string PoorKey { get; private set; } = "";

    public Uri Api => new(process!.Http.BaseAddress!, "v1");

    public async ValueTask InitializeAsync()
    {
        process = await ServerProcess.StartAsync(data, TestContext.Current.CancellationToken);
        await PostAsync("api/tenants", new JsonObject { ["name"] = "acme" });
        await PostAsync("api/tenants", new JsonObject { ["name"] = "poor", ["monthly_budget"] = "0.000000000001" });
        Key = (string)(await PostAsync("api/keys", new JsonObject { ["tenant"] = "acme" }))["key"]!;
        PoorKey = (string)(await PostAsync("api/keys", new JsonObject { ["tenant"] = "poor" }))["key"]!;
    }

    /// <summary>The usage record of a request, as soon as it is settled.</summary>
    public async Task<JsonNode> UsageAsync(string requestId)
    {
        while (true)
        {
            using HttpResponseMessage response = await process!.Http.GetAsync("api/usage/" + requestId, TestContext.Current.CancellationToken);
            Assert.True(response.IsSuccessStatusCode || response.StatusCode == System.Net.HttpStatusCode.NotFound, $"{requestId}: {response.StatusCode}");
            if (response.IsSuccessStatusCode) return (await response.Content.ReadFromJsonAsync<JsonNode>(TestContext.Current.CancellationToken))!;
            await Task.Delay(20, TestContext.Current.CancellationToken);
        }
    }

    public Task<JsonNode> GetAsync(string path) => process!.GetAsync(path, TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync()
    {
        if (process is not null) await process.DisposeAsync();
        Directory.Delete(data, recursive: true);
    }

    private async Task<JsonNode> PostAsync(string path, JsonObject body)
    {
        using HttpResponseMessage response = await process!.Http.PostAsJsonAsync(path, body, TestContext.Current.CancellationToken);
        string text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }
}
