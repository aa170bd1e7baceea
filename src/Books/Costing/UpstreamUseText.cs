using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Qanat.Books;

/// <summary>Reads what <see cref="UpstreamUse.ToString"/> writes, in its order and with its blanks, without making a statement of it: every record that an upstream served is read so when it is posted and checked.
/// What is written otherwise is left to <see cref="UpstreamUse.Parse"/>, which reads this too.</summary>
internal ref struct UpstreamUseText
{
    private const int TokenClasses = 5;
    private static volatile LastRates? lastRates;
    private ReadOnlySpan<char> rest;

    public static bool TryRead(string text, [NotNullWhen(true)] out UpstreamUse? use)
    {
        use = null;
        UpstreamUseText words = new() { rest = text };
        if (!words.TrySkip("state") || !words.TryEnum(out UsageCheckState state) || !words.TrySkip("counted") || !words.TryTokens(out TokenCounts counted)) return false;
        var attempts = ImmutableArray.CreateBuilder<UpstreamAttempt>(1);
        while (!words.rest.IsEmpty)
        {
            if (!words.TryAttempt(out UpstreamAttempt? attempt)) return false;
            attempts.Add(attempt);
        }
        use = new UpstreamUse(attempts.DrainToImmutable(), state, counted);
        return true;
    }

    private bool TryAttempt([NotNullWhen(true)] out UpstreamAttempt? attempt)
    {
        attempt = null;
        if (!TrySkip("attempt") || !TryWord(out ReadOnlySpan<char> upstream) || upstream.SequenceEqual("attempt") || !TryEnum(out AttemptEnd end) || !TryTokens(out TokenCounts tokens)) return false;
        TokenRates? rates = null;
        if (TrySkip("currency"))
        {
            if (!TryWord(out ReadOnlySpan<char> code) || code.Length != 3 || code.ContainsAnyExceptInRange('A', 'Z') || !TrySkip("rates") || !TryWord(out ReadOnlySpan<char> priced)) return false;
            rates = RatesOf(priced, code);
        }
        attempt = new UpstreamAttempt(upstream.ToString(), end, tokens, rates);
        return true;
    }

    /// <summary>Records that lie side by side were mostly bought at the same rates.</summary>
    private static TokenRates RatesOf(ReadOnlySpan<char> priced, ReadOnlySpan<char> code)
    {
        if (lastRates is { } last && priced.SequenceEqual(last.Text) && code.SequenceEqual(last.Rates.Currency.Code)) return last.Rates;
        string text = priced.ToString();
        TokenRates rates = TokenRates.Parse(text, code.SequenceEqual(Currency.Usd.Code) ? Currency.Usd : new Currency(code.ToString()));
        lastRates = new LastRates(text, rates);
        return rates;
    }

    private bool TrySkip(ReadOnlySpan<char> expected)
    {
        UpstreamUseText before = this;
        if (TryWord(out ReadOnlySpan<char> word) && word.SequenceEqual(expected)) return true;
        this = before;
        return false;
    }

    private bool TryEnum<T>(out T value) where T : struct, Enum
    {
        value = default;
        return TryWord(out ReadOnlySpan<char> word) && !word.ContainsAnyExceptInRange('a', 'z') && Enum.TryParse(word, ignoreCase: true, out value);
    }

    private bool TryTokens(out TokenCounts tokens)
    {
        tokens = default;
        if (!TryWord(out ReadOnlySpan<char> word)) return false;
        Span<long> counts = stackalloc long[TokenClasses];
        for (int index = 0; index < TokenClasses; index++)
        {
            int end = index < TokenClasses - 1 ? word.IndexOf('/') : word.Length;
            if (end < 0 || !long.TryParse(word[..end], NumberStyles.None, CultureInfo.InvariantCulture, out counts[index])) return false;
            word = word[Math.Min(end + 1, word.Length)..];
        }
        tokens = new TokenCounts(counts[0], counts[1], counts[2], counts[3], counts[4]);
        return true;
    }

    /// <summary>Up to the next blank, or what is quoted.</summary>
    private bool TryWord(out ReadOnlySpan<char> word)
    {
        word = default;
        bool isQuoted = rest.StartsWith("\"");
        int begin = isQuoted ? 1 : 0, length = rest[begin..].IndexOf(isQuoted ? '"' : ' ');
        if (length < 0)
        {
            if (isQuoted) return false;
            length = rest.Length;
        }
        word = rest.Slice(begin, length);
        rest = rest[(begin + length + begin)..];
        if (!isQuoted && (word.IsEmpty || word.ContainsAny('"', '#'))) return false;
        if (rest.IsEmpty) return true;
        if (rest[0] != ' ') return false;
        rest = rest[1..];
        return true;
    }

    private sealed record LastRates(string Text, TokenRates Rates);
}
