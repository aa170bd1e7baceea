using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Qanat.Gateway.Tests;

/// <summary>A loop of tools before an engine that speaks Anthropic's API: what it sealed comes back to it as it was, whoever carries it.</summary>
public sealed class SealedThoughtTests(SurfaceTableFixture fixture) : IClassFixture<SurfaceTableFixture>
{
    /// <summary>As the engine says it: two thoughts with their seals, one that is withheld, one of which only the seal is shown, a tool that ran there, a text, and a call.</summary>
    private static readonly string[] Blocks =
    [
        """{"type":"thinking","thinking":"first \u00fc","signature":"AbC+/=="}""",
        """{"type":"thinking","thinking":"second","signature":"DeF"}""",
        """{"type":"redacted_thinking","data":"c2VjcmV0"}""",
        """{"type":"thinking","thinking":"","signature":"all in here"}""",
        """{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"Jena"}}""",
        """{"type":"text","text":"Let me look."}""",
        """{"type":"tool_use","id":"toolu_1","name":"f","input":{"x":1}}""",
    ];

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_an_engine_sealed_comes_back_to_it_untouched(bool stream)
    {
        await SpeakAsync();
        JsonArray told = stream ? Assembled(await fixture.Gateway.StreamAsync("/v1/messages", Ask("", stream))) : (await fixture.Gateway.PostAsync("/v1/messages", Ask("", stream))).Body["content"]!.AsArray();
        Assert.Equal(Blocks.Select(Normal), told.Select(block => Normal(block!.ToJsonString())));

        string answered = $$"""{"role":"assistant","content":{{told.ToJsonString()}}},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"42"}]}""";
        Assert.Equal(200, (await fixture.Gateway.PostAsync("/v1/messages", Ask("," + answered, stream: false))).Status);
        JsonElement back = fixture.Mock.Last.Body;
        Assert.Equal(Blocks.Select(Normal), back.GetProperty("messages")[1].GetProperty("content").EnumerateArray().Select(block => Normal(block.GetRawText())));
        Assert.Equal("enabled", back.GetProperty("thinking").GetProperty("type").GetString());
        Assert.Equal("tool_result", back.GetProperty("messages")[2].GetProperty("content")[0].GetProperty("type").GetString());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Another_API_is_told_the_thoughts_and_none_of_the_seals(bool stream)
    {
        await SpeakAsync();
        const string ask = """{"model":"scripted-1","messages":[{"role":"user","content":"Hi"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]""";
        string told = stream ? string.Join('\n', await fixture.Gateway.StreamAsync("/v1/chat/completions", ask + ",\"stream\":true}")) : (await fixture.Gateway.PostAsync("/v1/chat/completions", ask + "}")).Body.ToJsonString();
        Assert.Equal("first üsecond", string.Concat(Regex.Matches(told, "\"reasoning_content\":\"([^\"]*)\"", RegexOptions.None, TimeSpan.FromSeconds(1)).Select(match => Regex.Unescape(match.Groups[1].Value))));
        Assert.All((string[])["DeF", "c2VjcmV0", "all in here", "web_search"], seal => Assert.DoesNotContain(seal, told, StringComparison.Ordinal));
        JsonObject response = (await fixture.Gateway.PostAsync("/v1/responses", """{"model":"scripted-1","store":false,"input":"Hi","tools":[{"type":"function","name":"f","parameters":{"type":"object"}}]}""")).Body.AsObject();
        Assert.Equal(["reasoning", "reasoning", "message", "function_call"], response["output"]!.AsArray().Select(item => (string?)item!["type"]));
    }

    /// <summary>The engine would refuse both: a thought that it did not seal, and to think on where no sealed thought precedes the calls.</summary>
    [Fact]
    public async Task Thoughts_that_nobody_sealed_are_not_shown_to_an_engine_that_asks_for_seals()
    {
        await SpeakAsync();
        const string turns = """,{"role":"assistant","content":[{"type":"thinking","thinking":"ours","signature":"unsigned"},{"type":"tool_use","id":"toolu_1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"42"}]}""";
        Assert.Equal(200, (await fixture.Gateway.PostAsync("/v1/messages", Ask(turns, stream: false))).Status);
        JsonElement asked = fixture.Mock.Last.Body;
        Assert.Equal("tool_use", Assert.Single(asked.GetProperty("messages")[1].GetProperty("content").EnumerateArray()).GetProperty("type").GetString());
        Assert.False(asked.TryGetProperty("thinking", out _));
        Assert.True(asked.TryGetProperty("temperature", out _));

        string mixed = turns.Replace("\"content\":[{\"type\":\"thinking\"", "\"content\":[{\"type\":\"redacted_thinking\",\"data\":\"x\"},{\"type\":\"thinking\"", StringComparison.Ordinal);
        Assert.Equal(200, (await fixture.Gateway.PostAsync("/v1/messages", Ask(mixed, stream: false))).Status);
        asked = fixture.Mock.Last.Body;
        Assert.Equal(["redacted_thinking", "tool_use"], asked.GetProperty("messages")[1].GetProperty("content").EnumerateArray().Select(block => block.GetProperty("type").GetString()));
        Assert.True(asked.TryGetProperty("thinking", out _));
        Assert.False(asked.TryGetProperty("temperature", out _));
    }

    private async Task SpeakAsync()
    {
        await fixture.SpeakAsync(UpstreamProtocol.Anthropic);
        fixture.Mock.Script = request => new WireAnswer(request.Streams
            ? string.Concat(Events().Select(data => $"data: {data}\n\n"))
            : $$$"""{"type":"message","role":"assistant","content":[{{{string.Join(',', Blocks)}}}],"stop_reason":"tool_use","usage":{"input_tokens":30,"output_tokens":60}}""");
    }

    private static string Ask(string turns, bool stream) => $$$"""
        {"model":"scripted-1","max_tokens":4000,"temperature":0.5,"thinking":{"type":"enabled","budget_tokens":2000},"tools":[{"name":"f","input_schema":{"type":"object"}}],
        "messages":[{"role":"user","content":"Hi"}{{{turns}}}],"stream":{{{(stream ? "true" : "false")}}} }
        """;

    /// <summary>The same answer as the engine streams it.</summary>
    private static IEnumerable<string> Events()
    {
        yield return """{"type":"message_start","message":{"role":"assistant","content":[],"usage":{"input_tokens":30,"output_tokens":1}}}""";
        for (int index = 0; index < Blocks.Length; index++)
        {
            JsonObject block = JsonNode.Parse(Blocks[index])!.AsObject();
            List<JsonObject> deltas = [];
            void Take(string field, string type, string name, JsonNode empty)
            {
                if (!block.ContainsKey(field)) return;
                string text = block[field] is JsonObject input ? input.ToJsonString() : (string)block[field]!;
                block[field] = empty;
                // In two parts, as far as there are two.
                foreach (string part in (string[])[text[..(text.Length / 2)], text[(text.Length / 2)..]])
                {
                    if (part.Length > 0) deltas.Add(new JsonObject { ["type"] = type, [name] = part });
                }
            }
            Take("thinking", "thinking_delta", "thinking", "");
            Take("signature", "signature_delta", "signature", "");
            Take("text", "text_delta", "text", "");
            Take("input", "input_json_delta", "partial_json", new JsonObject());
            yield return new JsonObject { ["type"] = "content_block_start", ["index"] = index, ["content_block"] = block }.ToJsonString();
            foreach (JsonObject delta in deltas) yield return new JsonObject { ["type"] = "content_block_delta", ["index"] = index, ["delta"] = delta }.ToJsonString();
            yield return new JsonObject { ["type"] = "content_block_stop", ["index"] = index }.ToJsonString();
        }
        yield return """{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":60}}""";
        yield return """{"type":"message_stop"}""";
    }

    /// <summary>The blocks as a client puts them together.</summary>
    private static JsonArray Assembled(IEnumerable<string> events)
    {
        JsonArray blocks = [];
        StringBuilder input = new();
        foreach (string text in events)
        {
            JsonNode data = JsonNode.Parse(text[text.IndexOf('{', StringComparison.Ordinal)..])!;
            switch ((string?)data["type"])
            {
                case "content_block_start":
                    Assert.Equal(blocks.Count, (int)data["index"]!);
                    blocks.Add(data["content_block"]!.DeepClone());
                    input.Clear();
                    break;
                case "content_block_delta":
                    JsonNode delta = data["delta"]!;
                    if ((string?)delta["partial_json"] is { } more) input.Append(more);
                    foreach (string field in (string[])["text", "thinking", "signature"])
                    {
                        if ((string?)delta[field] is { } part) blocks[^1]![field] = (string?)blocks[^1]![field] + part;
                    }
                    break;
                case "content_block_stop" when input.Length > 0:
                    blocks[^1]!["input"] = JsonNode.Parse(input.ToString());
                    break;
            }
        }
        return blocks;
    }

    private static string Normal(string json) => JsonNode.Parse(json)!.ToJsonString();
}
