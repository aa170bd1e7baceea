using System.Collections.Immutable;

namespace Qanat.Models;

/// <summary>Reads the text of an answer as it comes into pieces: thoughts, text, calls of tools. However the text is cut, the pieces joined are the same.
/// Nothing is lost: what looks like a call and is none becomes text.</summary>
public sealed class AnswerReader
{
    private readonly ThinkingSplit? thinking;
    private readonly ToolCallReader? calls;

    /// <param name="promptOpensThinking">The prompt already ends with the opening mark of the thought.</param>
    /// <param name="tools">What the model was offered; without any, nothing is read as a call.</param>
    /// <param name="callId">The id of the call with this index.</param>
    public AnswerReader(bool promptOpensThinking, ImmutableArray<ToolDefinition> tools, Func<int, string> callId)
    {
        thinking = new ThinkingSplit(promptOpensThinking, callEndsThinking: tools.Length > 0);
        calls = tools.Length > 0 ? new ToolCallReader(tools, callId) : null;
    }

    private AnswerReader()
    {
    }

    /// <summary>Reads everything as text: completions.</summary>
    public static AnswerReader Plain() => new();

    /// <summary>A tool was called.</summary>
    public bool HasCalls => calls?.Count > 0;

    /// <summary>Takes the next text; gives the pieces that are certain.</summary>
    public ImmutableArray<AnswerPiece> Add(string text)
    {
        if (text.Length == 0) return [];
        ImmutableArray<AnswerPiece>.Builder pieces = ImmutableArray.CreateBuilder<AnswerPiece>();
        Read(thinking?.Add(text) ?? new SplitText("", text), pieces);
        return pieces.DrainToImmutable();
    }

    /// <summary>The text has ended; gives what was held back.</summary>
    /// <param name="wasCut">By a limit rather than by the model: a call that is not complete stays incomplete.</param>
    public ImmutableArray<AnswerPiece> Finish(bool wasCut)
    {
        ImmutableArray<AnswerPiece>.Builder pieces = ImmutableArray.CreateBuilder<AnswerPiece>();
        Read(thinking?.Finish() ?? SplitText.Nothing, pieces);
        calls?.Finish(wasCut, pieces);
        return pieces.DrainToImmutable();
    }

    private void Read(SplitText text, ImmutableArray<AnswerPiece>.Builder pieces)
    {
        if (text.Reasoning.Length > 0) pieces.Add(new ReasoningPiece(text.Reasoning));
        if (calls is not null) calls.Add(text.Content, pieces);
        else if (text.Content.Length > 0) pieces.Add(new TextPiece(text.Content));
    }
}
