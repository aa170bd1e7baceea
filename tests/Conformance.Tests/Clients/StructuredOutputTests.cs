using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Qanat.Conformance.Tests;

/// <summary>What is promised of an answer's form, kept by the running server over HTTP although its model's weights are random: nothing but the promise makes such an answer.</summary>
public sealed class StructuredOutputTests(RealServer server) : IClassFixture<RealServer>
{
    private const string Schema = """{"type":"object","properties":{"city":{"type":"string","maxLength":12},"warm":{"type":"boolean"},"days":{"type":"integer","minimum":1,"maximum":9}},"required":["city","warm","days"],"additionalProperties":false}""";
    private const string Tools = """
        [{"type":"function","function":{"name":"get_weather","parameters":{"type":"object","properties":{"city":{"enum":["Yazd","Shiraz"]}},"required":["city"],"additionalProperties":false}}},
         {"type":"function","function":{"name":"set_alarm","parameters":{"type":"object","properties":{"hour":{"type":"integer","minimum":0,"maximum":23}},"required":["hour"],"additionalProperties":false}}}]
        """;

    private async Task<HttpResponseMessage> PostAsync(string fields, bool streams, int seed)
    {
        using var http = new HttpClient { Timeout = TimeSpan.FromMinutes(2) };
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(server.Api, "/v1/chat/completions"));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", server.Key);
        request.Content = new StringContent($$"""{"model":"qanat-tiny","messages":[{"role":"user","content":"How warm is it?"}],"enable_thinking":false,"max_tokens":400,"seed":{{seed}},"stream":{{(streams ? "true" : "false")}},{{fields}}}""", Encoding.UTF8, "application/json");
        return await http.SendAsync(request, TestContext.Current.CancellationToken);
    }

    private async Task<JsonNode> AskAsync(string fields, int seed = 1)
    {
        using HttpResponseMessage response = await PostAsync(fields, streams: false, seed);
        JsonNode body = (await response.Content.ReadFromJsonAsync<JsonNode>(TestContext.Current.CancellationToken))!;
        Assert.True(response.IsSuccessStatusCode, body.ToJsonString());
        return body["choices"]![0]!;
    }

    private static void IsOfTheSchema(string text)
    {
        JsonObject answer = JsonNode.Parse(text)!.AsObject();
        Assert.Equal(["city", "warm", "days"], answer.Select(member => member.Key));
        Assert.InRange(((string)answer["city"]!).EnumerateRunes().Count(), 0, 12);
        Assert.True(answer["warm"]!.GetValueKind() is JsonValueKind.True or JsonValueKind.False, text);
        Assert.InRange((int)answer["days"]!, 1, 9);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task An_answer_to_a_schema_is_of_the_schema(int seed)
    {
        JsonNode choice = await AskAsync($$$"""
            "response_format":{"type":"json_schema","json_schema":{"name":"weather","strict":true,"schema":{{{Schema}}} }}
            """, seed);
        Assert.Equal("stop", (string?)choice["finish_reason"]);
        IsOfTheSchema((string)choice["message"]!["content"]!);
    }

    [Fact]
    public async Task A_streamed_answer_to_a_schema_is_of_the_schema()
    {
        using HttpResponseMessage response = await PostAsync($$$"""
            "response_format":{"type":"json_schema","json_schema":{"name":"weather","schema":{{{Schema}}} }}
            """, streams: true, seed: 4);
        var text = new StringBuilder();
        foreach (string line in (await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).Split('\n'))
            if (line.StartsWith("data: {", StringComparison.Ordinal)) text.Append((string?)JsonNode.Parse(line[6..])!["choices"]?.AsArray().FirstOrDefault()?["delta"]?["content"]);
        IsOfTheSchema(text.ToString());
    }

    [Fact]
    public async Task A_json_object_is_an_object()
    {
        JsonNode choice = await AskAsync("""
            "temperature":0.2,"response_format":{"type":"json_object"}
            """);
        string text = (string)choice["message"]!["content"]!;
        // An object of anything need not end by itself; as far as it went, it is one.
        if ((string?)choice["finish_reason"] == "stop") Assert.Equal(JsonValueKind.Object, JsonNode.Parse(text)!.GetValueKind());
        else Assert.StartsWith("{", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_required_call_calls_one_of_the_tools_with_arguments_of_its_schema()
    {
        JsonNode choice = await AskAsync($"\"tools\":{Tools},\"tool_choice\":\"required\",\"parallel_tool_calls\":false");
        Assert.Equal("tool_calls", (string?)choice["finish_reason"]);
        JsonNode function = Assert.Single(choice["message"]!["tool_calls"]!.AsArray())!["function"]!;
        JsonObject arguments = JsonNode.Parse((string)function["arguments"]!)!.AsObject();
        if ((string)function["name"]! == "get_weather") Assert.True((string)arguments["city"]! is "Yazd" or "Shiraz", arguments.ToJsonString());
        else Assert.InRange((int)arguments["hour"]!, 0, 23);
    }

    [Theory]
    [InlineData("get_weather")]
    [InlineData("set_alarm")]
    public async Task A_named_call_calls_that_tool(string name)
    {
        JsonNode choice = await AskAsync($$$"""
            "tools":{{{Tools}}},"tool_choice":{"type":"function","function":{"name":"{{{name}}}"}},"parallel_tool_calls":false
            """, seed: 6);
        Assert.Equal(name, (string?)Assert.Single(choice["message"]!["tool_calls"]!.AsArray())!["function"]!["name"]);
    }

    [Fact]
    public async Task A_schema_that_cannot_be_kept_is_refused_before_anything_is_generated()
    {
        using HttpResponseMessage response = await PostAsync("""
            "response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"array","uniqueItems":true}}}
            """, streams: false, seed: 1);
        Assert.Equal(400, (int)response.StatusCode);
        Assert.Contains("uniqueItems", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }
}
