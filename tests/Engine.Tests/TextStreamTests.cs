using System.Collections.Immutable;
using System.Text;
using CsCheck;

namespace Qanat.Engine.Tests;

public sealed class TextStreamTests
{
    /// <summary>The obvious definition: decode everything, cut before the stop that is complete first (the longest of several).</summary>
    private static string Expected(byte[] bytes, string[] stops)
    {
        string text = Encoding.UTF8.GetString(bytes);
        for (int end = 1; end <= text.Length; end++)
        {
            string[] complete = [.. stops.Where(stop => text.AsSpan(0, end).EndsWith(stop, StringComparison.Ordinal))];
            if (complete.Length > 0) return text[..(end - complete.Max(stop => stop.Length))];
        }
        return text;
    }

    private static string[] Deltas(IEnumerable<byte[]> tokens, params string[] stops)
    {
        var stream = new TextStream([.. stops]);
        var deltas = new List<string>();
        foreach (byte[] token in tokens)
        {
            stream.Append(token);
            deltas.Add(stream.Take());
        }
        stream.Complete();
        deltas.Add(stream.Take());
        return [.. deltas];
    }

    private static string[] Deltas(string text, params string[] stops) => Deltas(Encoding.UTF8.GetBytes(text).Select(b => new[] { b }), stops);

    /// <summary>Pieces of the given lengths, again and again until all is cut; some may be empty, not all.</summary>
    private static IEnumerable<byte[]> Cut(byte[] bytes, int[] lengths)
    {
        int at = 0;
        for (int i = 0; at < bytes.Length; i++)
        {
            int length = Math.Min(lengths[i % lengths.Length], bytes.Length - at);
            yield return bytes[at..(at + length)];
            at += length;
        }
    }

    private static Gen<T> OneOf<T>(params T[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);

    private static readonly Gen<byte[]> GenBytes = Gen.OneOf(
        OneOf("a", "b", "ab", "é", "中", "😀", "\u0301", "\n", "\uFFFD", "<|", "|>").Array[0, 30].Select(parts => Encoding.UTF8.GetBytes(string.Concat(parts))),
        OneOf<byte>(0x61, 0x62, 0x80, 0xBF, 0xC2, 0xC0, 0xE4, 0xB8, 0xAD, 0xED, 0xA0, 0xF0, 0x9F, 0x98, 0x80, 0xF4, 0x90, 0xFF).Array[0, 40],
        Gen.Byte.Array[0, 40]);

    private static readonly Gen<string[]> GenStops = OneOf("a", "ab", "ba", "aab", "bbb", "é", "中", "a😀", "😀b", "\uFFFD", "<|ab|>", "|>").Array[0, 4];

    [Fact]
    public void Deltas_joined_are_the_whole_text_up_to_the_stop_however_the_bytes_are_cut()
    {
        Gen.Select(GenBytes, GenStops, Gen.Int[0, 7].Array[1, 5].Where(cut => cut.Any(c => c > 0))).Sample((bytes, stops, cut) =>
        {
            string[] deltas = Deltas(Cut(bytes, cut), stops);
            Assert.Equal(Expected(bytes, stops), string.Concat(deltas));
            Assert.All(deltas, delta => Assert.True(IsWhole(delta), "half a character went out"));
        }, iter: 20_000);

        static bool IsWhole(string text)
        {
            for (int at = 0, used; at < text.Length; at += used)
                if (Rune.DecodeFromUtf16(text.AsSpan(at), out _, out used) != System.Buffers.OperationStatus.Done) return false;
            return true;
        }
    }

    [Fact]
    public void A_character_goes_out_with_its_last_byte() => Assert.Equal(["", "", "", "😀", ""], Deltas("😀"));

    [Fact]
    public void Bytes_that_are_no_text_become_replacement_characters()
    {
        Assert.Equal("a\uFFFDb", string.Concat(Deltas([[0x61], [0xFF], [0x62]])));
        Assert.Equal("a\uFFFD", string.Concat(Deltas([[0x61], [0xE4, 0xB8]])));
    }

    [Fact]
    public void Text_is_held_back_only_while_it_may_begin_a_stop() => Assert.Equal(["x", "", "", "STxy", ""], Deltas(["x"u8.ToArray(), "S"u8.ToArray(), "T"u8.ToArray(), "xy"u8.ToArray()], "STOP"));

    [Fact]
    public void A_stop_across_tokens_is_cut_off_with_what_follows()
    {
        Assert.Equal("before", string.Concat(Deltas("beforeSTOPafter", "STOP")));
        Assert.Equal("SSS", string.Concat(Deltas("SSSSTOP", "STOP")));
    }

    [Fact]
    public void What_was_held_back_goes_out_at_the_end() => Assert.Equal(["", "", "ST"], Deltas("ST", "STOP"));

    [Fact]
    public void Of_overlapping_stops_the_one_complete_first_counts()
    {
        Assert.Equal("ab", string.Concat(Deltas("abcdX", "abcdX", "c")));
        Assert.Equal("", string.Concat(Deltas("abc", "abc", "c")));
    }

    [Fact]
    public void A_stopped_stream_takes_no_more()
    {
        var stream = new TextStream(ImmutableArray.Create("."));
        stream.Append("a.b"u8);
        Assert.Equal((true, "."), (stream.IsStopped, stream.StoppedBy));
        stream.Append("c"u8);
        stream.Complete();
        Assert.Equal("a", stream.Take());
        Assert.Equal("", stream.Take());
    }
}
