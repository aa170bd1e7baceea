namespace Qanat.Models;

/// <summary>A piece of an answer, told while it grows. Pieces of the same kind that follow each other belong together: joined they are the same however the answer was cut.</summary>
public abstract record AnswerPiece;

/// <summary>What the model says.</summary>
public sealed record TextPiece(string Text) : AnswerPiece;

/// <summary>What it thinks before it answers.</summary>
public sealed record ReasoningPiece(string Text) : AnswerPiece;

/// <summary>A call of a tool begins; its arguments follow.</summary>
/// <param name="Index">From 0, in the order of the calls of this answer.</param>
public sealed record ToolCallStart(int Index, string Id, string Name) : AnswerPiece;

/// <summary>More of the arguments of a call. All fragments joined are a JSON object, unless the model broke it off or wrote something else.</summary>
public sealed record ToolCallArguments(int Index, string Fragment) : AnswerPiece;
