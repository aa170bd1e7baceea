using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json.Nodes;

namespace Qanat.Simulation.Tests;

/// <summary>The contracts for scripts in docs/cli.md, and the books of real traffic in the eyes of an independent program.</summary>
public sealed class CommandTests
{
    [Fact]
    public async Task Commands_work_with_and_without_a_running_server()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        string data = Directory.CreateTempSubdirectory("qanat-command").FullName;
        await SucceedAsync(cancel, "tenant", "create", "alone", "--budget", "5", "--data", data);
        await using (ServerProcess server = await ServerProcess.StartAsync(data, cancel))
        {
            JsonNode tenants = JsonNode.Parse((await SucceedAsync(cancel, "tenant", "list", "--json", "--data", data)).Output)!;
            Assert.Contains(tenants["data"]!.AsArray(), tenant => tenant!["name"]!.ToString() == "alone" && tenant["monthly_budget"]!.ToString() == "5");

            JsonNode key = JsonNode.Parse((await SucceedAsync(cancel, "key", "create", "--tenant", "alone", "--json", "--data", data)).Output)!;
            Assert.StartsWith("sk-", key["key"]!.ToString(), StringComparison.Ordinal);
            Assert.Equal(HttpStatusCode.OK, await AskAsync(server, key["key"]!.ToString(), cancel));
            await SucceedAsync(cancel, "key", "revoke", key["id"]!.ToString(), "--data", data);
            Assert.Equal(HttpStatusCode.Unauthorized, await AskAsync(server, key["key"]!.ToString(), cancel));

            CommandResult unknown = await ServerProcess.RunAsync(cancel, "key", "create", "--tenant", "nobody", "--data", data);
            Assert.Equal(1, unknown.ExitCode);
            Assert.Contains("nobody", unknown.Errors, StringComparison.Ordinal);
            await server.StopAsync(cancel);
        }
        Assert.Contains("Every identity holds", (await SucceedAsync(cancel, "books", "check", "--data", data)).Output, StringComparison.Ordinal);
        JsonNode usage = JsonNode.Parse((await SucceedAsync(cancel, "usage", "list", "--json", "--data", data)).Output)!;
        Assert.Single(usage["data"]!.AsArray());
        Directory.Delete(data, recursive: true);
    }

    [Fact]
    public async Task Hledger_recomputes_every_balance_of_the_demo_from_the_export_and_the_demo_can_be_cleared()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        string data = Directory.CreateTempSubdirectory("qanat-hledger").FullName;
        await using (ServerProcess server = await ServerProcess.StartAsync(data, cancel, "--demo", "--demo-seconds", "8"))
        {
            await server.SaidAsync("Demo: done", cancel);
            JsonNode pnl = JsonNode.Parse((await SucceedAsync(cancel, "books", "pnl", "--json", "--data", data)).Output)!;
            Assert.Equal(3, pnl["rows"]!.AsArray().Count(row => row!["tenant"]?["name"]?.ToString().Contains("demo", StringComparison.Ordinal) == true));
            await server.StopAsync(cancel);
        }
        string journal = Path.Combine(data, "export.journal");
        await SucceedAsync(cancel, "books", "export", "--format", "hledger", "--output", journal, "--data", data);
        Hledger.CompareBalances(journal, JsonNode.Parse((await SucceedAsync(cancel, "books", "trial", "--json", "--data", data)).Output)!);

        await using (ServerProcess server = await ServerProcess.StartAsync(data, cancel))
        {
            JsonNode cleared = JsonNode.Parse((await SucceedAsync(cancel, "demo", "clear", "--json", "--data", data)).Output)!;
            Assert.Equal(3, cleared["tenants"]!.GetValue<int>());
            Assert.Empty((await server.GetAsync("api/usage", cancel))["data"]!.AsArray());
            Assert.True((await server.GetAsync("api/books/check", cancel))["ok"]!.GetValue<bool>());
        }
        Directory.Delete(data, recursive: true);
    }

    [Fact]
    public async Task Outlook_prints_bounds_for_programs_and_refuses_an_unknown_company()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        JsonNode analysis = JsonNode.Parse((await SucceedAsync(cancel, "outlook", "company", "alibaba", "--quarter", "2026Q2", "--json")).Output)!;
        JsonNode peers = analysis["bounds"]!.AsArray().Last(bound => bound!["target"]!.ToString() == "ai_margin")!;
        Assert.Equal(-0.03, Math.Round(peers["low"]!.GetValue<double>(), 2));
        Assert.Equal(0.36, Math.Round(peers["high"]!.GetValue<double>(), 2));
        await SucceedAsync(cancel, "outlook", "check");
        CommandResult unknown = await ServerProcess.RunAsync(cancel, "outlook", "company", "nobody");
        Assert.Equal(1, unknown.ExitCode);
        Assert.Contains("nobody", unknown.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_second_server_on_the_same_data_directory_is_refused()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        string data = Directory.CreateTempSubdirectory("qanat-second").FullName;
        await using (ServerProcess server = await ServerProcess.StartAsync(data, cancel))
        {
            CommandResult second = await ServerProcess.RunAsync(cancel, "up", "--data", data, "--urls", "http://127.0.0.1:0");
            Assert.Equal(1, second.ExitCode);
            Assert.Contains(data, second.Errors, StringComparison.Ordinal);
        }
        Directory.Delete(data, recursive: true);
    }

    private static async Task<CommandResult> SucceedAsync(CancellationToken cancel, params string[] arguments)
    {
        CommandResult result = await ServerProcess.RunAsync(cancel, arguments);
        Assert.True(result.ExitCode == 0, string.Create(CultureInfo.InvariantCulture, $"{string.Join(' ', arguments)}: exit {result.ExitCode}\n{result.Output}\n{result.Errors}"));
        return result;
    }

    private static async Task<HttpStatusCode> AskAsync(ServerProcess server, string key, CancellationToken cancel)
    {
        using HttpRequestMessage request = new(HttpMethod.Post, "v1/completions");
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", key);
        request.Content = JsonContent.Create(new { model = "qanat-tiny", prompt = "water", max_tokens = 2 });
        using HttpResponseMessage response = await server.Http.SendAsync(request, cancel);
        return response.StatusCode;
    }
}
