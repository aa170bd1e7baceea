using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>The head of a published reranker file: a row that speaks for a document and one that speaks against it, cut out of the output matrix by whoever converted the model (ADR 75).
/// Where that matrix is not the embedding, the file has it no more: then only this ranks rightly, and nothing generates.</summary>
public sealed unsafe class RankingHead
{
    private const string Tensor = "cls.output.weight";

    // Angles between rows of one matrix at four bits and more are far smaller, those between an embedding and an output matrix of its own far larger.
    private const double SameRowCosineMin = 0.9;

    private static readonly string[] OtherParts = ["cls.weight", "cls.bias", "cls.norm.weight", "cls.output.bias"];

    private readonly float[] _yes;
    private readonly float[] _no;

    private RankingHead(float[] yes, float[] no) => (_yes, _no) = (yes, no);

    /// <summary>The head of a file; null: it has none.</summary>
    /// <param name="hidden">Numbers of a hidden vector.</param>
    /// <exception cref="ModelFileException">The head is not two rows for "yes" and "no".</exception>
    internal static RankingHead? Read(ModelSource file, int hidden)
    {
        if (!file.TryTensor(Tensor, out GgufTensor? head))
            return null;
        if (head.Shape.Length != 2 || head.Shape[0] != hidden || head.Shape[1] != 2)
            throw file.Bad($"tensor {head} is the head of a model that ranks; it must have shape [{hidden}, 2], a row for \"yes\" and one for \"no\"");
        if (Array.Find(OtherParts, file.HasTensor) is { } other)
            throw file.Bad($"tensor {file.Tensor(other)} belongs to a head that ranks in another way than by \"yes\" and \"no\"; supported is {Tensor} alone");
        int yes = YesRow(file);
        return new RankingHead(Row(file, head, yes), Row(file, head, 1 - yes));
    }

    /// <summary>The probability of "yes" against "no", by the hidden vector behind a prompt of <see cref="RerankFormat"/>: between 0 and 1.</summary>
    public double Score(ReadOnlySpan<float> hidden) => RerankFormat.Score((float)Dot(_yes, hidden), (float)Dot(_no, hidden));

    /// <summary>Its rows are those that the embedding has for two tokens, but for their rounding: the embedding is the output matrix.</summary>
    /// <exception cref="ModelFileException">The vocabulary cannot tell the two words apart.</exception>
    internal bool IsOfEmbedding(ModelSource file, BpeTokenizer tokenizer)
    {
        RerankFormat words;
        try
        {
            words = new RerankFormat(tokenizer);
        }
        catch (ArgumentException e)
        {
            throw file.Bad($"{e.Message}");
        }
        GgufTensor embedding = file.Tensor("token_embd.weight");
        return Cosine(_yes, Row(file, embedding, words.Yes)) >= SameRowCosineMin && Cosine(_no, Row(file, embedding, words.No)) >= SameRowCosineMin;
    }

    /// <summary>Which row is "yes": as the labels say, where there are any, else the first, as llama.cpp's converter writes them.</summary>
    private static int YesRow(ModelSource file)
    {
        string key = file.Text("general.architecture") + ".classifier.output_labels";
        if (!file.Has(key))
            return 0;
        string[] labels = file.Texts(key);
        int yes = Array.FindIndex(labels, label => label.Equals("yes", StringComparison.OrdinalIgnoreCase));
        return labels.Length == 2 && yes >= 0 && labels[1 - yes].Equals("no", StringComparison.OrdinalIgnoreCase)
            ? yes
            : throw file.Bad($"metadata \"{key}\" is {string.Join(", ", labels)}; supported are heads that rank by \"yes\" and \"no\"");
    }

    private static float[] Row(ModelSource file, GgufTensor tensor, int row)
    {
        WeightFormat format = WeightReader.Format(file, tensor);
        var singles = new float[tensor.Shape[0]];
        using TensorData data = file.Read(tensor);
        Dequantize.Row(format, data.Pointer + row * WeightFormats.RowBytes(format, singles.Length), singles);
        return singles;
    }

    private static double Cosine(float[] a, float[] b) => Dot(a, b) / Math.Sqrt(Dot(a, a) * Dot(b, b));

    private static double Dot(ReadOnlySpan<float> a, ReadOnlySpan<float> b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++)
            sum += (double)a[i] * b[i];
        return sum;
    }
}
