using System.Collections.Immutable;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>How a model is asked for vectors and scores.</summary>
/// <param name="Dimensions">Numbers of a vector.</param>
/// <param name="Document">The prompt of a text.</param>
/// <param name="Query">The prompt of a query, of its task and its text.</param>
/// <param name="Yes">The token whose logit speaks for a document.</param>
/// <param name="No">The token whose logit speaks against it.</param>
/// <param name="Ranking">The prompt after which they, or what <see cref="Head"/> needs, are read, of instruction, query and document.</param>
public sealed record ReadModel(int Dimensions, Func<string, int[]> Document, Func<string, string, int[]> Query, int Yes, int No, Func<string, string, string, int[]> Ranking)
{
    /// <summary>What ranks in place of the two tokens; null: they do.</summary>
    public RankingHead? Head { get; init; }

    /// <summary>What is read after the prompt of a pair.</summary>
    public PromptReading Judgement => Head is null ? new PromptReading([Yes, No]) : PromptReading.HiddenVector;

    /// <summary>The score of a pair, of the numbers that were read.</summary>
    public double ScoreOf(ImmutableArray<float> values) => Head?.Score(values.AsSpan()) ?? RerankFormat.Score(values[0], values[1]);
}
