using System.Collections.Immutable;

namespace Qanat.Models;

/// <summary>A chat as it is asked for, whatever API it came in by and whatever answers it: what was said, what the model may call, and what its answer must be like.</summary>
public sealed record Conversation(ImmutableArray<ChatMessage> Messages)
{
    /// <summary>What the model may call.</summary>
    public ImmutableArray<ToolDefinition> Tools { get; init; } = [];

    public ToolChoice ToolChoice { get; init; } = ToolChoice.Auto;

    /// <summary>Whether one answer may call more than once.</summary>
    public bool ParallelToolCalls { get; init; } = true;

    public AnswerFormat Format { get; init; } = AnswerFormat.Text;

    public Thinking Thinking { get; init; }

    /// <summary>Tokens of thought after which the engine ends it; null: no limit of its own.</summary>
    public int? ThinkingTokensMax { get; init; }

    /// <summary>How hard to think, for models that were trained on it; null: the model's default.</summary>
    public ReasoningEffort? Effort { get; init; }

    /// <summary>The model was told to decide for itself whether and how long to think, which Anthropic's engines do only when they are told to; for others it is the default.</summary>
    public bool ThinksAsItSeesFit { get; init; }

    /// <summary>How hard to try, in the word of Anthropic's messages, for an engine that knows it; <see cref="Effort"/> is what others can make of it. Null: nobody said.</summary>
    public string? EffortWord { get; init; }

    /// <summary>Whether the thoughts of earlier turns are shown to the model again; null: as its family was trained.</summary>
    public bool? PreserveThinking { get; init; }

    /// <summary>How many messages, from the beginning and with the tools before them, are asked to be kept in a cache; null: nothing is asked.</summary>
    public int? CachedMessages { get; init; }

    /// <summary>When the last message is the assistant's, the answer goes on from it instead of beginning a turn.</summary>
    public bool ContinuesLast { get; init; }

    /// <summary>The answer that somebody began and the model goes on from: a text that calls no tools; null: there is none.</summary>
    public ChatMessage? BegunAnswer => ContinuesLast && Messages.Length > 1 && Messages[^1] is { Role: ChatRole.Assistant, ToolCalls.IsEmpty: true, Content.Length: > 0 } begun ? begun : null;

    /// <summary>The tools that are offered: none when calling is forbidden, the named one when one is named.</summary>
    public ImmutableArray<ToolDefinition> OfferedTools => ToolChoice.Kind == ToolChoiceKind.None ? [] : Tools;

    public static Conversation Of(params ReadOnlySpan<ChatMessage> messages) => new(ImmutableArray.Create(messages));
}

public enum ChatRole { System, User, Assistant, Tool }

/// <param name="Content">Its text; parts of text joined.</param>
/// <param name="ReasoningContent">Of an assistant's turn: what it thought; null: not told apart.</param>
public sealed record ChatMessage(ChatRole Role, string Content, string? ReasoningContent = null)
{
    /// <summary>Of an assistant's turn.</summary>
    public ImmutableArray<ToolCall> ToolCalls { get; init; } = [];

    /// <summary>Of an assistant's turn: it as blocks of Anthropic's messages, word for word (a JSON array), where some of them must come back untouched to whoever wrote them; null: the other fields say it all.</summary>
    public string? Blocks { get; init; }

    /// <summary>Of a tool's turn: the call that this is the result of.</summary>
    public string? ToolCallId { get; init; }
}

/// <summary>A call that the assistant made in an earlier turn.</summary>
/// <param name="ArgumentsJson">A JSON object.</param>
/// <param name="Id">Null: whoever told of it gave it none.</param>
public sealed record ToolCall(string Name, string ArgumentsJson, string? Id = null);

/// <summary>A function that the model may call.</summary>
/// <param name="ParametersJson">JSON Schema of its arguments; null: it takes none.</param>
/// <param name="Strict">Arguments must match the schema even when nothing else forces them to.</param>
public sealed record ToolDefinition(string Name, string? Description, string? ParametersJson, bool Strict = false)
{
    /// <summary>The definition word for word as it was asked for ({"type": "function", "function": {...}}), which is how models are shown it; null: made from the other fields.</summary>
    public string? Json { get; init; }
}

public enum ToolChoiceKind { Auto, None, Required, Named }

/// <param name="Name">Of <see cref="ToolChoiceKind.Named"/>.</param>
public sealed record ToolChoice(ToolChoiceKind Kind, string? Name = null)
{
    public static readonly ToolChoice Auto = new(ToolChoiceKind.Auto);
    public static readonly ToolChoice None = new(ToolChoiceKind.None);
    public static readonly ToolChoice Required = new(ToolChoiceKind.Required);

    public static ToolChoice Named(string name) => new(ToolChoiceKind.Named, name);

    /// <summary>The answer must call a tool.</summary>
    public bool IsForced => Kind is ToolChoiceKind.Required or ToolChoiceKind.Named;
}

/// <summary>What the text of an answer must be.</summary>
public abstract record AnswerFormat
{
    /// <summary>Anything.</summary>
    public static readonly AnswerFormat Text = new TextFormat();

    /// <summary>Any JSON object.</summary>
    public static readonly AnswerFormat JsonObject = new JsonObjectFormat();
}

public sealed record TextFormat : AnswerFormat;
public sealed record JsonObjectFormat : AnswerFormat;

/// <summary>JSON that matches a schema.</summary>
public sealed record JsonSchemaFormat(string Name, string SchemaJson) : AnswerFormat
{
    public string? Description { get; init; }
    public bool Strict { get; init; }
}

/// <summary>Text that a regular expression matches as a whole.</summary>
public sealed record RegexFormat(string Pattern) : AnswerFormat;

/// <summary>Text of a grammar in GBNF, the notation of llama.cpp; its start is the rule "root".</summary>
public sealed record GrammarFormat(string Grammar) : AnswerFormat;

/// <summary>Whether the model is to reason before it answers.</summary>
public enum Thinking { ModelDefault, On, Off }

/// <summary>How hard to think, in the words of OpenAI's API and of Qwen3.8.</summary>
public enum ReasoningEffort { Minimal, Low, Medium, High, XHigh }

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
