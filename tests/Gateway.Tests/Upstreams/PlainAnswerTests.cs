using System.Text;
using CsCheck;

namespace Qanat.Gateway.Tests;

public sealed class PlainAnswerTests
{
    private static readonly string[] s_root =
    [
        "\"id\":\"a\"", "\"created\":1", "\"model\":\"m\"", "\"object\":null", "\"service\":null", "\"error\":null", "\"error\":[]", "\"error\":{\"code\":\"busy\"}", "\"kv_transfer_params\":null", "\"\\ud800\":null",
        "\"usage\":null", "\"usage\":{}", "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"total_tokens\":10}", "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"prompt_tokens_details\":null}",
        "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":3,\"prompt_tokens_details\":{\"cached_tokens\":4}}", "\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1e3}", "\"usage\":{\"prompt_tokens\":\"7\"}", "\"usage\":{\"prompt_tokens\":1,\"prompt_tokens\":2}",
    ];

    private static readonly string[] s_choice =
    [
        "\"index\":0", "\"index\":1", "\"index\":null", "\"index\":\"0\"", "\"logprobs\":null", "\"logprobs\":[]", "\"logprobs\":{\"content\":[{\"token\":\"a\"}]}", "\"stop_reason\":null", "\"stop_reason\":\"END\"",
        "\"finish_reason\":\"stop\"", "\"finish_reason\":\"length\"", "\"finish_reason\":\"tool_calls\"", "\"finish_reason\":null", "\"message\":{\"role\":\"assistant\",\"content\":\"once more\"}",
    ];

    private static readonly string[] s_message =
    [
        "\"role\":\"assistant\"", "\"role\":null", "\"content\":\"Grüße\\n\"", "\"content\":\"\"", "\"content\":null", "\"content\":\"\\ud800\"", "\"content\":[]", "\"refusal\":null", "\"tool_calls\":[]", "\"tool_calls\":null",
        "\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]", "\"reasoning_content\":null", "\"reasoning_content\":\"hm\"", "\"reasoning\":[]", "\"content\":\"twice\"",
    ];

    /// <summary>A field that says something makes any answer one that is read as a document.</summary>
    [Fact]
    public void An_answer_reads_the_same_with_and_without_a_document_of_it()
    {
        int plainly = 0;
        Gen.Select(Some(s_root), Some(s_choice), Some(s_message), Gen.Int[0, 20], Gen.Bool).Sample((root, choice, message, cut, usual) =>
        {
            string said = string.Join(',', usual ? ["\"content\":\"w1 w2\"", .. message] : message);
            string[] around = usual ? ["\"finish_reason\":\"stop\"", .. choice] : choice;
            string fields = string.Join(',', [.. root, $"\"choices\":[{{{string.Join(',', [.. around, $"\"message\":{{{said}}}"])}}}]"]) + "}";
            if (cut > 18) fields = fields[..^(cut - 18)];
            string plain = "{" + fields, other = "{\"unknown\":{}," + fields;
            if (IsPlain(plain) && Told(plain) is not null) Interlocked.Increment(ref plainly);
            Assert.False(IsPlain(other));
            Assert.Equal(Told(other), Told(plain));
        }, iter: 10_000);
        Assert.InRange(plainly, 100, 9_000);
    }

    /// <summary>What has come of an answer is not taken for all of it, wherever it is cut.</summary>
    [Fact]
    public void A_beginning_of_an_answer_is_none()
    {
        byte[] whole = Encoding.UTF8.GetBytes("""{"id":"a","choices":[{"index":0,"message":{"content":"{}"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":3}}""");
        for (int cut = 0; cut < whole.Length; cut++) Assert.False(PlainAnswer.TryRead(whole.AsSpan(0, cut), out _), $"{cut}");
        Assert.True(PlainAnswer.TryRead(whole, out PlainAnswer answer));
        Assert.Equal(("{}", "stop", 7L, 3L), (answer.Content, answer.Finish, answer.Usage!.Value.Input, answer.Usage.Value.Output));
        Assert.False(PlainAnswer.TryRead([.. whole, (byte)'}'], out _));
    }

    private static Gen<string[]> Some(string[] from) => Gen.Int[0, from.Length - 1].Select(index => from[index]).Array[0, 3];

    private static bool IsPlain(string body)
    {
        try
        {
            return PlainAnswer.TryRead(Encoding.UTF8.GetBytes(body), out _);
        }
        catch (Exception wrong) when (wrong is System.Text.Json.JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>Null: it is no answer.</summary>
    private static string[]? Told(string body)
    {
        List<UpstreamEvent> events = [];
        byte[] bytes = Encoding.UTF8.GetBytes(body);
        OpenAiEvents reading = new(1, chat: true);
        try
        {
            if (!reading.TryTakeWhole(bytes, events))
            {
                Assert.Empty(events);
                reading.TakeWhole(bytes, events);
            }
        }
        catch (UpstreamException)
        {
            return null;
        }
        return [.. events.Select(happened => happened is UpstreamPieces told ? $"{told.Choice} {told.Tokens} {string.Join('|', told.Pieces)} {string.Join('|', told.Logprobs)}" : $"{happened}")];
    }
}
