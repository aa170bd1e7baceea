using System.Text;
using CsCheck;

namespace Qanat.Gateway.Tests;

public sealed class PlainEndTests
{
    private static readonly string[] s_root =
    [
        "\"id\":\"a\"", "\"created\":1", "\"object\":null", "\"object\":{}", "\"error\":null", "\"error\":\"\"", "\"error\":{\"code\":\"busy\"}", "\"error\":[]", "\"\\ud800\":null",
        "\"usage\":null", "\"usage\":{}", "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10}", "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"prompt_tokens_details\":null}",
        "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":4}}", "\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1e3}", "\"usage\":[]",
        "\"choices\":[]", "\"choices\":null", "\"choices\":{}", "\"choices\":[null]",
    ];

    private static readonly string[] s_choice =
    [
        "\"index\":0", "\"index\":1", "\"index\":2", "\"index\":-1", "\"index\":\"0\"", "\"text\":\"\"", "\"text\":\"t\"", "\"text\":null", "\"logprobs\":null", "\"logprobs\":{\"content\":[{\"token\":\"a\"}]}",
        "\"stop_reason\":null", "\"stop_reason\":\"\"", "\"stop_reason\":\"END\"", "\"stop_reason\":128", "\"finish_reason\":\"length\"", "\"finish_reason\":\"tool_calls\"", "\"finish_reason\":null", "\"finish_reason\":\"\\ud800\"",
        "\"delta\":null", "\"delta\":{\"content\":\"once more\"}", "\"message\":{\"content\":\"m\"}",
    ];

    private static readonly string[] s_delta =
    [
        "\"role\":\"assistant\"", "\"role\":null", "\"content\":\"\"", "\"content\":null", "\"content\":\"last\"", "\"content\":[]", "\"tool_calls\":[]", "\"tool_calls\":null", "\"reasoning_content\":null", "\"reasoning_content\":\"hm\"", "\"refusal\":null",
        "\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]",
    ];

    /// <summary>A field that says something makes any chunk one that is read as a document.</summary>
    [Fact]
    public void The_end_of_a_stream_reads_the_same_with_and_without_a_document_of_it()
    {
        int ends = 0, used = 0;
        Gen.Select(Some(s_root), Some(s_choice), Some(s_delta), Gen.Int[0, 20], Gen.Bool).Sample((root, choice, delta, cut, usual) =>
        {
            string[] around = [.. usual ? ["\"finish_reason\":\"stop\""] : Array.Empty<string>(), .. choice, $"\"delta\":{{{string.Join(',', delta)}}}"];
            string[] whole = [.. root, .. cut % 3 == 0 ? [] : new[] { $"\"choices\":[{{{string.Join(',', around)}}}]" }];
            string fields = string.Join(',', whole) + "}";
            if (cut > 18) fields = fields[..^(cut - 18)];
            string plain = "{" + fields, other = "{\"unknown\":{}" + (whole.Length == 0 ? "" : ",") + fields;
            if (Read(plain) is { } end && Told(plain) is not null)
            {
                if (end.Finish is not null) Interlocked.Increment(ref ends);
                if (end.Usage is not null) Interlocked.Increment(ref used);
            }
            Assert.Null(Read(other));
            Assert.Equal(Told(other), Told(plain));
        }, iter: 20_000);
        Assert.InRange(ends, 100, 19_000);
        Assert.InRange(used, 100, 19_000);
    }

    [Theory]
    [InlineData("""{"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null}""", "stop", null)]
    [InlineData("""{"id":"c","choices":[{"index":0,"delta":{"content":""},"finish_reason":"length","stop_reason":null}]}""", "length", null)]
    [InlineData("""{"id":"c","choices":[],"usage":{"prompt_tokens":7,"total_tokens":10,"completion_tokens":3}}""", null, 3L)]
    [InlineData("""{"id":"c","choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}""", "stop", 3L)]
    public void What_servers_end_a_stream_with_needs_no_document(string chunk, string? finish, long? output)
    {
        PlainEnd? end = Read(chunk);
        Assert.NotNull(end);
        Assert.Equal((finish, output), (end.Value.Finish, end.Value.Usage?.Output));
    }

    private static Gen<string[]> Some(string[] from) => Gen.Int[0, from.Length - 1].Select(index => from[index]).Array[0, 3];

    /// <summary>Null: it is another chunk, or no JSON.</summary>
    private static PlainEnd? Read(string data)
    {
        try
        {
            return PlainEnd.TryRead(Encoding.UTF8.GetBytes(data), out PlainEnd end) ? end : null;
        }
        catch (Exception wrong) when (wrong is System.Text.Json.JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>Null: it is no answer.</summary>
    private static string[]? Told(string data)
    {
        List<UpstreamEvent> events = [];
        try
        {
            new OpenAiEvents(2, chat: true).Take(Encoding.UTF8.GetBytes(data), events);
        }
        catch (UpstreamException)
        {
            return null;
        }
        return [.. events.Select(happened => happened is UpstreamPieces told ? $"{told.Choice} {told.Tokens} {string.Join('|', told.Pieces)} {string.Join('|', told.Logprobs)}" : $"{happened}")];
    }
}
