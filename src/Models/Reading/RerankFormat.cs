namespace Qanat.Models;

/// <summary>How a query and a document become a question to be answered by "yes" or "no", and the logits of these two a score, as Qwen3-Reranker was trained.
/// Source: https://github.com/QwenLM/Qwen3-Embedding.</summary>
public sealed class RerankFormat
{
    /// <summary>What the models were trained with when nothing else is asked for.</summary>
    public const string DefaultInstruction = "Given a web search query, retrieve relevant passages that answer the query";

    private const string TurnStart = "<|im_start|>", TurnEnd = "<|im_end|>";

    private readonly BpeTokenizer _tokenizer;

    /// <exception cref="ArgumentException">"yes" and "no" begin with the same token.</exception>
    public RerankFormat(BpeTokenizer tokenizer)
    {
        _tokenizer = tokenizer;
        Yes = First("yes");
        No = First("no");
        if (Yes == No)
            throw new ArgumentException("\"yes\" and \"no\" begin with the same token: this model cannot answer by one of them", nameof(tokenizer));
    }

    /// <summary>The tokens whose logits are to be read: the words themselves in Qwen's vocabularies, else what they begin with.</summary>
    public int Yes { get; }
    public int No { get; }

    /// <summary>The prompt after which the logits are read. What the three texts say never becomes a mark.</summary>
    public int[] Prompt(string instruction, string query, string document) => new PromptWriter(_tokenizer)
        .Mark(TurnStart).Text("system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. Note that the answer can only be \"yes\" or \"no\".")
        .Mark(TurnEnd).Text("\n")
        .Mark(TurnStart).Text($"user\n<Instruct>: {instruction}\n<Query>: {query}\n<Document>: {document}")
        .Mark(TurnEnd).Text("\n")
        .Mark(TurnStart).Text("assistant\n").Mark("<think>").Text("\n\n").Mark("</think>").Text("\n\n")
        .Finish();

    /// <summary>The probability of "yes" against "no": between 0 and 1.</summary>
    public static double Score(float yes, float no) => 1 / (1 + Math.Exp((double)no - yes));

    private int First(string word) => _tokenizer.Encode(word, SpecialText.AsPlainText)[0];
}
