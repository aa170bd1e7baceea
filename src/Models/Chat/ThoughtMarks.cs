using System.Collections.Immutable;

namespace Qanat.Models;

/// <summary>How a thought is told from the answer behind it, as <see cref="AnswerReader"/> tells it.</summary>
/// <param name="IsOpen">The prompt ends within it.</param>
public sealed record ThoughtMarks(string Open, string Close, bool IsOpen)
{
    /// <summary>At the beginning of a line this ends it as well; null: nothing is read as a call.</summary>
    public string? Call { get; init; }

    /// <summary>Tokens after which a thought is ended; null: it may go on.</summary>
    public int? TokensMax { get; init; }

    /// <summary>What ends a thought that takes too long, in tokens, the closing mark included.</summary>
    public ImmutableArray<int> Ending { get; init; } = [];
}
