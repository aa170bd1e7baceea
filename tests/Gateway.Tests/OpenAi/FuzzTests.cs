using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using CsCheck;

namespace Qanat.Gateway.Tests;

/// <summary>Hostile and broken bodies: an answer or a clear 400, never a 5xx, never a hang.</summary>
public sealed class FuzzTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    private const string Chat = """
        {"model":"scripted-1","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"Grüße 你好 🙂"}],"name":"x"},
        {"role":"assistant","content":"","reasoning_content":"r","tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"c","content":"1"}],
        "stream":true,"stream_options":{"include_usage":true},"n":2,"max_tokens":5,"max_completion_tokens":6,"temperature":0.5,"top_p":0.9,"top_k":4,"min_p":0.1,"presence_penalty":0.1,
        "frequency_penalty":0.1,"repetition_penalty":1.1,"seed":7,"stop":["a","b"],"logit_bias":{"65":1},"logprobs":true,"top_logprobs":2,"user":"u","ignore_eos":false,"enable_thinking":true,
        "chat_template_kwargs":{"enable_thinking":false},"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"}}},"reasoning_effort":"low","thinking_budget":5,"tool_choice":"auto","tools":[{"type":"function","function":{"name":"f"}}],"extra_body":{"top_k":3}}
        """;

    private const string Completion = """
        {"model":"scripted-1","prompt":["a",[66,67]],"stream":false,"stream_options":{"include_usage":true},"n":1,"best_of":1,"max_tokens":5,"temperature":0.5,"top_p":0.9,"echo":false,"logprobs":2,
        "suffix":"","seed":7,"stop":"z","logit_bias":{"65":1},"user":"u","extra_body":{"top_k":3}}
        """;

    private static readonly string[] Values =
    [
        "null", "true", "false", "0", "-1", "1.5", "1e400", "-1e400", "99999999999999999999999", "\"\"", "\"x\"", "\"\\ud800\"", "\"\\u0000\"", "[]", "{}", "[null]", "[[[[1]]]]", "{\"a\":{\"b\":[]}}",
        "[\"x\",1,null,{}]", "{\"\\ud800\":1}", "{\"type\":\"image_url\"}", "[{\"role\":\"user\",\"content\":[null]}]", "[{\"role\":null}]",
    ];

    [Theory]
    [InlineData("/v1/chat/completions", Chat)]
    [InlineData("/v1/completions", Completion)]
    public async Task Every_field_with_every_kind_of_value_is_served_or_refused_by_name(string path, string valid)
    {
        TestGateway gateway = fixture.Fresh();
        JsonObject body = JsonNode.Parse(valid)!.AsObject();
        foreach (string field in body.Select(entry => entry.Key))
        {
            foreach (string value in Values.Append(Giant()))
            {
                // Written by hand: a JSON library would not write half a surrogate pair.
                string text = "{" + string.Join(",", body.Select(entry => $"\"{entry.Key}\":{(entry.Key == field ? value : entry.Value!.ToJsonString())}")) + "}";
                (int status, JsonNode? answer) = await SendAsync(gateway, path, Encoding.UTF8.GetBytes(text));
                string what = $"{field} = {value[..Math.Min(60, value.Length)]}: {status} {answer?.ToJsonString()}";
                Assert.True(status is 200 or 400 or 404, what);
                if (status != 200) Assert.True(answer!["error"]!["param"] is not null, what);
            }
        }
    }

    [Theory]
    [InlineData("/v1/chat/completions", Chat)]
    [InlineData("/v1/completions", Completion)]
    public async Task A_body_cut_at_any_byte_is_refused(string path, string valid)
    {
        TestGateway gateway = fixture.Fresh();
        byte[] bytes = Encoding.UTF8.GetBytes(valid);
        for (int length = 0; length < bytes.Length; length += length < 100 ? 1 : 7)
        {
            (int status, JsonNode? answer) = await SendAsync(gateway, path, bytes[..length]);
            Assert.True(status == 400, $"{length} bytes: {status} {answer?.ToJsonString()}");
        }
        Assert.Empty(gateway.Script.Calls);
    }

    [Fact]
    public async Task Random_damage_never_breaks_the_server()
    {
        TestGateway gateway = fixture.Fresh();
        Gen<byte[]> damaged = Gen.Select(Gen.Bool.Select(chat => chat ? Chat : Completion), Gen.Int[0, 2000], Gen.Byte, Gen.Int[0, 5], (valid, at, value, kind) => Damage(Encoding.UTF8.GetBytes(valid), at, value, kind));
        await damaged.SampleAsync(async bytes =>
        {
            (int status, JsonNode? answer) = await SendAsync(gateway, "/v1/chat/completions", bytes);
            Assert.True(status is 200 or 400 or 404, $"{status} {answer?.ToJsonString()}");
        }, iter: 300, threads: 1);
    }

    private static string Giant() => "\"" + new string('x', 200_000) + "\"";

    private static byte[] Damage(byte[] bytes, int at, byte value, int kind)
    {
        at %= bytes.Length;
        switch (kind)
        {
            case 0:
                bytes[at] = value;
                return bytes;
            case 1:
                return [.. bytes[..at], value, .. bytes[at..]];
            case 2:
                return [.. bytes[..at], .. bytes[(at + 1)..]];
            case 3:
                return [.. bytes[..at], .. bytes[(at / 2)..]];
            case 4:
                return [0xEF, 0xBB, 0xBF, .. bytes];
            default:
                bytes.AsSpan(at, Math.Min(8, bytes.Length - at)).Fill(value);
                return bytes;
        }
    }

    private static async Task<(int Status, JsonNode? Body)> SendAsync(TestGateway gateway, string path, byte[] body)
    {
        using ByteArrayContent content = new(body);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        using HttpResponseMessage response = await gateway.Http.PostAsync(path, content, TestContext.Current.CancellationToken);
        string text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        bool json = response.Content.Headers.ContentType?.MediaType == "application/json";
        return ((int)response.StatusCode, json ? JsonNode.Parse(text) : null);
    }
}
