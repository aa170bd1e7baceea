using System.Globalization;

namespace Qanat.Outlook;

internal enum TokenKind { Word, Number, Percent, Text, Symbol, End }

/// <summary>A word, a number ("12376"), a percentage ("5%", as a fraction), quoted text or a symbol of one statement.</summary>
internal readonly record struct Token(TokenKind Kind, string Text, double Value, int Column);

/// <summary>Reads one line of a text format left to right. Every complaint names the file, the line and the column.</summary>
internal sealed class Tokens
{
    private const string Symbols = "=<>+-*/():,[]";
    private readonly List<Token> _tokens = [];
    private readonly Place _place;
    private int _at;

    public Tokens(string line, Place place)
    {
        _place = place;
        int at = 0;
        while (at < line.Length && line[at] != '#')
        {
            if (char.IsWhiteSpace(line[at])) { at++; continue; }
            Token token = Next(line, at, out int end);
            _tokens.Add(token);
            at = end;
        }
        _tokens.Add(new Token(TokenKind.End, "the end of the line", 0, at + 1));
    }

    public Token Peek => _tokens[_at];
    public Token PeekSecond => _tokens[Math.Min(_at + 1, _tokens.Count - 1)];
    public bool AtEnd => Peek.Kind == TokenKind.End;
    public Place Place => _place;

    public Token Take() => AtEnd ? throw Wrong("more was expected") : _tokens[_at++];

    public bool TryTake(string text)
    {
        if (Peek.Kind is not (TokenKind.Word or TokenKind.Symbol) || Peek.Text != text) return false;
        _at++;
        return true;
    }

    public void Expect(string text)
    {
        if (!TryTake(text)) throw Wrong($"'{text}' was expected");
    }

    public string Word(string what) => Peek.Kind == TokenKind.Word ? Take().Text : throw Wrong($"{what} was expected");
    public string Text(string what) => Peek.Kind == TokenKind.Text ? Take().Text : throw Wrong($"{what} in double quotes was expected");

    /// <summary>A number or a percentage, perhaps negative.</summary>
    public double Number(string what)
    {
        double sign = TryTake("-") ? -1 : 1;
        return Peek.Kind is TokenKind.Number or TokenKind.Percent ? sign * Take().Value : throw Wrong($"{what} was expected");
    }

    public Interval Range(string what)
    {
        double low = Number(what);
        if (!TryTake("..")) return Interval.At(low);
        double high = Number(what);
        return low <= high ? new Interval(low, high) : throw Wrong("the range runs backwards: write its low end first");
    }

    public Quarter Quarter() => Qanat.Outlook.Quarter.TryParse(Word("a quarter such as 2026Q2"), out Quarter quarter) ? quarter : throw WrongBefore("is not a quarter: write e.g. 2026Q2");

    public DateOnly Date() => DateOnly.TryParseExact(Word("a date such as 2026-06-30"), "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out DateOnly date)
        ? date : throw WrongBefore("is not a date: write e.g. 2026-06-30");

    public Month Month() => Qanat.Outlook.Month.TryParse(Word("a month such as 2026-01"), out Month month) ? month : throw WrongBefore("is not a month: write e.g. 2026-01");

    public void End()
    {
        if (!AtEnd) throw Wrong("nothing more was expected");
    }

    public OutlookDataException Wrong(string reason) => Fail($"column {Peek.Column}: {reason}, not {(AtEnd ? Peek.Text : $"'{Peek.Text}'")}.");
    public OutlookDataException WrongBefore(string reason) => Fail($"column {_tokens[Math.Max(0, _at - 1)].Column}: '{_tokens[Math.Max(0, _at - 1)].Text}' {reason}.");
    public OutlookDataException Fail(string reason) => new(new Fault(_place, reason));

    private Token Next(string line, int at, out int end)
    {
        char first = line[at];
        if (first == '"')
        {
            int close = line.IndexOf('"', at + 1);
            if (close < 0) throw Fail($"column {at + 1}: the quote that opens here is never closed.");
            end = close + 1;
            return new Token(TokenKind.Text, line[(at + 1)..close], 0, at + 1);
        }
        if (line.AsSpan(at).StartsWith("..") || line.AsSpan(at).StartsWith(">=") || line.AsSpan(at).StartsWith("<="))
        {
            end = at + 2;
            return new Token(TokenKind.Symbol, line[at..end], 0, at + 1);
        }
        if (char.IsAsciiDigit(first)) return Digits(line, at, out end);
        if (char.IsAsciiLetter(first) || first == '_')
        {
            end = at;
            while (end < line.Length && (char.IsAsciiLetterOrDigit(line[end]) || line[end] is '_' or '@' || IsInnerMark(line, end))) end++;
            return new Token(TokenKind.Word, line[at..end], 0, at + 1);
        }
        end = at + 1;
        return Symbols.Contains(first, StringComparison.Ordinal) ? new Token(TokenKind.Symbol, line[at..end], 0, at + 1) : throw Fail($"column {at + 1}: '{first}' has no meaning here.");
    }

    // A hyphen or a point belongs to a word only between letters: facts-file.csv, but a - b.
    private static bool IsInnerMark(string line, int at) => line[at] is '-' or '.' && at + 1 < line.Length && char.IsAsciiLetter(line[at + 1]) && char.IsAsciiLetterOrDigit(line[at - 1]);

    private Token Digits(string line, int at, out int end)
    {
        end = at;
        while (end < line.Length && (char.IsAsciiDigit(line[end]) || (line[end] == '_' && end + 1 < line.Length && char.IsAsciiDigit(line[end + 1])))) end++;
        bool isQuarter = end - at == 4 && end + 1 < line.Length && line[end] is 'Q' or 'q';
        bool isDate = end - at == 4 && end + 5 < line.Length && line[end] == '-' && line[end + 3] == '-';
        bool isMonth = !isDate && end - at == 4 && end + 2 < line.Length && line[end] == '-' && char.IsAsciiDigit(line[end + 1]) && char.IsAsciiDigit(line[end + 2]);
        if (isQuarter || isDate || isMonth)
        {
            end += isQuarter ? 2 : isDate ? 6 : 3;
            return new Token(TokenKind.Word, line[at..end], 0, at + 1);
        }
        if (end + 1 < line.Length && line[end] == '.' && char.IsAsciiDigit(line[end + 1]))
            for (end++; end < line.Length && char.IsAsciiDigit(line[end]); end++) { }
        if (!double.TryParse(line[at..end].Replace("_", "", StringComparison.Ordinal), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double number))
            throw Fail($"column {at + 1}: '{line[at..end]}' is not a number.");
        bool percent = end < line.Length && line[end] == '%';
        if (percent) end++;
        return new Token(percent ? TokenKind.Percent : TokenKind.Number, line[at..end], percent ? number / 100 : number, at + 1);
    }
}
