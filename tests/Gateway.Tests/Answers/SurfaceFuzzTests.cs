using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;

namespace Qanat.Gateway.Tests;

/// <summary>Hostile and broken bodies on every API: an answer or a clear refusal, never a 5xx, never a hang.</summary>
public sealed class SurfaceFuzzTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    private static readonly string[] Values =
    [
        "null", "true", "0", "-1", "1.5", "1e400", "99999999999999999999999", "\"\"", "\"x\"", "\"\\ud800\"", "\"\\u0000\"", "[]", "{}", "[null]", "[[[[1]]]]", "{\"a\":{\"b\":[]}}", "[\"x\",1,null,{}]", "{\"\\ud800\":1}",
        "[{\"type\":\"x\"}]", "[{\"role\":\"user\",\"content\":[null]}]", "[{\"role\":null}]", "[{\"type\":\"function\"}]", "{\"type\":\"json_schema\"}", "{\"type\":\"enabled\"}", "[{\"type\":\"text\"}]",
    ];

    public static TheoryData<string> Paths => Surface.Paths;

    [Theory, MemberData(nameof(Paths))]
    public async Task Every_field_with_every_kind_of_value_is_served_or_refused(string path)
    {
        TestGateway gateway = fixture.Fresh();
        foreach (string text in Variants(JsonNode.Parse(Surface.Of(path).Body)!.AsObject()))
        {
            (int status, string answer) = await SendAsync(gateway, path, Encoding.UTF8.GetBytes(text));
            Assert.True(status is 200 or 400 or 404, $"{text}: {status} {answer}");
            if (status != 200) Assert.Contains("\"message\"", answer.Replace("\"error\":\"", "\"message\":\"", StringComparison.Ordinal), StringComparison.Ordinal);
        }
    }

    [Theory, MemberData(nameof(Paths))]
    public async Task A_body_cut_at_any_byte_is_refused(string path)
    {
        TestGateway gateway = fixture.Fresh();
        byte[] bytes = Encoding.UTF8.GetBytes(Surface.Of(path).Body.TrimEnd());
        for (int length = 0; length < bytes.Length; length += length < 60 ? 1 : 11)
        {
            (int status, string answer) = await SendAsync(gateway, path, bytes[..length]);
            Assert.True(status == 400, $"{length} bytes: {status} {answer}");
        }
        Assert.Empty(gateway.Script.Calls);
    }

    [Theory, MemberData(nameof(Paths))]
    public async Task Another_content_type_is_refused(string path)
    {
        TestGateway gateway = fixture.Fresh();
        using StringContent content = new(Surface.Of(path).Body, Encoding.UTF8, "text/plain");
        using HttpResponseMessage response = await gateway.Http.PostAsync(path, content, TestContext.Current.CancellationToken);
        Assert.Equal(415, (int)response.StatusCode);
    }

    /// <summary>A stream that a client stops reading at any byte leaves nothing running.</summary>
    [Theory, MemberData(nameof(Paths))]
    public async Task A_stream_that_is_cut_by_its_client_anywhere_ends_its_call(string path)
    {
        TestGateway gateway = fixture.Fresh();
        for (int cut = 1; cut < 2000; cut += 97)
        {
            using RawClient client = await RawClient.PostAsync(gateway, path, Surface.Of(path).Streamed, Surface.Of(path).StreamHeaders);
            while (client.Received.Length < cut && !client.Received.Contains("\r\n0\r\n", StringComparison.Ordinal) && await client.ReadSomeAsync()) { }
        }
        Assert.DoesNotContain(gateway.Log.Lines, line => line.StartsWith("Error", StringComparison.Ordinal));
        Assert.Equal(200, (await gateway.PostAsync(path, Surface.Of(path).Body)).Status);
    }

    /// <summary>The body with each field, also of objects in it, replaced by each value; written by hand, because a JSON library would not write half a surrogate pair.</summary>
    private static IEnumerable<string> Variants(JsonObject body)
    {
        foreach ((string field, JsonNode? value) in body)
        {
            string[] inner = value is JsonObject nested ? [.. Variants(nested)] : [];
            foreach (string replacement in Values.Concat(inner).Append("\"" + new string('x', 20_000) + "\""))
                yield return "{" + string.Join(",", body.Select(entry => $"\"{entry.Key}\":{(entry.Key == field ? replacement : entry.Value!.ToJsonString())}")) + "}";
        }
    }

    private static async Task<(int Status, string Body)> SendAsync(TestGateway gateway, string path, byte[] body)
    {
        using ByteArrayContent content = new(body);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        using HttpResponseMessage response = await gateway.Http.PostAsync(path, content, TestContext.Current.CancellationToken);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }
}
