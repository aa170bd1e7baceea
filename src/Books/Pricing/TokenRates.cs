using System.Collections.Immutable;
using System.Text;

namespace Qanat.Books;

/// <summary>Money per million tokens is kept as picos per token, so that a charge is an integer product. Null class: same as Input (cache) or Output (reasoning).</summary>
/// <param name="CacheReadPerToken">Prompt tokens found in the cache without having been asked for (an implicit hit).</param>
/// <param name="ThinkingOutputPerToken">All output, thoughts and answer alike, of a request that thought. Not together with ReasoningPerToken.</param>
/// <param name="ExplicitCacheReadPerToken">Prompt tokens found in a cache that the request asked for. Null: as CacheReadPerToken.</param>
public sealed record TokenRates(Money InputPerToken, Money OutputPerToken, Money? CacheReadPerToken, Money? CacheWritePerToken, Money? ReasoningPerToken,
    Money? ThinkingOutputPerToken = null, Money? ExplicitCacheReadPerToken = null)
{
    private const int TokensPerMillion = 1_000_000;

    public Currency Currency => InputPerToken.Currency;
    public Money CacheRead => CacheReadPerToken ?? InputPerToken;
    public Money CacheWrite => CacheWritePerToken ?? InputPerToken;
    public Money ExplicitCacheRead => ExplicitCacheReadPerToken ?? CacheRead;
    public Money Reasoning => ReasoningPerToken ?? OutputPerToken;

    /// <summary>Rates from prices per million tokens as price lists print them, e.g. ("0.05", "0.40").</summary>
    /// <exception cref="FormatException">A price is not a plain decimal number, is negative, or is not a whole number of picos per token (more than 6 decimals).</exception>
    public static TokenRates PerMillion(Currency currency, string input, string output, string? cacheRead = null, string? cacheWrite = null, string? reasoning = null, string? thinking = null, string? explicitRead = null) =>
        new(PerToken(input, currency), PerToken(output, currency), Optional(cacheRead, currency), Optional(cacheWrite, currency), Optional(reasoning, currency), Optional(thinking, currency), Optional(explicitRead, currency));

    /// <summary>One price per million tokens as money per token.</summary>
    /// <exception cref="FormatException">As <see cref="PerMillion"/>.</exception>
    public static Money PerToken(string pricePerMillion, Currency currency)
    {
        Money price = Money.Parse(pricePerMillion, currency);
        if (price.IsNegative) throw new FormatException($"'{pricePerMillion}' is negative: a price is zero or more.");
        (Int128 perToken, Int128 rest) = Int128.DivRem(price.Picos, TokensPerMillion);
        return rest == 0
            ? new Money(perToken, currency)
            : throw new FormatException($"{price} per million tokens is not a whole number of picos per token: use at most 6 decimals.");
    }

    /// <summary>Reads "input 0.05 output 0.40 cache-read 0.005 cache-write 0.0625 reasoning 0.60 thinking 0.80 explicit-read 0.005" (per million tokens); input and output are required.</summary>
    /// <exception cref="FormatException">A class is unknown, missing or named twice, or a price is not one.</exception>
    public static TokenRates Parse(string text, Currency currency)
    {
        ArgumentNullException.ThrowIfNull(text);
        string[] words = text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (words.Length % 2 != 0) throw new FormatException($"'{text}' is not a list of rates: write pairs such as 'input 0.05 output 0.40'.");
        var prices = new Dictionary<string, string>(StringComparer.Ordinal);
        for (int i = 0; i < words.Length; i += 2)
        {
            if (!Classes.Contains(words[i])) throw new FormatException($"'{words[i]}' is not a token class: use {string.Join(", ", Classes)}.");
            if (!prices.TryAdd(words[i], words[i + 1])) throw new FormatException($"'{words[i]}' is priced twice in '{text}'.");
        }
        if (!prices.TryGetValue("input", out string? input) || !prices.TryGetValue("output", out string? output))
            throw new FormatException($"'{text}' must price both input and output.");
        return PerMillion(currency, input, output, prices.GetValueOrDefault("cache-read"), prices.GetValueOrDefault("cache-write"), prices.GetValueOrDefault("reasoning"),
            prices.GetValueOrDefault("thinking"), prices.GetValueOrDefault("explicit-read"));
    }

    /// <summary>As <see cref="Parse"/>; a cache class may also be written as a part of the input price, e.g. "cache-write 125%".</summary>
    /// <exception cref="FactFormatException">As <see cref="Parse"/>, with the place.</exception>
    internal static TokenRates Read(FactLine line, Currency currency)
    {
        Money input = line.Need("input", text => PerToken(text, currency));
        Money Cache(string text) => text.EndsWith('%') ? PartOf(input, FactValue.Permille(text)) : PerToken(text, currency);
        var rates = new TokenRates(input, line.Need("output", text => PerToken(text, currency)), line.Find("cache-read", Cache), line.Find("cache-write", Cache),
            line.Find("reasoning", text => PerToken(text, currency)), line.Find("thinking", text => PerToken(text, currency)), line.Find("explicit-read", Cache));
        return rates is { ReasoningPerToken: not null, ThinkingOutputPerToken: not null }
            ? throw line.Wrong("'reasoning' and 'thinking' exclude each other: price the thoughts alone, or all output of a request that thinks.")
            : rates;
    }

    /// <summary>The text that <see cref="Parse"/> reads.</summary>
    public override string ToString()
    {
        var text = new StringBuilder($"input {PerMillionText(InputPerToken)} output {PerMillionText(OutputPerToken)}");
        void Add(string name, Money? rate)
        {
            if (rate is { } money) text.Append(' ').Append(name).Append(' ').Append(PerMillionText(money));
        }
        Add("cache-read", CacheReadPerToken);
        Add("cache-write", CacheWritePerToken);
        Add("reasoning", ReasoningPerToken);
        Add("thinking", ThinkingOutputPerToken);
        Add("explicit-read", ExplicitCacheReadPerToken);
        return text.ToString();
    }

    /// <summary>Money per token as the price of a million tokens, e.g. "0.05".</summary>
    public static string PerMillionText(Money perToken) => (perToken * TokensPerMillion).ToDecimalText();

    /// <exception cref="ArgumentException">Currencies mix, a rate is negative, or thoughts are priced twice.</exception>
    internal void EnsureValid()
    {
        foreach (Money rate in new[] { InputPerToken, OutputPerToken, CacheRead, CacheWrite, Reasoning, ThinkingOutputPerToken ?? OutputPerToken, ExplicitCacheRead })
        {
            if (rate.Currency != Currency) throw new ArgumentException($"The rates '{this}' mix {Currency} and {rate.Currency}: a price has one currency.");
            if (rate.IsNegative) throw new ArgumentException($"The rates '{this}' are negative: a price is zero or more.");
        }
        if (ReasoningPerToken is not null && ThinkingOutputPerToken is not null) throw new ArgumentException($"The rates '{this}' price thoughts twice: use reasoning or thinking.");
    }

    private static readonly ImmutableArray<string> Classes = ["input", "output", "cache-read", "cache-write", "reasoning", "thinking", "explicit-read"];

    private static Money? Optional(string? price, Currency currency) => price is null ? null : PerToken(price, currency);

    private static Money PartOf(Money rate, int permille)
    {
        (Int128 part, Int128 rest) = Int128.DivRem(rate.Picos * permille, 1000);
        return rest == 0 ? new Money(part, rate.Currency)
            : throw new FormatException($"{FactValue.PermilleText(permille)} of {PerMillionText(rate)} per million tokens is not a whole number of picos per token: write the price itself.");
    }
}
