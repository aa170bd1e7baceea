namespace Qanat.Models;

/// <summary>Text that has come and is not yet told, taken from its front.</summary>
internal sealed class TextWindow
{
    private char[] text = new char[256];
    private int from;
    private int to;

    public ReadOnlySpan<char> Span => text.AsSpan(from, to - from);
    public int Length => to - from;

    public void Append(ReadOnlySpan<char> more)
    {
        if (to + more.Length > text.Length)
        {
            char[] room = Length + more.Length > text.Length / 2 ? new char[(Length + more.Length) * 2] : text;
            Span.CopyTo(room);
            (text, to, from) = (room, Length, 0);
        }
        more.CopyTo(text.AsSpan(to));
        to += more.Length;
    }

    /// <summary>Takes the first characters away and gives them.</summary>
    public string Take(int count)
    {
        string taken = count == 0 ? "" : new string(text, from, count);
        from += count;
        return taken;
    }

    public void Skip(int count) => from += count;

    public void SkipWhiteSpace()
    {
        while (from < to && char.IsWhiteSpace(text[from])) from++;
    }

    /// <summary>How many of the last characters may be the beginning of the mark, short of the whole of it.</summary>
    public static int MayBegin(ReadOnlySpan<char> text, ReadOnlySpan<char> mark)
    {
        for (int length = Math.Min(mark.Length - 1, text.Length); length > 0; length--)
        {
            if (text[^length..].SequenceEqual(mark[..length])) return length;
        }
        return 0;
    }
}
