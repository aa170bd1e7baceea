using System.Collections.Immutable;
using Qanat.Books;
using Qanat.Engine;

namespace Qanat.Gateway;

/// <summary>What one commit of the meter writes, and what follows once it is durable.</summary>
internal sealed class MeterPlan
{
    private readonly HashSet<RunningCall> touched = [];

    public IReadOnlyCollection<RunningCall> Touched => touched;
    public CapacityRecord? Capacity { get; set; }
    public long BusyNanoseconds { get; set; }
    public long PromptTokens { get; private set; }
    public long GeneratedTokens { get; private set; }
    public List<Fact> Facts { get; } = [];
    public List<(RunningCall Call, CallEvent Happened)> Events { get; } = [];
    public List<RunningCall> Extended { get; } = [];
    public List<RunningCall> Released { get; } = [];
    public List<(RunningCall Call, UsageRecord Record)> Settled { get; } = [];

    public void Add(RunningCall call, SequenceStep part, Instant at)
    {
        call.Add(part, at);
        touched.Add(call);
        PromptTokens += part.PromptTokensComputed;
        GeneratedTokens += part.Tokens.Length;
        foreach (CallEvent happened in call.Tell(part)) Events.Add((call, happened));
    }

    public Fact ToFact()
    {
        ImmutableArray<UsageProgress> progress = [.. touched.Select(call => call.Progress)];
        ImmutableArray<CapacityRecord> capacity = Capacity is { } record ? [record] : [];
        return new Together([new StepsMetered(progress, capacity), .. Facts]);
    }
}
