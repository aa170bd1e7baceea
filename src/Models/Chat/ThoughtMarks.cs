using System.Collections.Immutable;

namespace Qanat.Models;

/// <summary>A model's thought in its tokens.</summary>
/// <param name="IsOpen">The prompt ends within it.</param>
public sealed record ThoughtMarks(int OpenToken, int CloseToken, bool IsOpen)
{
    /// <summary>Tokens after which a thought is ended; null: it may go on.</summary>
    public int? TokensMax { get; init; }

    /// <summary>What ends a thought that takes too long, the closing token included.</summary>
    public ImmutableArray<int> Ending { get; init; } = [];
}
