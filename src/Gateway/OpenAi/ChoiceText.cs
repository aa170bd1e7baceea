using System.Text;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>What one choice of an answer has said so far.</summary>
internal sealed class ChoiceText(int index, string echo)
{
    private GatheredText reasoning = new("");
    private GatheredText content = new(echo);
    private readonly List<GeneratedToken> tokens = [];
    private readonly List<string> toldLogprobs = [];
    private readonly List<(ToolCallStart Start, StringBuilder Arguments)> calls = [];

    public int Index { get; } = index;
    public string Echo { get; } = echo;
    public string Reasoning => reasoning.ToString();
    public string Content => content.ToString();
    public IReadOnlyList<GeneratedToken> Tokens => tokens;

    /// <summary>As an upstream told them, instead of tokens.</summary>
    public IReadOnlyList<string> ToldLogprobs => toldLogprobs;
    public IReadOnlyList<ToolCall> ToolCalls => calls.Count == 0 ? [] : [.. calls.Select(call => new ToolCall(call.Start.Name, call.Arguments.ToString(), call.Start.Id))];
    public AnswerEnd Finish { get; private set; }

    /// <summary>Its first chunk was told.</summary>
    public bool IsOpened { get; set; }

    /// <summary>Characters of the tokens that were told already: where the next one begins in the text.</summary>
    public int TextOffset { get; set; }

    public void Add(Delta delta)
    {
        tokens.AddRange(delta.Tokens);
        toldLogprobs.AddRange(delta.ToldLogprobs);
        foreach (AnswerPiece piece in delta.Pieces)
        {
            switch (piece)
            {
                case TextPiece text:
                    content.Append(text.Text);
                    break;
                case ReasoningPiece thought:
                    reasoning.Append(thought.Text);
                    break;
                case ToolCallStart start:
                    calls.Add((start, new StringBuilder()));
                    break;
                case ToolCallArguments more:
                    calls[more.Index].Arguments.Append(more.Fragment);
                    break;
            }
        }
    }

    public void End(AnswerEnd reason) => Finish = reason;

    /// <summary>Text that comes in pieces. Often it is one, which is then the text.</summary>
    private struct GatheredText(string first)
    {
        private string only = first;
        private StringBuilder? several;

        public void Append(string piece)
        {
            if (several is not null) several.Append(piece);
            else if (only.Length == 0) only = piece;
            else several = new StringBuilder(only).Append(piece);
        }

        public override readonly string ToString() => several?.ToString() ?? only;
    }
}
