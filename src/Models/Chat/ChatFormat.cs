using System.Collections.Immutable;
using static Qanat.Models.ChatMarks;

namespace Qanat.Models;

/// <summary>Renders messages to the token ids of a prompt: ChatML as Qwen3 was trained on it. Text of users never becomes special tokens.
/// Same ids as Qwen3's own template gives, as long as no message contains the text of a mark.</summary>
public sealed class ChatFormat
{
    private readonly BpeTokenizer _tokenizer;

    private ChatFormat(BpeTokenizer tokenizer, ThinkingAbility ability)
    {
        _tokenizer = tokenizer;
        Ability = ability;
    }

    public ThinkingAbility Ability { get; }

    /// <summary>The format of the Qwen3 family; which of its three ways of thinking the model has is read from its own template.</summary>
    /// <param name="template">The Jinja template that came with the model; null: judged by the vocabulary.</param>
    /// <exception cref="ArgumentException">The vocabulary lacks &lt;|im_start|&gt; or &lt;|im_end|&gt;.</exception>
    public static ChatFormat ForQwen3(BpeTokenizer tokenizer, string? template)
    {
        foreach (string mark in new[] { TurnStart, TurnEnd })
        {
            if (!tokenizer.TryTokenOf(mark, out _))
                throw new ArgumentException($"the vocabulary has no {mark}: this is not a chat model of the Qwen family", nameof(tokenizer));
        }
        return new ChatFormat(tokenizer, AbilityOf(tokenizer, template));
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

        var prompt = new PromptWriter(_tokenizer);
        int first = WriteHead(prompt, messages, conversation.OfferedTools);
        int lastQuery = LastQuery(messages);
        for (int i = first; i < messages.Length; i++)
        {
            ChatMessage message = messages[i];
            switch (message.Role)
            {
                case ChatRole.Assistant:
                    WriteAssistant(prompt, message, afterLastQuery: i > lastQuery, isLast: i == messages.Length - 1);
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
        if (thinking == Thinking.Off && Ability == ThinkingAbility.Switchable)
            prompt.Mark(ThinkStart).Text("\n\n").Mark(ThinkEnd).Text("\n\n");
        if (Ability == ThinkingAbility.Always)
            prompt.Mark(ThinkStart).Text("\n");
        return prompt.Finish();
    }

    /// <summary>Reads the answer to a prompt of this conversation.</summary>
    /// <param name="callId">The id of the tool call with this index.</param>
    public AnswerReader Reader(Conversation conversation, Func<int, string> callId) => new(Ability == ThinkingAbility.Always, conversation.OfferedTools, callId);

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
    private static int WriteHead(PromptWriter prompt, ImmutableArray<ChatMessage> messages, ImmutableArray<ToolDefinition> tools)
    {
        bool hasSystem = messages[0].Role == ChatRole.System;
        if (tools.IsEmpty)
            return 0;
        prompt.Mark(TurnStart).Text("system\n");
        if (hasSystem)
            prompt.Text(messages[0].Content).Text("\n\n");
        prompt.Text("# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>");
        foreach (ToolDefinition tool in tools)
            prompt.Text("\n").Text(ToolJson.Of(tool));
        prompt.Text("\n</tools>\n\nFor each function call, return a json object with function name and arguments within ").Mark(CallStart).Mark(CallEnd).Text(" XML tags:\n")
            .Mark(CallStart).Text("\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n").Mark(CallEnd).Mark(TurnEnd).Text("\n");
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

    private static void WriteAssistant(PromptWriter prompt, ChatMessage message, bool afterLastQuery, bool isLast)
    {
        (string reasoning, string content) = Separate(message);
        prompt.Mark(TurnStart).Text("assistant\n");
        if (afterLastQuery && (isLast || reasoning.Length > 0))
            prompt.Mark(ThinkStart).Text("\n").Text(reasoning.Trim('\n')).Text("\n").Mark(ThinkEnd).Text("\n\n").Text(content.TrimStart('\n'));
        else
            prompt.Text(content);
        for (int i = 0; i < message.ToolCalls.Length; i++)
        {
            if (i > 0 || content.Length > 0)
                prompt.Text("\n");
            ToolCall call = message.ToolCalls[i];
            prompt.Mark(CallStart).Text("\n{\"name\": \"").Text(call.Name).Text("\", \"arguments\": ").Text(call.ArgumentsJson).Text("}\n").Mark(CallEnd);
        }
        prompt.Mark(TurnEnd).Text("\n");
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
