using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;

namespace Qanat.Books;

/// <summary>How the usage that an upstream told stands to our own count of what came from it.</summary>
public enum UsageCheckState
{
    /// <summary>Equal to our own count, token for token.</summary>
    Agrees,

    /// <summary>Its tokenizer is not known here, so that our own count is an estimate; what it told lies within the estimate's bounds.</summary>
    Plausible,

    /// <summary>Not our own count, or beyond the bounds of its estimate.</summary>
    Differs,

    /// <summary>It told nothing, or its answer ended before it could: our own count stands in.</summary>
    Missing,
}

/// <summary>How one attempt at an upstream ended.</summary>
public enum AttemptEnd
{
    /// <summary>It answered to the end.</summary>
    Served,

    /// <summary>Its answer broke off midway.</summary>
    Cut,

    /// <summary>We closed the connection: the client left, or a limit ended the answer.</summary>
    Closed,

    /// <summary>It refused or could not be reached: it did nothing, as far as anyone can know.</summary>
    Refused,

    /// <summary>It said nothing in time: it may have read the prompt, which is counted as bought.</summary>
    TimedOut,
}

/// <summary>One attempt at an upstream and what it costs.</summary>
/// <param name="Tokens">What the upstream will ask for, as far as it told; else our own count.</param>
/// <param name="Rates">Its price when the attempt began. Null: not known, so that the request is uncosted.</param>
public sealed record UpstreamAttempt(string Upstream, AttemptEnd End, TokenCounts Tokens, TokenRates? Rates)
{
    public Money? Cost => Rates is null ? null : Rating.Charge(Rates, Tokens);
}

/// <summary>What a request bought from upstreams: every attempt, whichever of them answered. Kept with the usage record, so that its cost can be made again from it alone.</summary>
/// <param name="Counted">Our own count of the answer that was served.</param>
public sealed record UpstreamUse(ImmutableArray<UpstreamAttempt> Attempts, UsageCheckState State, TokenCounts Counted)
{
    /// <summary>Of one attempt, mostly.</summary>
    private const int TextChars = 160;

    /// <summary>The rates of an upstream as they are written: they are the same for all its requests.</summary>
    private static readonly ConditionalWeakTable<TokenRates, string> s_rates = [];

    /// <summary>The sum over all attempts; null: a price is not known, or prices are in more than one currency.</summary>
    public Money? Cost
    {
        get
        {
            Money? sum = null;
            foreach (UpstreamAttempt attempt in Attempts)
            {
                if (attempt.Cost is not { } cost || sum is { } before && before.Currency != cost.Currency) return null;
                sum = sum is { } known ? known + cost : cost;
            }
            return sum;
        }
    }

    public bool Equals(UpstreamUse? other) => other is not null && State == other.State && Counted == other.Counted && Attempts.AsSpan().SequenceEqual(other.Attempts.AsSpan());
    public override int GetHashCode() => HashCode.Combine(State, Counted, Attempts.Length);

    /// <summary>Reads "state agrees counted 12/0/0/34/0 attempt gpu-1 served 12/0/0/34/0 currency USD rates "input 0.05 output 0.40"": tokens are input, cache read, cache write, output, reasoning.</summary>
    /// <exception cref="FormatException">A word is unknown or not a count.</exception>
    public static UpstreamUse Parse(string text)
    {
        if (UpstreamUseText.TryRead(text, out UpstreamUse? written)) return written;
        ImmutableArray<FactLine> parts = FactLine.Read("upstream " + text).Cut("attempt");
        FactLine head = parts[0];
        UpstreamUse use = new([.. parts.Skip(1).Select(ReadAttempt)], head.Need("state", ReadEnum<UsageCheckState>), head.Need("counted", ReadTokens));
        head.EnsureAllUsed();
        return use;
    }

    /// <summary>The text that <see cref="Parse"/> reads.</summary>
    public override string ToString()
    {
        StringBuilder text = new(TextChars);
        Append(text.Append("state ").Append(Words<UsageCheckState>.Of(State)).Append(" counted "), Counted);
        foreach (UpstreamAttempt attempt in Attempts)
        {
            Append(text.Append(" attempt ").Append(FactLine.Quote(attempt.Upstream)).Append(' ').Append(Words<AttemptEnd>.Of(attempt.End)).Append(' '), attempt.Tokens);
            if (attempt.Rates is { } rates) text.Append(s_rates.GetValue(rates, static each => $" currency {each.Currency.Code} rates {FactLine.Quote(each.ToString())}"));
        }
        return text.ToString();
    }

    private static UpstreamAttempt ReadAttempt(FactLine line)
    {
        string upstream = line.Word(1, "The upstream");
        AttemptEnd end = ReadEnum<AttemptEnd>(line.Word(2, "How the attempt ended"));
        TokenCounts tokens = ReadTokens(line.Word(3, "The attempt's tokens"));
        Currency currency = line.Currency();
        UpstreamAttempt attempt = new(upstream, end, tokens, line.Find("rates") is { } rates ? TokenRates.Parse(rates, currency) : null);
        line.EnsureAllUsed();
        return attempt;
    }

    /// <summary>Two are written for each request.</summary>
    private static class Words<T> where T : struct, Enum
    {
        private static readonly FrozenDictionary<T, string> s_all = Enum.GetValues<T>().ToFrozenDictionary(value => value, value => value.ToString().ToLowerInvariant());

        public static string Of(T value) => s_all[value];
    }

    private static T ReadEnum<T>(string text) where T : struct, Enum =>
        Enum.TryParse(text, ignoreCase: true, out T value) && Enum.IsDefined(value) && !char.IsAsciiDigit(text[0]) ? value
            : throw new FormatException($"'{text}' is none of {string.Join(", ", Enum.GetNames<T>().Select(name => name.ToLowerInvariant()))}.");

    private static void Append(StringBuilder text, TokenCounts tokens) =>
        text.Append(CultureInfo.InvariantCulture, $"{tokens.Input}/{tokens.CacheRead}/{tokens.CacheWrite}/{tokens.Output}/{tokens.Reasoning}");

    private static TokenCounts ReadTokens(string text)
    {
        string[] parts = text.Split('/');
        if (parts.Length != 5) throw new FormatException($"'{text}' is not a list of token counts: write input/cache-read/cache-write/output/reasoning.");
        long[] counts = [.. parts.Select(FactValue.Count)];
        return new TokenCounts(counts[0], counts[1], counts[2], counts[3], counts[4]);
    }
}
