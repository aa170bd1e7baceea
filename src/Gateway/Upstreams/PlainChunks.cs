using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Qanat.Gateway;

/// <summary>Reads the plain chunks of one stream. All of them say the same around their text: once one was read as JSON, what stands around its text tells the next one, and only the text itself is looked at.</summary>
internal sealed class PlainChunks
{
    /// <summary>What ends a JSON string, begins an escape in it, or may not stand in it.</summary>
    private static readonly SearchValues<byte> s_unplain = SearchValues.Create([.. Enumerable.Range(0, ' ').Select(control => (byte)control), (byte)'"', (byte)'\\']);

    private byte[] before = [];
    private byte[] after = [];
    private int choice;

    /// <summary>As <see cref="PlainChunk.TryRead"/>, whatever chunks went before.</summary>
    /// <exception cref="JsonException">It is no JSON.</exception>
    public bool TryRead(ReadOnlySpan<byte> data, out PlainChunk chunk)
    {
        if (TryReadText(data, out chunk)) return true;
        if (!PlainChunk.TryRead(data, out chunk)) return false;
        (int begin, int length) = chunk.Place.GetOffsetAndLength(data.Length);
        before = data[..(begin + 1)].ToArray();
        after = data[(begin + length - 1)..].ToArray();
        choice = chunk.Choice;
        return true;
    }

    private bool TryReadText(ReadOnlySpan<byte> data, out PlainChunk chunk)
    {
        chunk = default;
        if (before.Length == 0 || data.Length < before.Length + after.Length || !data.StartsWith(before) || !data.EndsWith(after)) return false;
        Range place = (before.Length - 1)..(data.Length - after.Length + 1);
        ReadOnlySpan<byte> text = data[before.Length..^after.Length];
        if (text.ContainsAny(s_unplain) || !Utf8.IsValid(text)) return false;
        chunk = new PlainChunk(choice, Encoding.UTF8.GetString(text), place);
        return true;
    }
}
