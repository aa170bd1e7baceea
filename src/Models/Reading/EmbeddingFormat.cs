namespace Qanat.Models;

/// <summary>How texts become prompts, and hidden vectors embeddings, as Qwen3-Embedding was trained: queries carry their task, documents stand as they are, the vector is that of the end-of-text token.
/// Source: https://github.com/QwenLM/Qwen3-Embedding.</summary>
public sealed class EmbeddingFormat
{
    private const string EndOfText = "<|endoftext|>";

    private readonly BpeTokenizer _tokenizer;
    private readonly int _endOfText;

    /// <exception cref="ArgumentException">The vocabulary has no end-of-text token.</exception>
    public EmbeddingFormat(BpeTokenizer tokenizer)
    {
        _tokenizer = tokenizer;
        if (!tokenizer.TryTokenOf(EndOfText, out _endOfText))
            throw new ArgumentException($"the vocabulary has no {EndOfText}: this is not a model of the Qwen family", nameof(tokenizer));
    }

    /// <summary>The prompt of a document, or of a query of a model that wants no task.</summary>
    public int[] Document(string text) => [.. _tokenizer.Encode(text, SpecialText.AsPlainText), _endOfText];

    /// <summary>The prompt of a query.</summary>
    /// <param name="task">What the search is for, in a sentence: "Given a web search query, retrieve relevant passages that answer the query".</param>
    public int[] Query(string task, string text) => Document(QueryText(task, text));

    /// <summary>The same as text, for engines that read it themselves.</summary>
    public static string QueryText(string task, string text) => $"Instruct: {task}\nQuery:{text}";

    /// <summary>The embedding that a hidden vector stands for: its first <paramref name="dimensions"/> numbers (the models are trained so that a beginning is an embedding too), scaled to length 1.</summary>
    /// <param name="hidden">As the network gives it.</param>
    /// <param name="dimensions">1 to hidden.Length.</param>
    /// <returns>Zeros when the numbers are all zero.</returns>
    public static float[] Finish(ReadOnlySpan<float> hidden, int dimensions)
    {
        if (dimensions < 1 || dimensions > hidden.Length)
            throw new ArgumentOutOfRangeException(nameof(dimensions), dimensions, FormattableString.Invariant($"an embedding of this model has 1 to {hidden.Length} dimensions"));
        double squares = 0;
        foreach (float value in hidden[..dimensions])
            squares += (double)value * value;
        double scale = squares > 0 ? 1 / Math.Sqrt(squares) : 0;
        var embedding = new float[dimensions];
        for (int i = 0; i < dimensions; i++)
            embedding[i] = (float)(hidden[i] * scale);
        return embedding;
    }
}
