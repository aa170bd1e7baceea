using System.Collections.Immutable;

namespace Qanat.Models;

public enum ChatRole { System, User, Assistant, Tool }

/// <summary>A call that the assistant made in an earlier turn.</summary>
/// <param name="ArgumentsJson">A JSON object.</param>
public sealed record ToolCall(string Name, string ArgumentsJson);

public sealed record ChatMessage(ChatRole Role, string Content, string? ReasoningContent = null)
{
    /// <summary>Of an assistant's turn.</summary>
    public ImmutableArray<ToolCall> ToolCalls { get; init; } = [];
}

/// <summary>Whether the model is to reason before it answers.</summary>
public enum Thinking { ModelDefault, On, Off }

/// <summary>What a model can do about thinking.</summary>
public enum ThinkingAbility
{
    /// <summary>Answers at once (Qwen2.5, Instruct-2507).</summary>
    Never,

    /// <summary>Thinks unless told not to (Qwen3).</summary>
    Switchable,

    /// <summary>Always thinks; the prompt already opens the thought (Thinking-2507).</summary>
    Always,
}
