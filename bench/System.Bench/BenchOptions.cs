using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;

namespace Qanat.Bench;

/// <summary>What to measure.</summary>
internal sealed record BenchOptions
{
    public required string Model { get; init; }
    public int Threads { get; init; } = 2;
    public int Rounds { get; init; } = 3;
    public int PromptTokens { get; init; } = 512;
    public int DecodeTokens { get; init; } = 64;
    public ImmutableArray<int> Parallel { get; init; } = [4, 8, 16];
    public string? Json { get; init; }

    public static int Number(string text) => int.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);
}

/// <summary>One measure: tokens per second of each round, ours and the peer's.</summary>
/// <param name="Ratio">Median of the rounds' ratios, ours to the peer's; null without a peer.</param>
internal sealed record Measure(string Name, ImmutableArray<double> Ours, ImmutableArray<double> Peer, double? Ratio);

/// <summary>All measures and what they were measured with.</summary>
/// <param name="LoadSeconds">A process of its own from start to end, in which the model is loaded and one token computed; median.</param>
/// <param name="PeerLoadSeconds">The same of the peer.</param>
/// <param name="Packing">What was waited for after loading.</param>
internal sealed record BenchReport(string Model, long ModelBytes, int Threads, string Tier, string? Peer, double LoadSeconds, double? PeerLoadSeconds, MemoryPeak Peak, PackingPauses Packing, ImmutableArray<Measure> Measures)
{
    public static JsonSerializerOptions Layout { get; } = new(JsonSerializerDefaults.Web) { WriteIndented = true };
}

/// <summary>What a process needs at most that does nothing but run the network.</summary>
/// <param name="Bytes">Its largest working set.</param>
/// <param name="CacheBytes">Keys and values of the largest measure.</param>
internal sealed record MemoryPeak(long Bytes, long CacheBytes);

/// <summary>What a sequence that is served right after loading waits for between its steps, until all weights are packed.</summary>
/// <param name="Share">Of the time until then.</param>
/// <param name="StepMs">A step meanwhile, which packs on its way what is not packed yet; median.</param>
internal sealed record PackingPauses(int Count, double MedianMs, double LongestMs, double Share, double StepMs);
