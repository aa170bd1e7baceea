using System.Buffers;
using System.Collections.Immutable;
using System.Globalization;

namespace Qanat.Books;

/// <summary>A text that cannot be read as facts: says in which line and column, and what to write instead.</summary>
public sealed class FactFormatException : FormatException
{
    public FactFormatException(int line, int column, string problem) : base(string.Create(CultureInfo.InvariantCulture, $"line {line}, column {column}: {problem}")) =>
        (Line, Column, Problem) = (line, column, problem);
    public FactFormatException() => Problem = "";
    public FactFormatException(string message) : base(message) => Problem = message;
    public FactFormatException(string message, Exception inner) : base(message, inner) => Problem = message;

    /// <summary>From 1.</summary>
    public int Line { get; }
    public int Column { get; }
    public string Problem { get; }
}

/// <summary>A word of a fact and where it stands. "..." keeps spaces together.</summary>
internal readonly record struct FactWord(string Text, int Line, int Column);

/// <summary>One statement of a text that people write and review: a verb, then keywords with their values, in any order. '#' starts a comment, an indented line continues the one above.
/// Every word must be asked for: <see cref="EnsureAllUsed"/> turns a misspelt keyword into an error.</summary>
public sealed class FactLine
{
    private readonly ImmutableArray<FactWord> words;
    private readonly HashSet<int> used = [];

    internal FactLine(ImmutableArray<FactWord> words)
    {
        this.words = words;
        if (words.Length > 0) used.Add(0);
    }

    /// <summary>The first word.</summary>
    public string Verb => words[0].Text;
    public int Line => words[0].Line;

    /// <summary>The statement on one line, as <see cref="ReadAll"/> reads it again.</summary>
    public string Text => string.Join(' ', words.Select(w => Quote(w.Text)));

    /// <summary>Cuts a text into statements.</summary>
    /// <exception cref="FactFormatException">A quotation is not closed.</exception>
    public static ImmutableArray<FactLine> ReadAll(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var lines = ImmutableArray.CreateBuilder<FactLine>();
        var current = ImmutableArray.CreateBuilder<FactWord>();
        int number = 0;
        foreach (string raw in text.Split('\n'))
        {
            number++;
            List<FactWord> found = Words(raw.TrimEnd('\r'), number);
            if (found.Count == 0) continue;
            if (found[0].Column == 1 && current.Count > 0) lines.Add(new FactLine(current.DrainToImmutable()));
            current.AddRange(found);
        }
        if (current.Count > 0) lines.Add(new FactLine(current.DrainToImmutable()));
        return lines.ToImmutable();
    }

    /// <summary>The one statement of a text.</summary>
    /// <exception cref="FactFormatException">There is none, or more than one.</exception>
    public static FactLine Read(string text)
    {
        ImmutableArray<FactLine> lines = ReadAll(text);
        return lines.Length == 1 ? lines[0] : throw new FactFormatException(1, 1, $"'{text}' must be one statement.");
    }

    /// <summary>Nearly every word has only these, of which none needs quotation marks.</summary>
    private static readonly SearchValues<char> s_plain = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:/");

    /// <summary>Text as a word of a statement: in quotation marks when it holds a space, a '#' or nothing.</summary>
    /// <exception cref="ArgumentException">It holds a quotation mark or a control character.</exception>
    public static string Quote(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.Length > 0 && !text.AsSpan().ContainsAnyExcept(s_plain)) return text;
        if (text.Any(c => c == '"' || char.IsControl(c))) throw new ArgumentException("A quotation mark or a control character cannot stand in a fact.", nameof(text));
        return text.Length == 0 || text.Any(c => c == '#' || char.IsWhiteSpace(c)) ? $"\"{text}\"" : text;
    }

    public string Word(int index, string meaning)
    {
        if (index >= words.Length) throw Wrong(words.Length - 1, $"{meaning} is missing at the end.");
        used.Add(index);
        return words[index].Text;
    }

    public bool Has(string keyword) => IndexOf(keyword) is >= 0 and var at && (used.Add(at) || true);

    /// <summary>The word after a keyword; null when the keyword is not there.</summary>
    public string? Find(string keyword)
    {
        int at = IndexOf(keyword);
        if (at < 0) return null;
        used.Add(at);
        return Word(at + 1, $"The value of '{keyword}'");
    }

    public string Need(string keyword) => Find(keyword) ?? throw Wrong(0, $"'{keyword}' is missing.");

    /// <summary>Reads the value after a keyword; null when the keyword is not there.</summary>
    /// <param name="read">Throws FormatException or ArgumentException with a message that says what to write.</param>
    public T? Find<T>(string keyword, Func<string, T> read) where T : struct => Find(keyword) is { } text ? Value(keyword, text, read) : null;

    public T Need<T>(string keyword, Func<string, T> read) => Value(keyword, Need(keyword), read);

    public Money Money(string keyword, Currency currency) => Need(keyword, text => Qanat.Books.Money.Parse(text, currency));
    public Money? FindMoney(string keyword, Currency currency) => Find(keyword, text => Qanat.Books.Money.Parse(text, currency));
    public Currency Currency() => Find("currency", code => new Currency(code)) ?? Qanat.Books.Currency.Usd;
    public Instant Time(string keyword) => Need(keyword, FactValue.Time);
    public Instant? FindTime(string keyword) => Find(keyword, FactValue.Time);
    public TenantId? FindTenant() => Find("tenant", text => new TenantId(FactValue.Id(text)));
    public ModelName? FindModel(string keyword = "model") => Find(keyword, text => new ModelName(text));

    /// <summary>The same statement with the value after a keyword written another way; the same when the keyword is not there.</summary>
    public FactLine With(string keyword, Func<string, string> value)
    {
        ArgumentNullException.ThrowIfNull(value);
        int at = Enumerable.Range(1, Math.Max(0, words.Length - 1)).FirstOrDefault(i => words[i].Text == keyword && i + 1 < words.Length && i > 0);
        return at == 0 ? this : new FactLine(words.SetItem(at + 1, words[at + 1] with { Text = value(words[at + 1].Text) }));
    }

    /// <summary>Cuts the words at every occurrence of one: what stands before the first, then one part from each on.</summary>
    internal ImmutableArray<FactLine> Cut(string keyword)
    {
        var parts = ImmutableArray.CreateBuilder<FactLine>();
        int start = 0;
        for (int i = 1; i <= words.Length; i++)
        {
            if (i < words.Length && !string.Equals(words[i].Text, keyword, StringComparison.Ordinal)) continue;
            parts.Add(new FactLine(words[start..i]));
            start = i;
        }
        return parts.ToImmutable();
    }

    public void EnsureAllUsed()
    {
        for (int i = 0; i < words.Length; i++)
            if (!used.Contains(i)) throw Wrong(i, $"'{words[i].Text}' was not understood.");
    }

    public FactFormatException Wrong(string problem) => Wrong(0, problem);

    private FactFormatException Wrong(int index, string problem) => new(words[index].Line, words[index].Column, problem);

    private int IndexOf(string keyword)
    {
        for (int i = 1; i < words.Length; i++)
            if (string.Equals(words[i].Text, keyword, StringComparison.Ordinal) && !used.Contains(i)) return i;
        return -1;
    }

    private T Value<T>(string keyword, string text, Func<string, T> read)
    {
        try
        {
            return read(text);
        }
        catch (Exception wrong) when (wrong is FormatException or ArgumentException or OverflowException && wrong is not FactFormatException)
        {
            int at = Enumerable.Range(1, words.Length - 1).First(i => words[i].Text == text && words[i - 1].Text == keyword);
            throw Wrong(at, $"{keyword}: {wrong.Message}");
        }
    }

    private static List<FactWord> Words(string line, int number)
    {
        var found = new List<FactWord>();
        int i = 0;
        while (i < line.Length && line[i] != '#')
        {
            if (char.IsWhiteSpace(line[i]))
            {
                i++;
                continue;
            }
            int start = i;
            if (line[i] == '"')
            {
                int end = line.IndexOf('"', i + 1);
                if (end < 0) throw new FactFormatException(number, i + 1, "The quotation is not closed: put another \" at its end.");
                found.Add(new FactWord(line[(i + 1)..end], number, start + 1));
                i = end + 1;
                continue;
            }
            while (i < line.Length && !char.IsWhiteSpace(line[i])) i++;
            found.Add(new FactWord(line[start..i], number, start + 1));
        }
        return found;
    }
}
