using System.Collections.Immutable;

namespace Qanat.Bench;

/// <summary>Takes turns, ours and the peer's, so that both meet the same neighbours on a shared machine; ratios are of the same round.</summary>
internal static class Comparison
{
    public static BenchReport Run(BenchOptions options, TextWriter log)
    {
        LlamaRun? peer = LlamaRun.FromEnvironment(options);
        // Before this process takes the memory and the processors' attention.
        (double[] loads, double[] peerLoads) = Loads(options, peer);
        double loadSeconds = Median(loads);
        double? peerLoadSeconds = peer is null ? null : Median(peerLoads);
        MemoryPeak peak = OwnRun.Peak(options);
        using var own = new OwnRun(options);
        log.WriteLine(FormattableString.Invariant($"{Path.GetFileName(options.Model)}, {own.Tier}"));
        log.WriteLine(FormattableString.Invariant($"load             {loadSeconds,8:F2} s") + (peerLoadSeconds is { } known ? FormattableString.Invariant($"       llama.cpp {known,8:F2}   ratio {Median(loads.Zip(peerLoads, (a, b) => a / b)):F2} (less is better)") : ""));
        PackingPauses packing = own.Pack();
        log.WriteLine(FormattableString.Invariant($"packing          {packing.Count} pauses between steps: median {packing.MedianMs:F1} ms, longest {packing.LongestMs:F1} ms, {100 * packing.Share:F0} % of the time; a step meanwhile {packing.StepMs:F1} ms"));
        own.Prefill(32);
        own.Decode(1, 4);

        var measures = ImmutableArray.CreateBuilder<Measure>();
        measures.Add(Take(options, log, FormattableString.Invariant($"prefill {options.PromptTokens}"), () => own.Prefill(options.PromptTokens), peer is null ? null : () => peer.Prefill(options.PromptTokens)));
        measures.Add(Take(options, log, FormattableString.Invariant($"decode {options.DecodeTokens}"), () => own.Decode(1, options.DecodeTokens), peer is null ? null : () => peer.Decode(options.DecodeTokens)));
        foreach (int parallel in options.Parallel)
            measures.Add(Take(options, log, FormattableString.Invariant($"decode {options.DecodeTokens} x {parallel}"), () => own.Decode(parallel, options.DecodeTokens), peer is null ? null : () => peer.Decode(parallel, options.DecodeTokens)));
        long fileBytes = new FileInfo(options.Model).Length;
        log.WriteLine(FormattableString.Invariant($"peak memory      {peak.Bytes / 1e6,8:F0} MB, {(double)peak.Bytes / (fileBytes + peak.CacheBytes):F3} of file, keys and values"));
        return new BenchReport(Path.GetFileName(options.Model), fileBytes, options.Threads, own.Tier, peer?.Name, loadSeconds, peerLoadSeconds, peak, packing, measures.ToImmutable());
    }

    private static (double[] Ours, double[] Theirs) Loads(BenchOptions options, LlamaRun? peer)
    {
        var ours = new double[Math.Max(3, options.Rounds)];
        var theirs = new double[peer is null ? 0 : ours.Length];
        for (int round = 0; round < ours.Length; round++)
        {
            ours[round] = OwnRun.Load(options);
            if (peer is not null)
                theirs[round] = peer.Load();
        }
        return (ours, theirs);
    }

    private static Measure Take(BenchOptions options, TextWriter log, string name, Func<double> own, Func<double>? peer)
    {
        var ours = new double[options.Rounds];
        var theirs = new double[peer is null ? 0 : options.Rounds];
        for (int round = 0; round < options.Rounds; round++)
        {
            ours[round] = own();
            if (peer is not null)
                theirs[round] = peer();
        }
        double? ratio = peer is null ? null : Median(ours.Zip(theirs, (a, b) => a / b));
        log.WriteLine(FormattableString.Invariant($"{name,-16} {Median(ours),8:F1} tok/s") + (ratio is { } known ? FormattableString.Invariant($"   llama.cpp {Median(theirs),8:F1}   ratio {known:F2}") : ""));
        return new Measure(name, [.. ours], [.. theirs], ratio);
    }

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }
}
