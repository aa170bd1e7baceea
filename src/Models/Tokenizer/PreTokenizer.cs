namespace Qanat.Models;

/// <summary>The two ways Qwen models cut a text into pieces before merging; the names are those of tokenizer.ggml.pre.</summary>
public enum PreTokenizer
{
    /// <summary>Qwen2, 2.5, 3: letters are \p{L}; a combining mark that joined no letter under NFC is punctuation.</summary>
    Qwen2,

    /// <summary>Qwen3.5 and later: letters are [\p{L}\p{M}].</summary>
    Qwen35,
}

/// <summary>Cuts a text into pieces as the model's regular expression would, in one pass without backtracking:
/// <code>(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+</code>
/// (\p{L} read as [\p{L}\p{M}] for Qwen35). .NET's Regex works on UTF-16 units and takes letters beyond U+FFFF for symbols.
/// The pieces cover the text without gap. The text is well-formed UTF-16.</summary>
internal ref struct PieceScanner(ReadOnlySpan<char> text, PreTokenizer kind)
{
    private readonly ReadOnlySpan<char> _text = text;
    private int _end;

    public ReadOnlySpan<char> Current { get; private set; }

    public bool MoveNext()
    {
        if (_end == _text.Length)
            return false;
        int start = _end;
        _end = EndOfPiece(start);
        Current = _text[start.._end];
        return true;
    }

    private readonly int EndOfPiece(int start)
    {
        int contraction = ContractionUnits(start);
        if (contraction > 0)
            return start + contraction;

        CodePointClass first = ClassAt(start, out int firstUnits);
        int second = start + firstUnits;
        if (first == CodePointClass.Letter)
            return EndOfRun(second, CodePointClass.Letter);
        if (first == CodePointClass.Number)
            return second;
        if (first != CodePointClass.NewLine && IsClassAt(second, CodePointClass.Letter))
            return EndOfRun(second, CodePointClass.Letter);
        if (first == CodePointClass.Other)
            return EndOfNewLines(EndOfRun(second, CodePointClass.Other));
        if (_text[start] == ' ' && IsClassAt(second, CodePointClass.Other))
            return EndOfNewLines(EndOfRun(second, CodePointClass.Other));
        return EndOfSpace(start);
    }

    /// <summary>White space: up to its last line break if it has one; else all of it at the end of the text; else all but the last character,
    /// which goes with what follows; a single one stands alone.</summary>
    private readonly int EndOfSpace(int start)
    {
        int end = start, afterLastNewLine = -1, last = start;
        while (end < _text.Length)
        {
            CodePointClass kindHere = ClassAt(end, out int units);
            if (kindHere is not (CodePointClass.Space or CodePointClass.NewLine))
                break;
            last = end;
            end += units;
            if (kindHere == CodePointClass.NewLine)
                afterLastNewLine = end;
        }
        if (afterLastNewLine >= 0)
            return afterLastNewLine;
        return end == _text.Length || last == start ? end : last;
    }

    private readonly int EndOfRun(int index, CodePointClass wanted)
    {
        while (index < _text.Length && ClassAt(index, out int units) == wanted)
            index += units;
        return index;
    }

    private readonly int EndOfNewLines(int index)
    {
        while (index < _text.Length && _text[index] is '\r' or '\n')
            index++;
        return index;
    }

    private readonly bool IsClassAt(int index, CodePointClass wanted) => index < _text.Length && ClassAt(index, out _) == wanted;

    private readonly CodePointClass ClassAt(int index, out int units)
    {
        char unit = _text[index];
        int codePoint = unit;
        units = 1;
        if (char.IsHighSurrogate(unit) && index + 1 < _text.Length && char.IsLowSurrogate(_text[index + 1]))
        {
            codePoint = char.ConvertToUtf32(unit, _text[index + 1]);
            units = 2;
        }
        CodePointClass found = UnicodeTable.ClassOf(codePoint);
        if (found == CodePointClass.Mark)
            return kind == PreTokenizer.Qwen35 ? CodePointClass.Letter : CodePointClass.Other;
        return found;
    }

    /// <summary>Length of 's 't 're 've 'm 'll 'd in any case; 0 when there is none. The long s (U+017F) is an s in another case.</summary>
    private readonly int ContractionUnits(int start)
    {
        if (_text[start] != '\'' || start + 1 == _text.Length)
            return 0;
        char first = (char)(_text[start + 1] | 0x20);
        if (first is 's' or 't' or 'm' or 'd' && char.IsAsciiLetter(_text[start + 1]) || _text[start + 1] == '\u017F')
            return 2;
        if (start + 2 == _text.Length || !char.IsAsciiLetter(_text[start + 1]) || !char.IsAsciiLetter(_text[start + 2]))
            return 0;
        return (first, (char)(_text[start + 2] | 0x20)) is ('r', 'e') or ('v', 'e') or ('l', 'l') ? 3 : 0;
    }
}
