using System.Collections.Immutable;
using System.Text;

namespace Qanat.Engine;

/// <summary>
/// Turns the bytes of tokens into text as they come. Only complete characters go out; bytes that are no UTF-8 become U+FFFD exactly as decoding the whole at once would make them;
/// text is held back while it may be the beginning of a stop string. However the bytes are cut, the deltas joined are the whole text up to the stop.
/// The stop that counts is the one that is complete first; of several complete with the same character, the longest.
/// </summary>
internal sealed class TextStream
{
    private readonly ImmutableArray<string> _stops;
    private readonly int _longestStop;
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
    private char[] _text = new char[64];
    private int _count;
    private int _certain;

    /// <param name="stops">None empty; they are cut off together with what follows them.</param>
    public TextStream(ImmutableArray<string> stops)
    {
        _stops = stops;
        foreach (string stop in stops) _longestStop = Math.Max(_longestStop, stop.Length);
    }

    /// <summary>A stop string was found: the text ends before it and takes no more.</summary>
    public bool IsStopped => StoppedBy is not null;

    /// <summary>The stop string that was found.</summary>
    public string? StoppedBy { get; private set; }

    /// <summary>Takes the bytes of one token.</summary>
    public void Append(ReadOnlySpan<byte> bytes) => Decode(bytes, flush: false);

    /// <summary>No more tokens come: half a character becomes U+FFFD and nothing is held back any longer.</summary>
    public void Complete()
    {
        Decode([], flush: true);
        _certain = _count;
    }

    /// <summary>The text that became certain since the last call.</summary>
    public string Take()
    {
        if (_certain == 0) return "";
        var delta = new string(_text, 0, _certain);
        _text.AsSpan(_certain, _count - _certain).CopyTo(_text);
        _count -= _certain;
        _certain = 0;
        return delta;
    }

    private void Decode(ReadOnlySpan<byte> bytes, bool flush)
    {
        if (IsStopped) return;
        int room = _count + Encoding.UTF8.GetMaxCharCount(bytes.Length);
        if (room > _text.Length) Array.Resize(ref _text, Math.Max(room, _text.Length * 2));
        _count += _decoder.GetChars(bytes, _text.AsSpan(_count), flush);
        Settle();
    }

    private void Settle()
    {
        ReadOnlySpan<char> open = _text.AsSpan(_certain, _count - _certain);
        if (FindStop(open) is { } stop)
        {
            StoppedBy = stop.Text;
            _count = _certain += stop.Begin;
            return;
        }
        _certain = _count - MayBegin(open);
    }

    /// <summary>The stop that is complete first, and where it begins; null when there is none.</summary>
    private (string Text, int Begin)? FindStop(ReadOnlySpan<char> text)
    {
        int begin = -1, end = int.MaxValue;
        string? found = null;
        foreach (string stop in _stops)
        {
            int at = text.IndexOf(stop, StringComparison.Ordinal);
            if (at < 0 || at + stop.Length > end || (at + stop.Length == end && at > begin)) continue;
            begin = at;
            end = at + stop.Length;
            found = stop;
        }
        return found is null ? null : (found, begin);
    }

    /// <summary>How many of the last characters may be the beginning of a stop string.</summary>
    private int MayBegin(ReadOnlySpan<char> text)
    {
        for (int length = Math.Min(text.Length, _longestStop - 1); length > 0; length--)
            foreach (string stop in _stops)
                if (length < stop.Length && text[^length..].SequenceEqual(stop.AsSpan(0, length))) return length;
        return 0;
    }
}
