using System.Collections.Immutable;
using Qanat.Books;
using Qanat.Engine;

namespace Qanat.Gateway;

/// <summary>A parsed and authenticated request, whatever API it came in by.</summary>
/// <param name="MaxTokens">Null: what is left of the context. Larger values are clamped to it.</param>
/// <param name="TopLogprobs">-1: none.</param>
public sealed record Call(Caller Caller, Operation Operation, ModelName Model, ImmutableArray<int> Prompt, int Choices, int? MaxTokens, SamplingOptions Sampling,
    ImmutableArray<string> Stop, int TopLogprobs, bool IgnoreStopTokens, string? UserTag);

/// <summary>Who calls: the key that was shown, and whose it is.</summary>
public sealed record Caller(Tenant Tenant, Project Project, ApiKey Key);

/// <summary>What the client may be told, in order: Admitted first; Deltas and one ChoiceFinished per choice; Settled last. Each is durable in the books before it is handed out.</summary>
public abstract record CallEvent;

/// <summary>The hold is placed. Rates null: unpriced.</summary>
public sealed record Admitted(RequestId Id, Instant At, Money HoldAmount, TokenRates? Rates) : CallEvent;
public sealed record Delta(int Choice, string Text, ImmutableArray<GeneratedToken> Tokens) : CallEvent;
public sealed record ChoiceFinished(int Choice, FinishReason Reason) : CallEvent;
public sealed record Settled(UsageRecord Record) : CallEvent;

/// <summary>An error for the client, in OpenAI's terms.</summary>
public sealed class ApiException(int status, string type, string code, string message, string? param = null, TimeSpan? retryAfter = null) : Exception(message)
{
    public int Status { get; } = status;
    public string Type { get; } = type;
    public string Code { get; } = code;
    public string? Param { get; } = param;
    public TimeSpan? RetryAfter { get; } = retryAfter;
}
