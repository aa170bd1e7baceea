using System.Text;
using CsCheck;

namespace Qanat.Gateway.Tests;

public sealed class PlainChunksTests
{
    /// <summary>The bytes between the quotes: plain text, what must be read as JSON, what is no JSON, and what makes another chunk of it.</summary>
    private static readonly byte[][] s_texts =
    [
        "w1 "u8.ToArray(), ""u8.ToArray(), "Grüße 🌊"u8.ToArray(), "a\\nb"u8.ToArray(), "\\u00fc"u8.ToArray(), "\\ud800"u8.ToArray(), "\\"u8.ToArray(), "a\nb"u8.ToArray(), "\0"u8.ToArray(), [0xC3], [0xED, 0xA0, 0x80], "a\",\"tool_calls\":\"b"u8.ToArray(),
        "a\"},\"finish_reason\":null},{\"delta\":{\"content\":\"b"u8.ToArray(), "\",\"content\":\""u8.ToArray(), "{\"content\":\"x\"}"u8.ToArray(),
    ];

    /// <summary>Where the text stands in each is marked.</summary>
    private static readonly string[] s_frames =
    [
        """{"id":"c","created":1,"choices":[{"index":0,"delta":{"content":"@"},"finish_reason":null}]}""",
        """{"id":"c","created":1,"choices":[{"index":0,"delta":{"role":"assistant","content":"@"},"finish_reason":null}]}""",
        """{"id":"c","created":1,"choices":[{"index":1,"delta":{"content":"@"},"finish_reason":null}]}""",
        """{"id":"c","choices":[{"delta":{"content":"@"},"index":2}],"usage":null}""",
        """{"id":"c","choices":[{"delta":{"content":"@"},"finish_reason":"stop"}]}""",
        """{"choices":[{"delta":{"reasoning_content":"@"}}]}""",
    ];

    [Fact]
    public void A_chunk_reads_the_same_whatever_chunks_went_before()
    {
        int known = 0;
        Gen.Select(Gen.Int[0, s_frames.Length - 1], Gen.Int[0, s_texts.Length - 1], Gen.Int[0, 40]).Array[2, 12].Sample(chunks =>
        {
            OpenAiEvents stream = new(2, chat: true);
            PlainChunks plain = new();
            foreach ((int frame, int text, int cut) in chunks)
            {
                string[] around = s_frames[frame].Split('@');
                byte[] data = [.. Encoding.UTF8.GetBytes(around[0]), .. s_texts[text], .. Encoding.UTF8.GetBytes(around[1])];
                if (cut > 36) data = data[..^(cut - 36)];
                Assert.Equal(Told(new OpenAiEvents(2, chat: true), data), Told(stream, data));
                (PlainChunk? alone, PlainChunk? among) = (Read(PlainChunk.TryRead, data), Read(plain.TryRead, data));
                Assert.Equal(alone, among);
                if (among is not null) Interlocked.Increment(ref known);
            }
        }, iter: 2_000);
        Assert.InRange(known, 100, int.MaxValue);
    }

    private delegate bool TryRead(ReadOnlySpan<byte> data, out PlainChunk chunk);

    /// <summary>Null: it is no plain chunk, or no JSON.</summary>
    private static PlainChunk? Read(TryRead read, byte[] data)
    {
        try
        {
            return read(data, out PlainChunk chunk) ? chunk : null;
        }
        catch (System.Text.Json.JsonException)
        {
            return null;
        }
    }

    /// <summary>Null: it is no answer. A finish is told once for each answer, so that only its pieces are compared.</summary>
    private static string[]? Told(OpenAiEvents reading, byte[] data)
    {
        List<UpstreamEvent> events = [];
        try
        {
            reading.Take(data, events);
            return [.. events.OfType<UpstreamPieces>().Select(told => $"{told.Choice} {told.Tokens} {string.Join('|', told.Pieces)}")];
        }
        catch (UpstreamException)
        {
            return null;
        }
    }
}
