using System.Collections.Immutable;
using System.Globalization;

namespace Qanat.Books.Tests;

/// <summary>One statement of a ledger case: its words, with those of the indented lines below it. See Cases/README.md for the language.</summary>
internal sealed class LedgerLine(string file, int number, ImmutableArray<string> words)
{
    private readonly HashSet<int> used = [0];

    public string Verb => words[0];
    public string Place => string.Create(CultureInfo.InvariantCulture, $"{file}:{number}: {string.Join(' ', words)}");

    /// <summary>Cuts a file into statements: '#' starts a comment, an indented line continues the one above.</summary>
    public static ImmutableArray<LedgerLine> ReadAll(string file, string text)
    {
        var lines = ImmutableArray.CreateBuilder<LedgerLine>();
        var words = new List<string>();
        int start = 0, number = 0;
        void End()
        {
            if (words.Count > 0) lines.Add(new LedgerLine(file, start, [.. words]));
            words.Clear();
        }
        foreach (string raw in text.Split('\n'))
        {
            number++;
            string line = raw.Split('#')[0].TrimEnd();
            if (line.Length == 0) continue;
            if (!char.IsWhiteSpace(line[0]))
            {
                End();
                start = number;
            }
            words.AddRange(line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        }
        End();
        return lines.ToImmutable();
    }

    /// <summary>The word at a position, e.g. the name after the verb.</summary>
    public string Word(int index)
    {
        if (index >= words.Length) throw Wrong("something is missing at the end");
        used.Add(index);
        return words[index];
    }

    /// <summary>The word after a keyword; null when the keyword is not there.</summary>
    public string? Find(string keyword)
    {
        int at = words.IndexOf(keyword);
        if (at < 0) return null;
        used.Add(at);
        return Word(at + 1);
    }

    public string Need(string keyword) => Find(keyword) ?? throw Wrong($"'{keyword}' is missing");

    public bool Has(string word)
    {
        int at = words.IndexOf(word);
        if (at >= 0) used.Add(at);
        return at >= 0;
    }

    /// <summary>All words from a position up to a word, or to the end.</summary>
    public string Span(int from, string until)
    {
        int end = words.IndexOf(until);
        if (end < 0) end = words.Length;
        for (int i = from; i <= end && i < words.Length; i++) used.Add(i);
        return string.Join(' ', words[from..end]);
    }

    /// <summary>The words after '=', or after ':' cut at commas.</summary>
    public string After(string word)
    {
        int at = words.IndexOf(word);
        if (at < 0) throw Wrong($"'{word}' is missing");
        for (int i = at; i < words.Length; i++) used.Add(i);
        return string.Join(' ', words[(at + 1)..]);
    }

    /// <summary>The words nothing has asked for yet, as one text.</summary>
    public string Rest()
    {
        string rest = string.Join(' ', words.Where((_, i) => !used.Contains(i)));
        for (int i = 0; i < words.Length; i++) used.Add(i);
        return rest;
    }

    public long Count(string keyword) => Find(keyword) is { } text ? ParseCount(text) : 0;
    public Instant? FindTime(string keyword) => Find(keyword) is { } text ? Time(text) : null;
    public Instant NeedTime(string keyword) => Time(Need(keyword));
    public long Duration(string keyword) => Find(keyword) is { } text ? ParseDuration(text) : 0;

    /// <summary>Every word must have been understood: a misspelt keyword is an error and not silently without effect.</summary>
    public void EnsureAllUsed()
    {
        for (int i = 0; i < words.Length; i++)
            if (!used.Contains(i)) throw Wrong($"'{words[i]}' was not understood");
    }

    public FormatException Wrong(string what) => new($"{Place}\n  {what}");

    private Instant Time(string text) => DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out DateTimeOffset time)
        ? Instant.From(time)
        : throw Wrong($"'{text}' is not a time such as 2026-01-31T23:59:59");

    private long ParseCount(string text) => long.TryParse(text.Replace(",", "", StringComparison.Ordinal), NumberStyles.None, CultureInfo.InvariantCulture, out long count)
        ? count
        : throw Wrong($"'{text}' is not a count");

    private long ParseDuration(string text)
    {
        (string Unit, long Nanoseconds)[] units = [("ns", 1), ("us", 1_000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000), ("h", Instant.NanosecondsPerHour)];
        foreach ((string unit, long nanoseconds) in units)
        {
            if (text.EndsWith(unit, StringComparison.Ordinal) && long.TryParse(text[..^unit.Length], NumberStyles.None, CultureInfo.InvariantCulture, out long count))
                return count * nanoseconds;
        }
        throw Wrong($"'{text}' is not a duration such as 2s or 250ms");
    }
}
