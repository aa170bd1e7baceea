using System.Collections.Immutable;
using System.Text.Json;
using static Qanat.Models.ChatMarks;

namespace Qanat.Models;

/// <summary>The template that came with a model, and prompts by it. What it wrote itself may hold marks; what came from the conversation never becomes one.</summary>
internal sealed class ChatTemplate
{
    private readonly JinjaTemplate _template;
    private readonly BpeTokenizer _tokenizer;
    private readonly Dictionary<ReasoningEffort, string> _effortWords;
    private readonly Lazy<bool> _saysEffort;

    private ChatTemplate(JinjaTemplate template, BpeTokenizer tokenizer)
    {
        _template = template;
        _tokenizer = tokenizer;
        _effortWords = Enum.GetValues<ReasoningEffort>().ToDictionary(effort => effort, EffortWord);
        _saysEffort = new Lazy<bool>(() => Write(ChatProbes.Question with { Effort = ReasoningEffort.Low }).Value != Write(ChatProbes.Question).Value);
    }

    /// <exception cref="JinjaException">It cannot be read, or not even a question can be put by it.</exception>
    public static ChatTemplate Read(string source, BpeTokenizer tokenizer)
    {
        var template = new ChatTemplate(JinjaTemplate.Parse(source), tokenizer);
        template.Write(ChatProbes.Question);
        return template;
    }

    /// <summary>Prompts tell the model how hard to think.</summary>
    public bool SaysEffort => _saysEffort.Value;

    /// <exception cref="JinjaException">The template refuses the conversation, or stops.</exception>
    public int[] Render(Conversation conversation)
    {
        JinjaText text = Write(conversation);
        var prompt = new PromptWriter(_tokenizer);
        int at = 0;
        foreach (TextRange foreign in text.Foreign)
        {
            prompt.TextWithMarks(text.Value.AsSpan(at, foreign.Start - at)).Text(text.Value[foreign.Start..foreign.End]);
            at = foreign.End;
        }
        return prompt.TextWithMarks(text.Value.AsSpan(at)).Finish();
    }

    /// <summary>What the prompt of a question says of thinking.</summary>
    public PromptThought ThoughtOf(Thinking thinking)
    {
        string prompt = Question(thinking);
        if (prompt.LastIndexOf(ThinkStart, StringComparison.Ordinal) > prompt.LastIndexOf(ThinkEnd, StringComparison.Ordinal)) return PromptThought.Open;
        return prompt == Question(Thinking.Off) ? PromptThought.Closed : PromptThought.Free;
    }

    private string Question(Thinking thinking) => Write(ChatProbes.Question with { Thinking = thinking }).Value;

    /// <summary>The template's word for an effort: the one that is meant, or the next it takes.</summary>
    private string EffortWord(ReasoningEffort effort)
    {
        string[] words = effort switch
        {
            ReasoningEffort.Minimal => ["minimal", "low"],
            ReasoningEffort.Low => ["low"],
            ReasoningEffort.Medium => ["medium"],
            ReasoningEffort.High => ["high", "xhigh"],
            _ => ["xhigh", "high"],
        };
        return Array.Find(words, Takes) ?? words[0];
    }

    private bool Takes(string effort)
    {
        try
        {
            _template.Render([.. Values(ChatProbes.Question), new("reasoning_effort", TextValue.Own(effort))]);
            return true;
        }
        catch (JinjaException)
        {
            return false;
        }
    }

    private JinjaText Write(Conversation conversation)
    {
        List<KeyValuePair<string, JinjaValue>> values = Values(conversation);
        if (conversation.Effort is { } effort && conversation.Thinking != Thinking.Off) values.Add(new("reasoning_effort", TextValue.Own(_effortWords[effort])));
        return _template.Render(values);
    }

    private List<KeyValuePair<string, JinjaValue>> Values(Conversation conversation)
    {
        List<KeyValuePair<string, JinjaValue>> values =
        [
            new("messages", new ListValue([.. conversation.Messages.Select(Message)])),
            new("add_generation_prompt", JinjaValue.True),
            new("eos_token", TextValue.Own(TurnEnd)),
        ];
        ImmutableArray<ToolDefinition> tools = conversation.OfferedTools;
        if (!tools.IsEmpty) values.Add(new("tools", new ListValue([.. tools.Select(tool => Json(ToolJson.Of(tool)))])));
        if (conversation.Thinking != Thinking.ModelDefault) values.Add(new("enable_thinking", JinjaValue.Of(conversation.Thinking == Thinking.On)));
        if (conversation.PreserveThinking is { } preserve) values.Add(new("preserve_thinking", JinjaValue.Of(preserve)));
        return values;
    }

    private static JinjaValue Message(ChatMessage message)
    {
        MapValue map = new MapValue()
            .Set("role", TextValue.Own(message.Role switch { ChatRole.System => "system", ChatRole.User => "user", ChatRole.Assistant => "assistant", _ => "tool" }))
            .Set("content", TextValue.Outside(message.Content));
        if (message.ReasoningContent is { } reasoning) map.Set("reasoning_content", TextValue.Outside(reasoning));
        if (!message.ToolCalls.IsEmpty) map.Set("tool_calls", new ListValue([.. message.ToolCalls.Select(Call)]));
        if (message.ToolCallId is { } id) map.Set("tool_call_id", TextValue.Outside(id));
        return map;
    }

    /// <summary>Arguments as the values that they are; what is no JSON, as a model may have left it, as text.</summary>
    private static JinjaValue Call(ToolCall call)
    {
        MapValue map = new MapValue().Set("type", TextValue.Own("function"))
            .Set("function", new MapValue().Set("name", TextValue.Outside(call.Name)).Set("arguments", Json(call.ArgumentsJson)));
        return call.Id is { } id ? map.Set("id", TextValue.Outside(id)) : map;
    }

    private static JinjaValue Json(string json)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(json);
            return JinjaValue.Of(document.RootElement);
        }
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            // The second: half a surrogate pair, written as an escape.
            return TextValue.Outside(json);
        }
    }
}

/// <summary>What a prompt leaves of thinking to the model.</summary>
internal enum PromptThought
{
    /// <summary>It does not think.</summary>
    Closed,

    /// <summary>It may begin a thought.</summary>
    Free,

    /// <summary>The prompt has begun it.</summary>
    Open,
}
