using System.Collections.Immutable;
using Qanat.Books;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>A parsed and authenticated request, whatever API it came in by.</summary>
/// <param name="MaxTokens">Null: what is left of the context. Larger values are clamped to it.</param>
/// <param name="TopLogprobs">-1: none.</param>
public sealed record Call(Caller Caller, Operation Operation, ModelName Model, ImmutableArray<int> Prompt, int Choices, int? MaxTokens, SamplingOptions Sampling,
    ImmutableArray<string> Stop, int TopLogprobs, bool IgnoreStopTokens, string? UserTag)
{
    /// <summary>What the prompt was rendered from, for engines that render it themselves; null: the prompt is text that nobody said (completions).</summary>
    public Conversation? Conversation { get; init; }

    /// <summary>What is read after the prompt instead of generating; null: it generates.</summary>
    public PromptReading? Reading { get; init; }

    /// <summary>Texts that an upstream is to read instead of generating; null: it generates, or the built-in engine reads.</summary>
    public TextsAsked? Texts { get; init; }

    /// <summary>It is answered by numbers.</summary>
    public bool Reads => Reading is not null || Texts is not null;

    /// <summary>The id it will have in the books, made before it is served by whoever must find it there again; null: one is made.</summary>
    public RequestId? Id { get; init; }

    /// <summary>It replaces an answer that was charged and lost: it is served and costed, and not charged.</summary>
    public bool IsWaived { get; init; }

    /// <summary>Cancelled when its tenant is stopped: it ends then, and tells what it is charged.</summary>
    internal CancellationToken Stopping { get; init; }

    /// <summary>What it shares with the other calls of its request; null: it is the only one.</summary>
    internal RequestFate? Fate { get; init; }

    /// <summary>Which of them it is.</summary>
    internal int Part { get; init; }

    /// <summary>What was taken of its tokens a minute; null: nothing counts them.</summary>
    internal TakenTokens? Tokens { get; init; }

    /// <summary>It is costed and not charged, whatever became of it.</summary>
    internal bool IsUncharged => IsWaived || Fate is { HasFailed: true };

    /// <summary>The text that the prompt was made of (completions); null: it came as tokens, or is a conversation.</summary>
    public string? PromptText { get; init; }

    /// <summary>What the client says its requests have in common, so that they may go to where their beginning is cached.</summary>
    public string? Session { get; init; }

    /// <summary>Nobody sees the answer before it is whole: it may be fetched as a whole.</summary>
    public bool Whole { get; init; }

    /// <summary>How many tokens of the prompt, from its beginning, the request asked to be kept in a cache. 0: it asked for none, and what is found in the cache is found by chance.</summary>
    public int CacheTokens { get; init; }

    /// <summary>How cached prompt tokens of this request are priced.</summary>
    public CacheMode Cache => CacheTokens > 0 || AsksUpstreamToCache ? CacheMode.Explicit : CacheMode.Implicit;

    /// <summary>Only the upstream knows the tokens; it is told where the marks are.</summary>
    private bool AsksUpstreamToCache => Prompt.IsEmpty && Operation != Operation.Batch && Conversation?.CachedMessages is not null;

    /// <summary>A choice ends when it has repeated itself for this many tokens; null: it may.</summary>
    public int? LoopTokensMax { get; init; }
}

/// <summary>Who calls: the key that was shown, and whose it is.</summary>
public sealed record Caller(Tenant Tenant, Project Project, ApiKey Key)
{
    public KeyTerms Terms => KeyTerms.Of(Key);

    /// <summary>Where the state of its rates is told; null: it has none, or nobody is told.</summary>
    public ToldRates? Told { get; init; }
}

/// <summary>What the client may be told, in order: Admitted first; Deltas and one ChoiceFinished per choice; Settled last. Each is durable in the books before it is handed out.</summary>
public abstract record CallEvent;

/// <summary>The hold is placed. Rates null: unpriced.</summary>
public sealed record Admitted(RequestId Id, Instant At, Money HoldAmount, TokenRates? Rates) : CallEvent
{
    /// <summary>The model that stands in for the one asked for; null: that one answers.</summary>
    public ModelName? ServedModel { get; init; }

    /// <summary>How many upstreams were tried, with the one that answers if one does.</summary>
    public int Attempts { get; init; }
}

/// <param name="Tokens">Tokens that were generated meanwhile; their text may be in earlier or later pieces, or in none.</param>
public sealed record Delta(int Choice, ImmutableArray<AnswerPiece> Pieces, ImmutableArray<GeneratedToken> Tokens) : CallEvent
{
    /// <summary>Log probabilities of its tokens as an upstream told them: entries of OpenAI's "content", each a JSON object. Empty: there are none, or they are in the tokens.</summary>
    public ImmutableArray<string> ToldLogprobs { get; init; } = [];
}

/// <summary>What a call asked to read.</summary>
public sealed record PromptRead(ImmutableArray<float> Values) : CallEvent
{
    /// <summary>Which text of the call, where it has several.</summary>
    public int Text { get; init; }
}

/// <param name="StoppedBy">The stop string that ended it; null: none did.</param>
public sealed record ChoiceFinished(int Choice, AnswerEnd Reason, string? StoppedBy = null) : CallEvent;

public sealed record Settled(UsageRecord Record) : CallEvent
{
    /// <summary>As in <see cref="Admitted"/>, but always known.</summary>
    public ModelName? ServedModel { get; init; }
}

/// <summary>Why an answer ended.</summary>
public enum AnswerEnd
{
    /// <summary>The model ended its turn, or wrote a stop string.</summary>
    Stop,

    /// <summary>The model ended its turn after calling tools: it waits for their results.</summary>
    ToolCalls,

    Length,

    /// <summary>An upstream withheld the rest.</summary>
    ContentFilter,

    Budget,

    /// <summary>It repeated itself for longer than it was allowed to.</summary>
    Loop,

    Cancelled,
    Failed,
}

/// <summary>An error for the client, in OpenAI's terms.</summary>
public sealed class ApiException(int status, string type, string code, string message, string? param = null, TimeSpan? retryAfter = null) : Exception(message)
{
    public int Status { get; } = status;
    public string Type { get; } = type;
    public string Code { get; } = code;
    public string? Param { get; } = param;
    public TimeSpan? RetryAfter { get; } = retryAfter;
}
