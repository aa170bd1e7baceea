using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Qanat.Cli;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway.Bench;

/// <summary>The latency of one call at a time, through HTTP with key, hold, metering, settlement and two durable commits, and on the engine alone. Calls alternate, so that both see the same machine.</summary>
internal static class Overhead
{
    private const int PromptTokens = 16;
    private const int NewTokens = 4;

    public static async Task RunAsync(int calls)
    {
        string folder = Directory.CreateTempSubdirectory("qanat-overhead").FullName;
        DataDirectory data = new(folder);
        await using (QanatServer server = await QanatServer.StartAsync(new ServerOptions { Data = data, Urls = "http://127.0.0.1:0" }, new Progress<string>(), CancellationToken.None))
        {
            using HttpClient http = new() { BaseAddress = new Uri(server.Url) };
            http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", server.LocalKey);
            LoadedModel model = server.Deployment!.Model;
            DirectSink sink = new();
            await using InferenceEngine direct = new(model, new EngineOptions { KvBytesMax = 64L << 20 }, sink, TimeProvider.System);
            List<double> directMs = [], gatewayMs = [];
            for (int call = -10; call < calls; call++)
            {
                int[] prompt = [.. Enumerable.Range(0, PromptTokens).Select(index => (call + 10) * 31 % 1000 + 300 + index)];
                double alone = await DirectAsync(direct, sink, prompt, call);
                double through = await GatewayAsync(http, server.Deployment.Name.Value, prompt);
                if (call < 0) continue;
                directMs.Add(alone);
                gatewayMs.Add(through);
            }
            Report(directMs, gatewayMs);
        }
        Directory.Delete(folder, recursive: true);
    }

    private static async Task<double> DirectAsync(InferenceEngine engine, DirectSink sink, int[] prompt, int call)
    {
        SequenceId id = new(new Guid(call, 0, 0, [0, 0, 0, 0, 0, 0, 0, 0]), 0);
        long began = Stopwatch.GetTimestamp();
        Task done = sink.Expect(id);
        engine.Submit(new SequenceRequest(id, [.. prompt], NewTokens, NewTokens, new SamplingOptions { Temperature = 0 }, [], -1, IgnoreStopTokens: true, "bench"));
        await done;
        return Stopwatch.GetElapsedTime(began).TotalMilliseconds;
    }

    private static async Task<double> GatewayAsync(HttpClient http, string model, int[] prompt)
    {
        JsonObject body = new()
        {
            ["model"] = model,
            ["prompt"] = new JsonArray([.. prompt.Select(token => JsonValue.Create(token))]),
            ["max_tokens"] = NewTokens,
            ["temperature"] = 0,
            ["ignore_eos"] = true,
        };
        using StringContent content = new(body.ToJsonString(), Encoding.UTF8, "application/json");
        long began = Stopwatch.GetTimestamp();
        using HttpResponseMessage response = await http.PostAsync("v1/completions", content);
        string text = await response.Content.ReadAsStringAsync();
        if (!response.IsSuccessStatusCode) throw new InvalidOperationException(text);
        return Stopwatch.GetElapsedTime(began).TotalMilliseconds;
    }

    private static void Report(List<double> directMs, List<double> gatewayMs)
    {
        directMs.Sort();
        gatewayMs.Sort();
        JsonObject result = new()
        {
            ["calls"] = directMs.Count,
            ["prompt_tokens"] = PromptTokens,
            ["new_tokens"] = NewTokens,
            ["direct_p50_ms"] = At(directMs, 0.50),
            ["direct_p99_ms"] = At(directMs, 0.99),
            ["gateway_p50_ms"] = At(gatewayMs, 0.50),
            ["gateway_p99_ms"] = At(gatewayMs, 0.99),
            ["added_p50_ms"] = At(gatewayMs, 0.50) - At(directMs, 0.50),
            ["added_p99_ms"] = At(gatewayMs, 0.99) - At(directMs, 0.99),
        };
        System.Console.WriteLine(result.ToJsonString(new System.Text.Json.JsonSerializerOptions { WriteIndented = true }));
    }

    private static double At(List<double> sorted, double quantile) => Math.Round(sorted[(int)Math.Min(sorted.Count - 1, Math.Floor(sorted.Count * quantile))], 3);

    private sealed class DirectSink : IStepSink
    {
        private readonly ConcurrentDictionary<SequenceId, TaskCompletionSource> waiting = [];

        public Task Expect(SequenceId id) => (waiting[id] = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

        public void OnStep(StepFact step)
        {
            foreach (SequenceStep part in step.Sequences)
            {
                if (part.Finish is not null && waiting.TryRemove(part.Id, out TaskCompletionSource? done)) done.SetResult();
            }
        }
    }
}
