using System.Collections.Immutable;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Qanat.Engine;
using Qanat.Kernels;
using Qanat.Models;

namespace Qanat.Cli;

/// <summary>How fast a model file runs here: prompt tokens and generated tokens per second of device time, peak memory, time to load.</summary>
internal sealed record Benchmark(string File, int PromptTokens, int GeneratedTokens, int Parallel, int? Threads, int Repeats, KvFormat Kv)
{
    private readonly ModelMemory memory = ModelMemory.For(File);

    /// <exception cref="CommandException">The file cannot be loaded.</exception>
    public async Task<JsonObject> RunAsync(IProgress<string> progress, CancellationToken cancel)
    {
        long began = Stopwatch.GetTimestamp();
        using LoadedModel model = await Task.Run(() => LoadModel(progress, cancel), cancel);
        double loadSeconds = Stopwatch.GetElapsedTime(began).TotalSeconds;
        model.Network.PackNext(long.MaxValue);
        long loadedBytes = Environment.WorkingSet;
        CollectingSink sink = new();
        EngineOptions options = new() { KvBytesMax = memory.Kv, StateBytesMax = memory.States };
        await using InferenceEngine engine = new(model, options, sink, TimeProvider.System);
        progress.Report($"{Path.GetFileName(File)}: {engine.Status.KernelTier}");
        if (PromptTokens + (long)GeneratedTokens > engine.ContextLength)
            throw new CommandException($"A sequence can have {engine.ContextLength} tokens here, which --prompt and --gen share: {PromptTokens} and {GeneratedTokens} are too many.");
        await RunOnceAsync(engine, sink, model.Tokenizer.Count, Math.Min(PromptTokens, 32), Math.Min(GeneratedTokens, 4), seed: 0, cancel);

        List<double> prefill = [], decode = [];
        for (int repeat = 1; repeat <= Repeats; repeat++)
        {
            progress.Report($"run {repeat} of {Repeats}");
            Totals totals = await RunOnceAsync(engine, sink, model.Tokenizer.Count, PromptTokens, GeneratedTokens, repeat, cancel);
            prefill.Add(totals.PrefillTokensPerSecond);
            decode.Add(totals.DecodeTokensPerSecond);
        }
        return new JsonObject
        {
            ["model"] = Path.GetFileName(File),
            ["kernels"] = engine.Status.KernelTier,
            ["prompt_tokens"] = PromptTokens,
            ["generated_tokens"] = GeneratedTokens,
            ["parallel"] = Parallel,
            ["threads"] = Threads ?? Environment.ProcessorCount,
            ["repeats"] = Repeats,
            ["prefill_tokens_per_s"] = Median(prefill),
            ["decode_tokens_per_s"] = Median(decode),
            ["kv_format"] = Kv.ToString(),
            ["loaded_rss_bytes"] = loadedBytes,
            ["peak_rss_bytes"] = PeakRssBytes(),
            ["load_s"] = loadSeconds,
        };
    }

    private LoadedModel LoadModel(IProgress<string> progress, CancellationToken cancel)
    {
        try
        {
            return LoadedModel.Load(File, new LoadOptions { Threads = Threads, Kv = Kv, KvBytesMax = memory.Kv, StateBytesMax = memory.States }, progress, cancel);
        }
        catch (ModelFileException error)
        {
            throw new CommandException(error.Message, error);
        }
    }

    /// <summary>All sequences start together. Decoding rates leave out each sequence's first token: it comes from its last prompt step.</summary>
    private async Task<Totals> RunOnceAsync(InferenceEngine engine, CollectingSink sink, int vocabulary, int prompt, int generate, int seed, CancellationToken cancel)
    {
        Random random = new(seed);
        Task<Totals> done = sink.Expect(Parallel);
        for (int choice = 0; choice < Parallel; choice++)
        {
            ImmutableArray<int> tokens = [.. Enumerable.Range(0, prompt).Select(_ => random.Next(vocabulary))];
            Guid id = new(seed, (short)choice, 0, [0, 0, 0, 0, 0, 0, 0, 0]);
            engine.Submit(new SequenceRequest(new SequenceId(id, choice), tokens, generate, generate, new SamplingOptions { Temperature = 0 }, [], -1, IgnoreStopTokens: true, "bench"));
        }
        return await done.WaitAsync(cancel);
    }

    private static double Median(List<double> values)
    {
        values.Sort();
        return values.Count % 2 == 1 ? values[values.Count / 2] : (values[values.Count / 2 - 1] + values[values.Count / 2]) / 2;
    }

    /// <summary>VmHWM where the kernel tells it; the runtime's own peak elsewhere.</summary>
    private static long PeakRssBytes()
    {
        if (System.IO.File.Exists("/proc/self/status"))
        {
            string? line = System.IO.File.ReadLines("/proc/self/status").FirstOrDefault(each => each.StartsWith("VmHWM:", StringComparison.Ordinal));
            if (line is not null && long.TryParse(line.AsSpan(6).Trim().ToString().Split(' ')[0], out long kilobytes)) return kilobytes * 1024;
        }
        using Process self = Process.GetCurrentProcess();
        return self.PeakWorkingSet64;
    }

    private sealed record Totals(long PromptTokens, long PrefillNs, long DecodedTokens, long DecodeNs)
    {
        public double PrefillTokensPerSecond => PrefillNs == 0 ? 0 : PromptTokens * 1e9 / PrefillNs;
        public double DecodeTokensPerSecond => DecodeNs == 0 ? 0 : DecodedTokens * 1e9 / DecodeNs;
    }

    private sealed class CollectingSink : IStepSink
    {
        private TaskCompletionSource<Totals> done = new();
        private Totals totals = new(0, 0, 0, 0);
        private int unfinished;

        public Task<Totals> Expect(int sequences)
        {
            done = new TaskCompletionSource<Totals>(TaskCreationOptions.RunContinuationsAsynchronously);
            totals = new Totals(0, 0, -sequences, 0);
            unfinished = sequences;
            return done.Task;
        }

        public void OnStep(StepFact step)
        {
            foreach (SequenceStep part in step.Sequences)
            {
                totals = new Totals(totals.PromptTokens + part.PromptTokensComputed, totals.PrefillNs + part.PrefillNanoseconds,
                    totals.DecodedTokens + part.Tokens.Length, totals.DecodeNs + part.DecodeNanoseconds);
                if (part.Finish is null) continue;
                if (part.Finish == FinishReason.Failed) done.TrySetException(new CommandException("The engine failed during the run."));
                if (--unfinished == 0) done.TrySetResult(totals);
            }
        }
    }
}
