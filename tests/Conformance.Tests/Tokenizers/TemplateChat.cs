using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Qanat.Models;

namespace Qanat.Conformance.Tests;

/// <summary>Random chats, for us and for the reference renderer.</summary>
internal sealed record TemplateChat(ImmutableArray<ChatMessage> Messages, bool HasTools, Thinking Thinking)
{
    // No spaces at the ends: the npm renderer's lstrip('\n') removes those too, where Python's, which the templates were written for, removes line breaks only.
    private static readonly string[] s_texts = ["", "Hello", "\n\nfirst", "last\n\n", "水渠 is a qanat", "a\n\nb", "{\"x\": 1}", "wide  space", "naïve e\u0301", "\u0338mark first", "1 + 1 = 2", "```py\nx\n```\n"];
    private static readonly string[] s_reasoning = ["", "because", "\nfirst\nsecond\n", "hm...\n\n"];
    private const string ToolText = """{"type": "function", "function": {"name": "get_weather", "description": "Of a city", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}""";

    public Conversation Conversation => new(Messages) { Thinking = Thinking, Tools = HasTools ? [new ToolDefinition("get_weather", null, null) { Json = ToolText }] : [] };

    /// <param name="startsWithQuestion">A system text may come before it.</param>
    public static TemplateChat Random(Random random, bool startsWithQuestion = false)
    {
        var messages = new List<ChatMessage>();
        if (random.Next(2) == 0) messages.Add(new ChatMessage(ChatRole.System, Pick(random, s_texts)));
        if (startsWithQuestion) messages.Add(new ChatMessage(ChatRole.User, "Hello"));
        for (int turns = random.Next(1, 6); turns > 0; turns--)
        {
            messages.Add(random.Next(5) switch
            {
                0 or 1 => new ChatMessage(ChatRole.User, Pick(random, s_texts)),
                2 => new ChatMessage(ChatRole.Tool, Pick(random, s_texts)),
                _ => RandomAnswer(random),
            });
        }
        return new TemplateChat([.. messages], random.Next(3) == 0, (Thinking)random.Next(3));
    }

    /// <param name="argumentsAsText">As they came, as the API has them; else as the values they are, as templates are given them.</param>
    public JsonObject ToJson(bool argumentsAsText)
    {
        var json = new JsonObject { ["messages"] = new JsonArray([.. Messages.Select(message => ToJson(message, argumentsAsText))]) };
        if (HasTools) json["tools"] = new JsonArray(JsonNode.Parse(ToolText));
        if (Thinking != Thinking.ModelDefault) json["enable_thinking"] = Thinking == Thinking.On;
        return json;
    }

    private static ChatMessage RandomAnswer(Random random)
    {
        string content = Pick(random, s_texts), reasoning = Pick(random, s_reasoning);
        ImmutableArray<ToolCall> calls = [.. Enumerable.Range(0, Math.Max(0, random.Next(5) - 2)).Select(_ => new ToolCall("get_weather", """{"city": "Yazd", "days": [1, 2], "deep": {"a": null, "b": true}}"""))];
        return random.Next(3) switch
        {
            0 => new ChatMessage(ChatRole.Assistant, content) { ToolCalls = calls },
            1 => new ChatMessage(ChatRole.Assistant, content, reasoning) { ToolCalls = calls },
            _ => new ChatMessage(ChatRole.Assistant, $"<think>\n{reasoning}\n</think>\n\n{content}") { ToolCalls = calls },
        };
    }

    private static JsonNode ToJson(ChatMessage message, bool argumentsAsText)
    {
        var json = new JsonObject { ["role"] = message.Role.ToString().ToLowerInvariant(), ["content"] = message.Content };
        if (message.ReasoningContent is not null) json["reasoning_content"] = message.ReasoningContent;
        if (message.ToolCalls.Length > 0)
        {
            json["tool_calls"] = new JsonArray([.. message.ToolCalls.Select(call => (JsonNode)new JsonObject
            {
                ["type"] = "function",
                ["function"] = new JsonObject { ["name"] = call.Name, ["arguments"] = argumentsAsText ? call.ArgumentsJson : JsonNode.Parse(call.ArgumentsJson) },
            })]);
        }
        return json;
    }

    private static string Pick(Random random, string[] choices) => choices[random.Next(choices.Length)];
}
