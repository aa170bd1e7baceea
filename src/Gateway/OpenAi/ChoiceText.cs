using System.Collections.Immutable;
using System.Text;
using Qanat.Engine;

namespace Qanat.Gateway;

/// <summary>What one choice of an answer has said so far.</summary>
internal sealed class ChoiceText(int index, string echo)
{
    private readonly StringBuilder reasoning = new();
    private readonly StringBuilder content = new(echo);
    private readonly List<GeneratedToken> tokens = [];

    public int Index { get; } = index;
    public string Echo { get; } = echo;
    public string Reasoning => reasoning.ToString();
    public string Content => content.ToString();
    public IReadOnlyList<GeneratedToken> Tokens => tokens;
    public FinishReason Finish { get; private set; }

    /// <summary>Its first chunk was told.</summary>
    public bool IsOpened { get; set; }

    /// <summary>Characters of the tokens that were told already: where the next one begins in the text.</summary>
    public int TextOffset { get; set; }

    public void Add(AnswerPiece piece, ImmutableArray<GeneratedToken> generated)
    {
        reasoning.Append(piece.Reasoning);
        content.Append(piece.Content);
        tokens.AddRange(generated);
    }

    public void End(FinishReason reason) => Finish = reason;
}
