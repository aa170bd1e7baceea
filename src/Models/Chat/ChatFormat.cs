using System.Collections.Immutable;
using static Qanat.Models.ChatMarks;

namespace Qanat.Models;

/// <summary>Renders messages to the token ids of a prompt: ChatML as Qwen's families were trained on it, or whatever the model's own template writes. Text of users never becomes special tokens.
/// Same ids as the template gives, as long as no message contains the text of a mark.</summary>
public sealed class ChatFormat
{
    /// <summary>With this sentence Qwen's own examples end a thought that is over its budget: models go on from it to the answer.</summary>
    private const string ThoughtEnding = "\n\nConsidering the limited time by the user, I have to give the solution based on the thinking directly now.\n";

    private readonly BpeTokenizer _tokenizer;
    private readonly AnswerConstraints _constraints;
    private readonly ChatFamily _family;
    private readonly ChatTemplate? _template;
    private readonly PromptThought[] _thoughts;

    /// <param name="template">Writes the prompts; null: the built-in format does.</param>
    private ChatFormat(BpeTokenizer tokenizer, ChatFamily family, PromptThought[] thoughts, ChatTemplate? template)
    {
        _tokenizer = tokenizer;
        _constraints = new AnswerConstraints(tokenizer);
        _family = family;
        _template = template;
        _thoughts = thoughts;
        Ability = thoughts[(int)Thinking.On] != thoughts[(int)Thinking.Off] ? ThinkingAbility.Switchable
            : thoughts[(int)Thinking.On] == PromptThought.Open ? ThinkingAbility.Always : ThinkingAbility.Never;
    }

    public ThinkingAbility Ability { get; }

    /// <summary>The model's own template writes the prompts, rather than the built-in format.</summary>
    public bool UsesTemplate => _template is not null;

    /// <summary>The format of a model: the built-in one of its family where its own template gives the same prompts, else that template (ADR 23).</summary>
    /// <param name="template">The Jinja template that came with the model; null: there is none.</param>
    /// <param name="note">Told when the prompts are not the built-in format's, or would not be if the template could be read.</param>
    /// <exception cref="ArgumentException">The vocabulary lacks &lt;|im_start|&gt; or &lt;|im_end|&gt;.</exception>
    public static ChatFormat Of(BpeTokenizer tokenizer, string? template, Action<string>? note)
    {
        ChatFormat builtIn = ForQwen3(tokenizer, template);
        if (template is null) return builtIn;
        try
        {
            var own = ChatTemplate.Read(template, tokenizer);
            var format = new ChatFormat(tokenizer, builtIn._family, [.. Enum.GetValues<Thinking>().Select(own.ThoughtOf)], own);
            if (builtIn._thoughts.AsSpan().SequenceEqual(format._thoughts) && ChatProbes.For(template).All(probe => IsSame(builtIn, own, probe))) return builtIn;
            note?.Invoke("Prompts are written by the model's own chat template: it differs from the format of its family");
            return format;
        }
        catch (JinjaException error)
        {
            note?.Invoke($"The model's chat template cannot be used ({error.Message}); prompts are written in the built-in format of its family");
            return builtIn;
        }
    }

    /// <summary>What a template refuses, the built-in format may take.</summary>
    private static bool IsSame(ChatFormat builtIn, ChatTemplate own, Conversation probe)
    {
        if (probe.Thinking == Thinking.On && builtIn.Ability == ThinkingAbility.Never) return true;
        if (probe.Thinking == Thinking.Off && builtIn.Ability == ThinkingAbility.Always) return true;
        try
        {
            return own.Render(probe).AsSpan().SequenceEqual(builtIn.Render(probe));
        }
        catch (JinjaException error) when (error.IsRefusal)
        {
            return true;
        }
    }

    /// <summary>The format of the Qwen families; which of them it is, and which of three ways of thinking the model has is read from its own template.</summary>
    /// <param name="template">The Jinja template that came with the model; null: judged by the vocabulary.</param>
    /// <exception cref="ArgumentException">The vocabulary lacks &lt;|im_start|&gt; or &lt;|im_end|&gt;.</exception>
    public static ChatFormat ForQwen3(BpeTokenizer tokenizer, string? template)
    {
        foreach (string mark in new[] { TurnStart, TurnEnd })
        {
            if (!tokenizer.TryTokenOf(mark, out _))
                throw new ArgumentException($"the vocabulary has no {mark}: this is not a chat model of the Qwen family", nameof(tokenizer));
        }
        ChatFamily family = template is null ? ChatFamily.Qwen3 : ChatFamily.Of(template);
        PromptThought thinks = family.OpensThought ? PromptThought.Open : PromptThought.Free;
        return new ChatFormat(tokenizer, family, AbilityOf(tokenizer, template) switch
        {
            ThinkingAbility.Never => [PromptThought.Closed, PromptThought.Closed, PromptThought.Closed],
            ThinkingAbility.Always => [PromptThought.Open, PromptThought.Open, PromptThought.Open],
            _ => [thinks, thinks, PromptThought.Closed],
        }, template: null);
    }

    /// <summary>Prompt ids, ending with the start of the assistant's turn.</summary>
    /// <exception cref="ArgumentException">There are no messages, or the model cannot think, or not refrain from it, as asked.</exception>
    public int[] Render(Conversation conversation)
    {
        ImmutableArray<ChatMessage> messages = conversation.Messages;
        Thinking thinking = conversation.Thinking;
        if (messages.Length == 0)
            throw new ArgumentException("a chat needs at least one message", nameof(conversation));
        if (thinking == Thinking.On && Ability == ThinkingAbility.Never)
            throw new ArgumentException("this model has no thinking mode", nameof(conversation));
        if (thinking == Thinking.Off && Ability == ThinkingAbility.Always)
            throw new ArgumentException("this model always thinks", nameof(conversation));
        if (_template is null) return RenderBuiltIn(conversation);
        return conversation.BegunAnswer is { } begun ? GoOn(_template, conversation, begun) : RenderByTemplate(_template, conversation);
    }

    /// <summary>The prompt without the answer that was begun, its thought over, and then that answer: templates know no turn that is left open.</summary>
    private int[] GoOn(ChatTemplate template, Conversation conversation, ChatMessage begun)
    {
        Conversation before = conversation with { Messages = conversation.Messages[..^1], ContinuesLast = false, Thinking = Ability == ThinkingAbility.Switchable ? Thinking.Off : conversation.Thinking };
        var rest = new PromptWriter(_tokenizer);
        if (Ability == ThinkingAbility.Always) rest.Text("\n").Mark(ThinkEnd).Text("\n\n");
        return [.. RenderByTemplate(template, before), .. rest.Text(Separate(begun).Content).Finish()];
    }

    private static int[] RenderByTemplate(ChatTemplate template, Conversation conversation)
    {
        try
        {
            return template.Render(conversation);
        }
        catch (JinjaException error)
        {
            throw new ArgumentException(error.IsRefusal ? $"the model's chat template refuses this: {error.Problem}" : $"the model's chat template cannot write this: {error.Message}", nameof(conversation), error);
        }
    }

    private int[] RenderBuiltIn(Conversation conversation)
    {
        ImmutableArray<ChatMessage> messages = conversation.Messages;
        Thinking thinking = conversation.Thinking;
        var prompt = new PromptWriter(_tokenizer);
        if (conversation.BegunAnswer is not null)
            messages = messages[..^1];
        if (_family.CallsInTags)
            messages = [.. messages.Select(message => message with { Content = message.Content.Trim() })];
        int first = WriteHead(prompt, messages, conversation);
        int lastQuery = LastQuery(messages);
        for (int i = first; i < messages.Length; i++)
        {
            ChatMessage message = messages[i];
            switch (message.Role)
            {
                case ChatRole.Assistant:
                    WriteAssistant(prompt, message, showsThought: i > lastQuery || _family.Keeps(conversation), isLast: i == messages.Length - 1);
                    break;
                case ChatRole.Tool:
                    WriteToolResult(prompt, message, opens: i == 0 || messages[i - 1].Role != ChatRole.Tool, closes: i + 1 == messages.Length || messages[i + 1].Role != ChatRole.Tool);
                    break;
                default:
                    prompt.Mark(TurnStart).Text(message.Role == ChatRole.System ? "system\n" : "user\n").Text(message.Content).Mark(TurnEnd).Text("\n");
                    break;
            }
        }
        prompt.Mark(TurnStart).Text("assistant\n");
        if (Ability != ThinkingAbility.Never && ThoughtAfter(conversation) == PromptThought.Closed)
            prompt.Mark(ThinkStart).Text("\n\n").Mark(ThinkEnd).Text("\n\n");
        if (conversation.BegunAnswer is { } begun)
            prompt.Text(Separate(begun).Content);
        if (OpensThought(conversation))
            prompt.Mark(ThinkStart).Text("\n");
        return prompt.Finish();
    }

    /// <summary>Reads the answer to a prompt of this conversation.</summary>
    /// <param name="callId">The id of the tool call with this index.</param>
    public AnswerReader Reader(Conversation conversation, Func<int, string> callId) => new(OpensThought(conversation), conversation.OfferedTools, callId);

    /// <summary>What the answer to a conversation must be; null: anything.</summary>
    /// <exception cref="GrammarException">What is asked for cannot be kept; the message says why.</exception>
    public AnswerConstraint? Constraint(Conversation conversation) =>
        _constraints.Of(conversation, new AnswerFrame(OpensThought(conversation), ThoughtAfter(conversation) == PromptThought.Free, _family.CallsInTags));

    /// <summary>How the model thinks in answer to a conversation; null: it does not, or the vocabulary has no marks for it.</summary>
    public ThoughtMarks? ThoughtOf(Conversation conversation)
    {
        if (ThoughtAfter(conversation) == PromptThought.Closed || !_tokenizer.TryTokenOf(ThinkStart, out _) || !_tokenizer.TryTokenOf(ThinkEnd, out int close)) return null;
        return new ThoughtMarks(ThinkStart, ThinkEnd, OpensThought(conversation))
        {
            Call = conversation.OfferedTools.IsEmpty ? null : CallStart,
            TokensMax = conversation.ThinkingTokensMax ?? (KnowsEffort ? null : BudgetOf(conversation.Effort)),
            Ending = [.. _tokenizer.Encode(ThoughtEnding, SpecialText.AsPlainText), close, .. _tokenizer.Encode("\n\n", SpecialText.AsPlainText)],
        };
    }

    /// <summary>The model was trained to be told how hard to think.</summary>
    private bool KnowsEffort => _template?.SaysEffort ?? _family.HasEffort;

    /// <summary>What an effort means to a model that was not: tokens after which its thought is ended (ADR 23).</summary>
    private static int? BudgetOf(ReasoningEffort? effort) => effort switch
    {
        ReasoningEffort.Minimal => 256,
        ReasoningEffort.Low => 1024,
        ReasoningEffort.Medium => 4096,
        _ => null,
    };

    /// <summary>Whoever has begun to answer has thought.</summary>
    private PromptThought ThoughtAfter(Conversation conversation) => conversation.BegunAnswer is null ? _thoughts[(int)conversation.Thinking] : PromptThought.Closed;

    /// <summary>The prompt of a conversation ends within the thought.</summary>
    private bool OpensThought(Conversation conversation) => ThoughtAfter(conversation) == PromptThought.Open;

    private static ThinkingAbility AbilityOf(BpeTokenizer tokenizer, string? template)
    {
        if (template is null)
            return tokenizer.TryTokenOf(ThinkStart, out _) ? ThinkingAbility.Switchable : ThinkingAbility.Never;
        if (template.Contains("enable_thinking", StringComparison.Ordinal))
            return ThinkingAbility.Switchable;
        // Templates write line breaks of strings as an escape.
        return template.Contains(@"<|im_start|>assistant\n<think>\n' }}", StringComparison.Ordinal) ? ThinkingAbility.Always : ThinkingAbility.Never;
    }

    /// <summary>The system turn if there are tools or a leading system message. Returns the index of the first message that is still to be written.</summary>
    private int WriteHead(PromptWriter prompt, ImmutableArray<ChatMessage> messages, Conversation conversation)
    {
        ImmutableArray<ToolDefinition> tools = conversation.OfferedTools;
        bool hasSystem = messages[0].Role == ChatRole.System;
        string system = hasSystem ? messages[0].Content : _family.DefaultSystem ?? "";
        string effort = _family.EffortText(conversation) ?? "";
        if (tools.IsEmpty)
        {
            if (effort.Length > 0)
                system = system.Length > 0 ? $"{effort}\n\n{system}" : effort;
            if (hasSystem || system.Length > 0)
                prompt.Mark(TurnStart).Text("system\n").Text(system).Mark(TurnEnd).Text("\n");
        }
        else if (_family.CallsInTags)
        {
            TaggedTurns.WriteTools(prompt, effort, tools, system);
        }
        else
        {
            prompt.Mark(TurnStart).Text("system\n");
            if (hasSystem || system.Length > 0)
                prompt.Text(system).Text("\n\n");
            prompt.Text("# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>");
            foreach (ToolDefinition tool in tools)
                prompt.Text("\n").Text(ToolJson.Of(tool));
            prompt.Text("\n</tools>\n\nFor each function call, return a json object with function name and arguments within ").Mark(CallStart).Mark(CallEnd).Text(" XML tags:\n")
                .Mark(CallStart).Text("\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n").Mark(CallEnd).Mark(TurnEnd).Text("\n");
        }
        return hasSystem ? 1 : 0;
    }

    /// <summary>The last user message; reasoning of turns before it is left out. Without one, all reasoning is.</summary>
    private static int LastQuery(ImmutableArray<ChatMessage> messages)
    {
        for (int i = messages.Length - 1; i >= 0; i--)
        {
            if (messages[i].Role == ChatRole.User)
                return i;
        }
        return messages.Length - 1;
    }

    private void WriteAssistant(PromptWriter prompt, ChatMessage message, bool showsThought, bool isLast)
    {
        // Families that do not write thoughts take the content as it is.
        (string reasoning, string content) = !_family.WritesThoughts ? ("", message.Content) : _family.HasEffort ? (message.ReasoningContent ?? "", message.Content) : Separate(message);
        if (_family.CallsInTags)
            reasoning = reasoning.Trim();
        prompt.Mark(TurnStart).Text("assistant\n");
        if (showsThought && _family.WritesThoughts && (isLast || reasoning.Length > 0 || _family.CallsInTags))
            prompt.Mark(ThinkStart).Text("\n").Text(reasoning.Trim('\n')).Text("\n").Mark(ThinkEnd).Text("\n\n").Text(content.TrimStart('\n'));
        else
            prompt.Text(content);
        if (_family.CallsInTags)
            TaggedTurns.WriteCalls(prompt, message.ToolCalls, content.Length > 0, _family.ValuesInJson);
        else
            WriteCalls(prompt, message.ToolCalls, content.Length > 0);
        prompt.Mark(TurnEnd).Text("\n");
    }

    private static void WriteCalls(PromptWriter prompt, ImmutableArray<ToolCall> calls, bool afterText)
    {
        for (int i = 0; i < calls.Length; i++)
        {
            if (i > 0 || afterText)
                prompt.Text("\n");
            prompt.Mark(CallStart).Text("\n{\"name\": \"").Text(calls[i].Name).Text("\", \"arguments\": ").Text(calls[i].ArgumentsJson).Text("}\n").Mark(CallEnd);
        }
    }

    /// <summary>Reasoning and answer of an assistant's turn; clients may send both in the content, as the model wrote them.</summary>
    private static (string Reasoning, string Content) Separate(ChatMessage message)
    {
        if (message.ReasoningContent is { } reasoning)
            return (reasoning, message.Content);
        int end = message.Content.LastIndexOf(ThinkEnd, StringComparison.Ordinal);
        if (end < 0)
            return ("", message.Content);
        string before = message.Content[..message.Content.IndexOf(ThinkEnd, StringComparison.Ordinal)].TrimEnd('\n');
        int start = before.LastIndexOf(ThinkStart, StringComparison.Ordinal);
        return ((start < 0 ? before : before[(start + ThinkStart.Length)..]).TrimStart('\n'), message.Content[(end + ThinkEnd.Length)..].TrimStart('\n'));
    }

    /// <summary>Results of tools are user turns; those that follow each other share one.</summary>
    private static void WriteToolResult(PromptWriter prompt, ChatMessage message, bool opens, bool closes)
    {
        if (opens)
            prompt.Mark(TurnStart).Text("user");
        prompt.Text("\n").Mark(ResponseStart).Text("\n").Text(message.Content).Text("\n").Mark(ResponseEnd);
        if (closes)
            prompt.Mark(TurnEnd).Text("\n");
    }
}
