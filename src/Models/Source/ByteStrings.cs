using System.Text;

namespace Qanat.Models;

/// <summary>Many short runs of bytes in one array, as vocabularies are: hundreds of thousands of objects less, and nothing to collect.</summary>
internal sealed class ByteStrings
{
    private readonly byte[] _bytes;
    private readonly int[] _ends;

    /// <param name="bytes">One after the other.</param>
    /// <param name="ends">Where each ends, ascending.</param>
    public ByteStrings(byte[] bytes, int[] ends)
    {
        _bytes = bytes;
        _ends = ends;
    }

    /// <summary>Texts as UTF-8.</summary>
    public static ByteStrings Of(IEnumerable<string> texts)
    {
        var bytes = new MemoryStream();
        var ends = new List<int>();
        foreach (string text in texts)
        {
            bytes.Write(Encoding.UTF8.GetBytes(text));
            ends.Add(checked((int)bytes.Length));
        }
        return new ByteStrings(bytes.ToArray(), [.. ends]);
    }

    public int Count => _ends.Length;

    /// <summary>Of all of them together.</summary>
    public int ByteCount => _ends.Length == 0 ? 0 : _ends[^1];

    public ReadOnlySpan<byte> this[int index]
    {
        get
        {
            int start = index == 0 ? 0 : _ends[index - 1];
            return _bytes.AsSpan(start, _ends[index] - start);
        }
    }

    /// <summary>One as text; bytes that are no UTF-8 become U+FFFD.</summary>
    public string Text(int index) => Encoding.UTF8.GetString(this[index]);

    /// <summary>All of them as text.</summary>
    public string[] Texts()
    {
        var texts = new string[Count];
        for (int i = 0; i < texts.Length; i++)
            texts[i] = Text(i);
        return texts;
    }
}
