using System.Globalization;
using System.Text;

namespace Qanat.Models;

internal enum JinjaTokenKind { Text, BlockStart, BlockEnd, OutputStart, OutputEnd, Name, String, Integer, Float, Operator, End }

/// <param name="Value">Of a string: what it stands for, without quotes.</param>
internal readonly record struct JinjaToken(JinjaTokenKind Kind, string Value, int Line);

/// <summary>Cuts a template into tokens. White space as those who train models set it: the first line break behind a block goes, and so do blanks before a block that begins its line.</summary>
internal sealed class JinjaLexer
{
    private static readonly string[] s_operators = ["==", "!=", "<=", ">=", "//", "**", "+", "-", "*", "/", "%", "~", "<", ">", "=", ".", ":", "|", ",", "(", ")", "[", "]", "{", "}"];

    private readonly string _source;
    private readonly List<JinjaToken> _tokens = [];
    private int _at;
    private int _line = 1;
    private bool _lineStarts = true;

    private JinjaLexer(string source) => _source = source;

    /// <exception cref="JinjaException">A tag or a string does not end, or there is a character that belongs nowhere.</exception>
    public static List<JinjaToken> Cut(string source)
    {
        string text = source.ReplaceLineEndings("\n");
        var lexer = new JinjaLexer(text.EndsWith('\n') ? text[..^1] : text);
        while (lexer._at < lexer._source.Length) lexer.Next();
        lexer.Add(JinjaTokenKind.End, "");
        return lexer._tokens;
    }

    private void Next()
    {
        int open = NextOpening();
        string text = _source[_at..open];
        if (open == _source.Length)
        {
            AddText(text, text.Length);
            _at = open;
            return;
        }
        char kind = _source[open + 1];
        char mark = open + 2 < _source.Length ? _source[open + 2] : '\0';
        AddText(mark == '-' ? text.TrimEnd() : kind != '{' && mark != '+' ? WithoutIndentation(text) : text, text.Length);
        _at = open + (mark is '-' or '+' ? 3 : 2);
        switch (kind)
        {
            case '#': SkipComment(); break;
            case '{': ReadTag(JinjaTokenKind.OutputStart, JinjaTokenKind.OutputEnd, "}}"); break;
            default:
                if (!TryReadRaw()) ReadTag(JinjaTokenKind.BlockStart, JinjaTokenKind.BlockEnd, "%}");
                break;
        }
    }

    private int NextOpening()
    {
        for (int at = _source.IndexOf('{', _at); at >= 0 && at + 1 < _source.Length; at = _source.IndexOf('{', at + 1))
        {
            if (_source[at + 1] is '{' or '%' or '#') return at;
        }
        return _source.Length;
    }

    private string WithoutIndentation(string text)
    {
        int lineStart = text.LastIndexOf('\n') + 1;
        return (lineStart > 0 || _lineStarts) && text.AsSpan(lineStart).Trim(" \t").IsEmpty ? text[..lineStart] : text;
    }

    private void AddText(string text, int taken)
    {
        if (text.Length > 0) Add(JinjaTokenKind.Text, text);
        CountLines(_at, _at + taken);
        if (taken > 0) _lineStarts = _source[_at + taken - 1] == '\n';
    }

    private void SkipComment()
    {
        int end = _source.IndexOf("#}", _at, StringComparison.Ordinal);
        if (end < 0) throw new JinjaException(_line, "a comment does not end");
        CountLines(_at, end);
        EndTag(end, end + 2, trimsLine: true);
    }

    private bool TryReadRaw()
    {
        int at = _at;
        while (at < _source.Length && char.IsWhiteSpace(_source[at])) at++;
        if (!_source.AsSpan(at).StartsWith("raw") || (at + 3 < _source.Length && char.IsLetterOrDigit(_source[at + 3]))) return false;
        int begin = _source.IndexOf("%}", at, StringComparison.Ordinal);
        if (begin < 0) throw new JinjaException(_line, "a tag does not end");
        _at = begin + 2;
        int end = _at;
        while (true)
        {
            end = _source.IndexOf("{%", end, StringComparison.Ordinal);
            int close = end < 0 ? -1 : _source.IndexOf("%}", end, StringComparison.Ordinal);
            if (close < 0) throw new JinjaException(_line, "raw text does not end");
            if (_source[(end + 2)..close].Trim().Trim('-', '+').Trim() == "endraw")
            {
                AddText(_source[_at..end], end - _at);
                _at = close;
                EndTag(close, close + 2, trimsLine: true);
                return true;
            }
            end += 2;
        }
    }

    private void ReadTag(JinjaTokenKind start, JinjaTokenKind end, string closing)
    {
        Add(start, "");
        int depth = 0;
        while (true)
        {
            if (_at >= _source.Length) throw new JinjaException(_line, "a tag does not end");
            char unit = _source[_at];
            if (char.IsWhiteSpace(unit))
            {
                CountLines(_at, ++_at);
                continue;
            }
            int mark = unit is '-' or '+' ? 1 : 0;
            if (depth == 0 && _source.AsSpan(_at + mark).StartsWith(closing))
            {
                Add(end, "");
                EndTag(_at + mark, _at + mark + 2, trimsLine: end == JinjaTokenKind.BlockEnd);
                return;
            }
            if (unit is '\'' or '"') ReadString(unit);
            else if (char.IsAsciiDigit(unit)) ReadNumber();
            else if (char.IsLetter(unit) || unit == '_') ReadName();
            else depth += ReadOperator();
        }
    }

    /// <param name="at">Where the closing marks are; a minus before them takes all white space, a plus none.</param>
    private void EndTag(int at, int next, bool trimsLine)
    {
        char mark = _source[at - 1];
        _at = next;
        _lineStarts = false;
        if (mark == '-')
        {
            while (_at < _source.Length && char.IsWhiteSpace(_source[_at])) _at++;
        }
        else if (trimsLine && mark != '+' && _at < _source.Length && _source[_at] == '\n')
        {
            _at++;
        }
        CountLines(next, _at);
        if (_at > next) _lineStarts = _source[_at - 1] == '\n';
    }

    private void ReadString(char quote)
    {
        var value = new StringBuilder();
        int line = _line;
        for (_at++; ; _at++)
        {
            if (_at >= _source.Length) throw new JinjaException(line, "a string does not end");
            char unit = _source[_at];
            if (unit == quote) break;
            if (unit == '\n') _line++;
            value.Append(unit == '\\' && _at + 1 < _source.Length ? Escaped() : unit.ToString());
        }
        _at++;
        _tokens.Add(new JinjaToken(JinjaTokenKind.String, value.ToString(), line));
    }

    /// <summary>What an escape stands for; unknown ones stand for themselves.</summary>
    private string Escaped()
    {
        char unit = _source[++_at];
        int digits = unit switch { 'x' => 2, 'u' => 4, 'U' => 8, _ => 0 };
        if (digits > 0 && _at + digits < _source.Length && int.TryParse(_source.AsSpan(_at + 1, digits), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out int code) && code is >= 0 and <= 0x10FFFF)
        {
            _at += digits;
            return code is >= 0xD800 and <= 0xDFFF ? ((char)code).ToString() : char.ConvertFromUtf32(code);
        }
        return unit switch { 'n' => "\n", 't' => "\t", 'r' => "\r", 'b' => "\b", 'f' => "\f", 'v' => "\v", 'a' => "\a", '0' => "\0", '\\' or '\'' or '"' => unit.ToString(), '\n' => "", _ => "\\" + unit };
    }

    private void ReadNumber()
    {
        int start = _at;
        while (_at < _source.Length && (char.IsAsciiDigit(_source[_at]) || _source[_at] == '_')) _at++;
        bool isFloat = false;
        if (_at + 1 < _source.Length && _source[_at] == '.' && char.IsAsciiDigit(_source[_at + 1]))
        {
            isFloat = true;
            for (_at++; _at < _source.Length && char.IsAsciiDigit(_source[_at]);) _at++;
        }
        if (_at < _source.Length && _source[_at] is 'e' or 'E')
        {
            int exponent = _at + (_at + 1 < _source.Length && _source[_at + 1] is '+' or '-' ? 2 : 1);
            if (exponent < _source.Length && char.IsAsciiDigit(_source[exponent]))
            {
                isFloat = true;
                for (_at = exponent; _at < _source.Length && char.IsAsciiDigit(_source[_at]);) _at++;
            }
        }
        Add(isFloat ? JinjaTokenKind.Float : JinjaTokenKind.Integer, _source[start.._at].Replace("_", "", StringComparison.Ordinal));
    }

    private void ReadName()
    {
        int start = _at;
        while (_at < _source.Length && (char.IsLetterOrDigit(_source[_at]) || _source[_at] == '_')) _at++;
        Add(JinjaTokenKind.Name, _source[start.._at]);
    }

    /// <returns>How much deeper within brackets the operator leads.</returns>
    private int ReadOperator()
    {
        foreach (string candidate in s_operators)
        {
            if (!_source.AsSpan(_at).StartsWith(candidate)) continue;
            Add(JinjaTokenKind.Operator, candidate);
            _at += candidate.Length;
            return candidate is "(" or "[" or "{" ? 1 : candidate is ")" or "]" or "}" ? -1 : 0;
        }
        throw new JinjaException(_line, $"'{_source[_at]}' belongs nowhere");
    }

    private void Add(JinjaTokenKind kind, string value) => _tokens.Add(new JinjaToken(kind, value, _line));

    private void CountLines(int from, int to) => _line += _source.AsSpan(from, to - from).Count('\n');
}
