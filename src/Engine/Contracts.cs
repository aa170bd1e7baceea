using System.Collections.Immutable;
using Qanat.Models;

namespace Qanat.Engine;

/// <summary>One of the choices of a request.</summary>
public readonly record struct SequenceId(Guid Request, int Choice);

/// <summary>How tokens are drawn. Temperature 0 is greedy. TopK 0, TopP 1 and MinP 0 switch those filters off.</summary>
public sealed record SamplingOptions
{
    public float Temperature { get; init; } = 1;
    public int TopK { get; init; }
    public float TopP { get; init; } = 1;
    public float MinP { get; init; }
    public float RepetitionPenalty { get; init; } = 1;
    public float PresencePenalty { get; init; }
    public float FrequencyPenalty { get; init; }
    public ImmutableDictionary<int, float> LogitBias { get; init; } = ImmutableDictionary<int, float>.Empty;

    /// <summary>Same seed, same prompt, same options: same tokens, whatever else is in the batch.</summary>
    public ulong Seed { get; init; }
}

/// <summary>What the engine is asked to generate.</summary>
/// <param name="MaxNewTokens">The sequence ends with Length at this many tokens.</param>
/// <param name="AllowedNewTokens">The sequence pauses (is not planned) at this many tokens until <see cref="InferenceEngine.Allow"/> raises it or it is ended.</param>
/// <param name="TopLogprobs">Alternatives to report per token; -1: no logprobs at all.</param>
/// <param name="IgnoreStopTokens">Generate on past end-of-text tokens (benchmarks, load tests).</param>
public sealed record SequenceRequest(SequenceId Id, ImmutableArray<int> Prompt, int MaxNewTokens, int AllowedNewTokens, SamplingOptions Sampling,
    ImmutableArray<string> StopStrings, int TopLogprobs, bool IgnoreStopTokens, string FairnessGroup)
{
    /// <summary>Numbers to read after the prompt instead of generating; null: generate.</summary>
    public PromptReading? Reading { get; init; }

    /// <summary>What the answer must be; null: anything.</summary>
    public AnswerConstraint? Constraint { get; init; }

    /// <summary>Null: the model does not think, or nobody counts it.</summary>
    public ThinkingOptions? Thinking { get; init; }

    /// <summary>The sequence ends with Loop when it has repeated itself for this many tokens; null: it may.</summary>
    public int? LoopTokensMax { get; init; }

    /// <summary>A request that generates nothing: its last fact carries what was read.</summary>
    public static SequenceRequest ToRead(PromptReading reading, SequenceId id, ImmutableArray<int> prompt, string fairnessGroup) =>
        new(id, prompt, 1, 1, new SamplingOptions { Temperature = 0 }, [], -1, true, fairnessGroup) { Reading = reading };
}

/// <summary>What is read after the last token of a prompt: the hidden vector (embeddings), or the logits of a few tokens (rerankers: "yes" and "no").</summary>
/// <param name="Tokens">Whose logits, in this order; empty: the hidden vector.</param>
public sealed record PromptReading(ImmutableArray<int> Tokens)
{
    /// <summary>The network's output after the last norm: as many numbers as the model is wide, not scaled to length 1.</summary>
    public static PromptReading HiddenVector { get; } = new([]);

    internal bool IsHiddenVector => Tokens.IsEmpty;
}

/// <summary>Why a sequence ended. Loop: it repeated itself for longer than it may.</summary>
public enum FinishReason { Stop, Length, Cancelled, Budget, Failed, Loop }

public sealed record TokenLogprob(int Token, float Logprob);

/// <summary>A token and what the model itself (before bias, penalties, temperature and filters) thought of it.</summary>
/// <param name="Logprob">Natural logarithm of the model's probability; NaN when no logprobs were asked for.</param>
/// <param name="Top">The likeliest tokens, best first, as many as were asked for.</param>
public sealed record GeneratedToken(int Token, float Logprob, ImmutableArray<TokenLogprob> Top);

/// <summary>What one step did to one sequence. The nanoseconds of all sequences of a step sum to EndNs - StartNs exactly.</summary>
/// <param name="PromptTokensComputed">Prompt rows this step computed for the sequence (chunked prefill). Rows computed again after a preemption are not counted again.</param>
/// <param name="Text">Text that became certain in this step: complete characters, held back while it may begin a stop string.</param>
/// <param name="Finish">Set once, in the sequence's last fact.</param>
public sealed record SequenceStep(SequenceId Id, int PromptTokensComputed, ImmutableArray<GeneratedToken> Tokens, string Text, FinishReason? Finish, long PrefillNanoseconds, long DecodeNanoseconds)
{
    /// <summary>Prompt tokens read from the prefix cache instead of being computed. Over all facts of a sequence that computed its whole prompt,
    /// PromptTokensComputed and CachedPromptTokens sum to the length of the prompt.</summary>
    public int CachedPromptTokens { get; init; }

    /// <summary>What the request asked to read, in its last fact; else empty.</summary>
    public ImmutableArray<float> Reading { get; init; } = [];

    /// <summary>Of the tokens of this step, those of the model's thought.</summary>
    public int ReasoningTokens { get; init; }

    /// <summary>The stop string that ended it; null: none did.</summary>
    public string? StoppedBy { get; init; }

    /// <summary>Why the sequence failed, in words for the operator; null unless Finish is Failed.</summary>
    public string? Failure { get; init; }
}

/// <summary>One engine step. Times are nanoseconds on the engine's own monotonic clock; between steps the engine is idle.
/// Sequences that end without computing (cancelled while waiting) come with zero nanoseconds.</summary>
public sealed record StepFact(long Index, long StartNs, long EndNs, ImmutableArray<SequenceStep> Sequences);

/// <summary>Receives every step in order, on the engine's thread: hand it on and return at once.</summary>
public interface IStepSink
{
    void OnStep(StepFact step);
}

/// <summary>A snapshot for pages and metrics.</summary>
public sealed record EngineStatus(int Waiting, int Running, int BlocksFree, int BlocksCached, int BlocksUsed, long Steps, long PromptTokens, long GeneratedTokens, long NowNs, string KernelTier)
{
    /// <summary>How often a sequence lost its blocks to an older one or its place to another group, and had to read or compute them again.</summary>
    public long Preemptions { get; init; }

    /// <summary>Prompt tokens read from the prefix cache.</summary>
    public long CachedPromptTokens { get; init; }

    /// <summary>The recurrent states of a network that has them; null: it has none.</summary>
    public StateCounts? States { get; init; }

    /// <summary>Weights that still lie as the file has them, in bytes: until they are packed, between steps, steps take longer.</summary>
    public long UnpackedBytes { get; init; }

    /// <summary>The last thing that went wrong in a step, a sink or a sequence; null when nothing ever did.</summary>
    public string? LastFailure { get; init; }
}

/// <param name="Slots">States that there is memory for.</param>
/// <param name="Held">Of running sequences.</param>
/// <param name="Checkpoints">Kept, so that another sequence with the same beginning goes on from there; some may be held, too.</param>
public sealed record StateCounts(int Slots, int Held, int Checkpoints);

/// <summary>The waiting line is full: try again later.</summary>
public sealed class QueueFullException : Exception
{
    public QueueFullException(string message) : base(message) { }
    public QueueFullException(string message, Exception inner) : base(message, inner) { }
    public QueueFullException() { }
}
