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

/// <summary>What has no words in most APIs: those that know it give it to their clients, and get it back.</summary>
public abstract record UnspokenPiece : AnswerPiece;

/// <summary>Seals the thought before it: whoever signed it takes it back only with this.</summary>
public sealed record ThoughtSignature(string Text) : UnspokenPiece;

/// <summary>A block of Anthropic's messages that no other piece stands for, word for word: a thought that is withheld, a tool that ran at the engine.</summary>
/// <param name="Json">A JSON object.</param>
public sealed record ForeignBlock(string Json) : UnspokenPiece;

/// <summary>More of the arguments of a call. All fragments joined are a JSON object, unless the model broke it off or wrote something else.</summary>
public sealed record ToolCallArguments(int Index, string Fragment) : AnswerPiece;
