using System.Text;
using System.Text.Json.Nodes;

namespace Qanat.Simulation.Tests;

/// <summary>A process that is killed in the middle of a batch, twice: no row is lost, none is charged twice.</summary>
public sealed class BatchKillTests
{
    private const int Rows = 40;
    private const int Kills = 2;

    [Fact]
    public async Task Killed_in_the_middle_a_batch_goes_on_and_every_row_is_answered_and_charged_once()
    {
        CancellationToken cancel = TestContext.Current.CancellationToken;
        string data = Directory.CreateTempSubdirectory("qanat-batch-kill").FullName;
        string? batch = null;
        for (int kill = 1; kill <= Kills; kill++)
        {
            await using ServerProcess server = await ServerProcess.StartAsync(data, cancel);
            batch ??= await BeginAsync(server, cancel);
            // Progress is told every few rows, so that what is killed is well within a row.
            await UntilAsync(server, batch, now => (int)now["request_counts"]!["completed"]! >= kill * Rows / (Kills + 2) || IsOver(now), cancel);
            await server.KillAsync();
        }

        await using ServerProcess last = await ServerProcess.StartAsync(data, cancel);
        JsonNode ended = await UntilAsync(last, batch!, IsOver, cancel);
        Assert.Equal(("completed", Rows, 0), ((string?)ended["status"], (int)ended["request_counts"]!["completed"]!, (int)ended["request_counts"]!["failed"]!));
        JsonNode[] answers = [.. (await last.Http.GetStringAsync($"v1/files/{ended["output_file_id"]}/content", cancel)).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!)];
        Assert.Equal(Enumerable.Range(0, Rows).Select(row => $"row-{row}"), answers.Select(answer => (string?)answer["custom_id"]));

        JsonNode[] records = await UsageAsync(last, cancel);
        Assert.Equal(Rows, records.Count(record => (string?)record["charge"] is { } charge && charge.Trim('0', '.').Length > 0));
        // Rows that were cut off, if a kill met any, cost and are not charged.
        Assert.True(records.Length >= Rows, $"Rows are missing: {records.Length} records.");
        Assert.True((bool)(await last.GetAsync("api/books/check", cancel))["ok"]!);
        Directory.Delete(data, recursive: true);
    }

    private static async Task<string> BeginAsync(ServerProcess server, CancellationToken cancel)
    {
        StringBuilder rows = new();
        for (int row = 0; row < Rows; row++)
            rows.Append($$$"""{"custom_id":"row-{{{row}}}","method":"POST","url":"/v1/chat/completions","body":{"model":"qanat-tiny","max_tokens":32,"seed":{{{row}}},"ignore_eos":true,"messages":[{"role":"user","content":"Row {{{row}}}"}]}}""").Append('\n');
        using MultipartFormDataContent form = new() { { new StringContent("batch"), "purpose" }, { new ByteArrayContent(Encoding.UTF8.GetBytes(rows.ToString())), "file", "rows.jsonl" } };
        JsonNode file = await JsonAsync(await server.Http.PostAsync("v1/files", form, cancel), cancel);
        using StringContent ask = new($$"""{"input_file_id":"{{file["id"]}}","endpoint":"/v1/chat/completions","completion_window":"24h"}""", Encoding.UTF8, "application/json");
        return (string)(await JsonAsync(await server.Http.PostAsync("v1/batches", ask, cancel), cancel))["id"]!;
    }

    private static async Task<JsonNode> JsonAsync(HttpResponseMessage response, CancellationToken cancel)
    {
        string text = await response.Content.ReadAsStringAsync(cancel);
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }

    private static bool IsOver(JsonNode batch) => (string?)batch["status"] is "completed" or "failed" or "expired" or "cancelled";

    private static async Task<JsonNode> UntilAsync(ServerProcess server, string batch, Func<JsonNode, bool> reached, CancellationToken cancel)
    {
        while (true)
        {
            JsonNode now = await server.GetAsync("v1/batches/" + batch, cancel);
            if (reached(now)) return now;
            await Task.Delay(TimeSpan.FromMilliseconds(20), cancel);
        }
    }

    private static async Task<JsonNode[]> UsageAsync(ServerProcess server, CancellationToken cancel)
    {
        List<JsonNode> records = [];
        string path = "api/usage?limit=500";
        while (true)
        {
            JsonArray page = (await server.GetAsync(path, cancel))["data"]!.AsArray();
            if (page.Count == 0) return [.. records];
            records.AddRange(page.Select(record => record!));
            path = $"api/usage?limit=500&before={page[^1]!["id"]}";
        }
    }
}
