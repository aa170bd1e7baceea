using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Qanat.Gateway.Bench;

/// <summary>A model served to clients that stream, end to end over HTTP: ours with its books on beside llama-server, each in a process of its own and one after the other.</summary>
internal static class Served
{
    private const int Threads = 2;
    private const string Schema = """{"type":"array","minItems":60,"maxItems":60,"items":{"type":"object","properties":{"name":{"type":"string","maxLength":8},"count":{"type":"integer","minimum":0,"maximum":999}},"required":["name","count"],"additionalProperties":false}}""";

    // Words that are one token each, in Qwen's vocabulary and in the smaller one that made models carry: there "desert" would be two and "river" three.
    private static readonly string[] s_words = "water channel well shaft village field bucket spring morning evening mountain key price share hour day".Split(' ');

    /// <param name="PromptTokens">As the server counts them.</param>
    /// <param name="Ttft">To the first chunk with text.</param>
    private sealed record Answer(int PromptTokens, int Tokens, TimeSpan Ttft, TimeSpan Took);

    /// <summary>As many clients as asked, each asking again when it has its answer: 128 tokens in, 64 out.</summary>
    public static async Task RunAsync(string model, int clients, int rounds)
    {
        string data = Directory.CreateTempSubdirectory("qanat-served-").FullName;
        try
        {
            await using (Peer ours = await Peer.QanatAsync(model, data, Threads))
                System.Console.WriteLine(await LoadAsync(ours, clients, rounds));
            if (Environment.GetEnvironmentVariable("LLAMA_BIN") is not { Length: > 0 } folder) return;
            await using Peer theirs = await Peer.LlamaServerAsync(folder, model, Threads, clients);
            System.Console.WriteLine(await LoadAsync(theirs, clients, rounds));
        }
        finally
        {
            Directory.Delete(data, recursive: true);
        }
    }

    /// <summary>Time to the first text of a prompt of about 2,000 tokens, unknown and known, beside llama-server's; and what a schema costs our answers' speed.</summary>
    public static async Task SingleAsync(string model, int rounds)
    {
        string data = Directory.CreateTempSubdirectory("qanat-served-").FullName;
        try
        {
            await using (Peer ours = await Peer.QanatAsync(model, data, Threads))
                System.Console.WriteLine(await FirstTextAsync(ours, rounds, alsoSchema: true));
            if (Environment.GetEnvironmentVariable("LLAMA_BIN") is not { Length: > 0 } folder) return;
            await using Peer theirs = await Peer.LlamaServerAsync(folder, model, Threads, clients: 1);
            System.Console.WriteLine(await FirstTextAsync(theirs, rounds, alsoSchema: false));
        }
        finally
        {
            Directory.Delete(data, recursive: true);
        }
    }

    private static async Task<JsonObject> FirstTextAsync(Peer peer, int rounds, bool alsoSchema)
    {
        using HttpClient http = Client(peer);
        await AskAsync(http, peer, Prompt(0, 16), 8, null);
        List<double> unknown = [], known = [], free = [], bound = [];
        int promptTokens = 0;
        for (int round = 1; round <= rounds; round++)
        {
            string prompt = Prompt(round, 2000);
            Answer first = await AskAsync(http, peer, prompt, 2, null);
            promptTokens = first.PromptTokens;
            unknown.Add(first.Ttft.TotalMilliseconds);
            known.Add((await AskAsync(http, peer, prompt, 2, null)).Ttft.TotalMilliseconds);
            if (!alsoSchema) continue;
            free.Add(Speed(await AskAsync(http, peer, Prompt(-round, 64), 200, null)));
            bound.Add(Speed(await AskAsync(http, peer, Prompt(-round, 64), 200, Schema)));
        }
        var report = new JsonObject
        {
            ["server"] = peer.Name,
            ["prompt_tokens"] = promptTokens,
            ["ttft_ms_unknown"] = Median(unknown),
            ["ttft_ms_known"] = Median(known),
            ["known_part"] = Math.Round(Median(known) / Median(unknown), 4),
        };
        if (!alsoSchema) return report;
        report["tokens_per_s"] = Median(free);
        report["tokens_per_s_with_schema"] = Median(bound);
        return report;
    }

    private static double Speed(Answer answer) => (answer.Tokens - 1) / (answer.Took - answer.Ttft).TotalSeconds;

    private static async Task<JsonObject> LoadAsync(Peer peer, int clients, int rounds)
    {
        using HttpClient http = Client(peer);
        await AskAsync(http, peer, Prompt(-1, 16), 8, null);
        var answers = new List<Answer>();
        long began = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, clients).Select(async client =>
        {
            for (int round = 0; round < rounds; round++)
            {
                Answer answer = await AskAsync(http, peer, Prompt(1 + client * rounds + round, 116), 64, null);
                lock (answers) answers.Add(answer);
            }
        }));
        TimeSpan took = Stopwatch.GetElapsedTime(began);
        return new JsonObject
        {
            ["server"] = peer.Name,
            ["clients"] = clients,
            ["answers"] = answers.Count,
            ["prompt_tokens"] = answers.Sum(answer => answer.PromptTokens),
            ["tokens"] = answers.Sum(answer => answer.Tokens),
            ["tokens_per_s"] = Math.Round(answers.Sum(answer => answer.Tokens) / took.TotalSeconds, 1),
            ["ttft_ms_p50"] = Median([.. answers.Select(answer => answer.Ttft.TotalMilliseconds)]),
            ["ttft_ms_max"] = Math.Round(answers.Max(answer => answer.Ttft.TotalMilliseconds), 1),
            ["resident_mb"] = peer.ResidentMb,
        };
    }

    private static HttpClient Client(Peer peer)
    {
        HttpClient http = new() { Timeout = TimeSpan.FromMinutes(5) };
        foreach ((string name, string value) in peer.Headers) http.DefaultRequestHeaders.Add(name, value);
        return http;
    }

    private static async Task<Answer> AskAsync(HttpClient http, Peer peer, string prompt, int tokens, string? schema)
    {
        JsonObject body = new()
        {
            ["model"] = "bench",
            ["messages"] = new JsonArray(new JsonObject { ["role"] = "user", ["content"] = prompt }),
            ["max_tokens"] = tokens,
            ["stream"] = true,
            ["stream_options"] = new JsonObject { ["include_usage"] = true },
            ["ignore_eos"] = schema is null,
            ["seed"] = 1,
            ["chat_template_kwargs"] = new JsonObject { ["enable_thinking"] = false },
        };
        if (schema is not null) body["response_format"] = new JsonObject { ["type"] = "json_schema", ["json_schema"] = new JsonObject { ["name"] = "list", ["schema"] = JsonNode.Parse(schema) } };
        using HttpRequestMessage request = new(HttpMethod.Post, peer.Url) { Content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json") };
        long began = Stopwatch.GetTimestamp();
        TimeSpan? first = null;
        int asked = 0, counted = 0;
        using HttpResponseMessage response = await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        if (!response.IsSuccessStatusCode) throw new InvalidOperationException(await response.Content.ReadAsStringAsync());
        using StreamReader lines = new(await response.Content.ReadAsStreamAsync());
        while (await lines.ReadLineAsync() is { } line)
        {
            if (!line.StartsWith("data: {", StringComparison.Ordinal)) continue;
            using JsonDocument chunk = JsonDocument.Parse(line.AsMemory(6));
            if (chunk.RootElement.TryGetProperty("usage", out JsonElement usage) && usage.ValueKind == JsonValueKind.Object) (asked, counted) = (usage.GetProperty("prompt_tokens").GetInt32(), usage.GetProperty("completion_tokens").GetInt32());
            if (first is null && HasText(chunk.RootElement)) first = Stopwatch.GetElapsedTime(began);
        }
        TimeSpan took = Stopwatch.GetElapsedTime(began);
        return new Answer(asked, counted, first ?? took, took);
    }

    private static bool HasText(JsonElement chunk)
    {
        if (!chunk.TryGetProperty("choices", out JsonElement choices) || choices.GetArrayLength() == 0 || !choices[0].TryGetProperty("delta", out JsonElement delta)) return false;
        foreach (string name in new[] { "content", "reasoning_content" })
            if (delta.TryGetProperty(name, out JsonElement text) && text.ValueKind == JsonValueKind.String && text.GetString()!.Length > 0) return true;
        return false;
    }

    /// <summary>So many words in an order of their own: no two prompts begin alike beyond the format's first tokens.</summary>
    private static string Prompt(int seed, int words)
    {
        var random = new Random(seed);
        return string.Create(CultureInfo.InvariantCulture, $"{seed}: ") + string.Join(' ', Enumerable.Range(0, words).Select(_ => s_words[random.Next(s_words.Length)]));
    }

    private static double Median(List<double> values)
    {
        values.Sort();
        return Math.Round(values.Count % 2 == 1 ? values[values.Count / 2] : (values[values.Count / 2 - 1] + values[values.Count / 2]) / 2, 1);
    }
}
