using Qanat.Models;

namespace Qanat.Engine;

/// <summary>
/// The work one row causes, in multiply-accumulates: a constant part for the weights every row passes through, a part that grows with the tokens it attends to, and the
/// output head for rows whose logits are wanted. It is what a step's time is split by and what fair shares are counted in.
/// It measures arithmetic: a step's fixed cost of reading the weights is shared in the same proportion, so a row is cheaper in company than alone, as it truly is.
/// </summary>
internal readonly record struct StepWork(long PerRow, long PerContextToken, long PerLogitRow)
{
    /// <summary>Per row the matrices it passes through (of experts those it uses) and the recurrent states; per token attended to, the layers that attend.</summary>
    public static StepWork Of(ModelShape shape)
    {
        long query = (long)shape.Heads * shape.HeadDim;
        long keyValue = (long)shape.KvHeads * shape.HeadDim;
        long attention = shape.Hidden * ((shape.HasOutputGate ? 3 : 2) * query + 2 * keyValue);
        // The state is scaled, read twice and written.
        long deltaNet = shape.DeltaNet is { } net ? shape.Hidden * ((long)net.Channels + 2 * net.Values + 2 * net.ValueHeads) + 4L * net.Values * net.KeyDim : 0;
        long feedForward = 3L * shape.Hidden * shape.FeedForward;
        if (shape.Experts is { } experts) feedForward += shape.Hidden * (experts.Count + 3L * experts.Used * experts.FeedForward + 3L * experts.SharedFeedForward);
        return new StepWork(shape.AttentionLayers * attention + shape.DeltaNetLayers * deltaNet + shape.Layers * feedForward, shape.AttentionLayers * 2 * query, (long)shape.Vocabulary * shape.Hidden);
    }

    /// <summary>Work of rows at consecutive positions; the row at position p attends to p + 1 tokens.</summary>
    public long OfRows(int firstPosition, int rowCount)
    {
        long attended = (long)rowCount * firstPosition + (long)rowCount * (rowCount + 1) / 2;
        return rowCount * PerRow + attended * PerContextToken;
    }
}
