using System.Collections.Immutable;
using Qanat.Books;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>What an upstream says, one event at a time, whatever language it speaks.</summary>
public abstract record UpstreamEvent;

/// <param name="Tokens">How many tokens the piece has, if the upstream says so (log probabilities); 0: it does not.</param>
public sealed record UpstreamPieces(int Choice, ImmutableArray<AnswerPiece> Pieces, int Tokens) : UpstreamEvent
{
    /// <summary>Log probabilities of these tokens, each a JSON object in OpenAI's words.</summary>
    public ImmutableArray<string> Logprobs { get; init; } = [];
}

public sealed record UpstreamFinish(int Choice, AnswerEnd Reason, string? StoppedBy = null) : UpstreamEvent;

/// <summary>What it read of one of the texts it was given.</summary>
public sealed record UpstreamRead(int Text, ImmutableArray<float> Values) : UpstreamEvent;

/// <summary>What it will ask for. A later one replaces an earlier one.</summary>
public sealed record UpstreamUsage(TokenCounts Tokens) : UpstreamEvent;

/// <summary>The answer is complete.</summary>
public sealed record UpstreamDone : UpstreamEvent;

/// <summary>A failure on the upstream's side. Message is for the operator: it never reaches a client.</summary>
/// <param name="kind">What follows from it.</param>
public sealed class UpstreamException(UpstreamFailure kind, string message, TimeSpan? retryAfter = null, Exception? inner = null) : Exception(message, inner)
{
    public UpstreamFailure Kind { get; } = kind;
    public TimeSpan? RetryAfter { get; } = retryAfter;
}

public enum UpstreamFailure
{
    /// <summary>It could not be reached, or answered that it cannot serve: another may.</summary>
    Unavailable,

    /// <summary>It is busy, and may have said until when.</summary>
    Busy,

    /// <summary>Our key or account there is not in order: nobody can be served by it until the operator sees to it.</summary>
    NotInOrder,

    /// <summary>It finds the request itself wrong: another would too.</summary>
    Refused,

    /// <summary>It said nothing for too long.</summary>
    TimedOut,

    /// <summary>Its answer broke off, or is not what its protocol says.</summary>
    Cut,
}

/// <summary>A language of upstreams: how a call is asked, and what the answer's events mean.</summary>
internal interface IUpstreamWire
{
    /// <summary>Below the upstream's address.</summary>
    string PathOf(Call call);

    /// <summary>The body of the request.</summary>
    void Write(System.Text.Json.Utf8JsonWriter json, Call call, UpstreamModel model, int? maxTokens, bool stream);

    void Authorize(HttpRequestMessage request, string secret);

    /// <summary>A reader for one answer.</summary>
    IAnswerEvents Read(Call call);
}

/// <summary>Makes events of the data of one answer.</summary>
internal interface IAnswerEvents
{
    /// <summary>One server-sent event.</summary>
    /// <exception cref="UpstreamException">It tells a failure, or makes no sense.</exception>
    void Take(ReadOnlySpan<byte> data, List<UpstreamEvent> events);

    /// <summary>A whole answer, if it is one of those that are known to have come to their end when they are read. False: nothing of it was taken.</summary>
    bool TryTakeWhole(ReadOnlySpan<byte> body, List<UpstreamEvent> events) => false;

    /// <summary>A whole answer.</summary>
    /// <exception cref="UpstreamException">As above.</exception>
    void TakeWhole(ReadOnlySpan<byte> body, List<UpstreamEvent> events);

    /// <summary>The stream ended: adds what that completes.</summary>
    /// <exception cref="UpstreamException">It ended before the answer did.</exception>
    void End(List<UpstreamEvent> events);
}
