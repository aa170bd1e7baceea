using System.Collections.Immutable;
using System.Globalization;
using System.Text;

namespace Qanat.Books;

/// <summary>Rates for requests whose whole input is larger than a number of tokens; they hold for all tokens of such a request, input and output.</summary>
public sealed record PriceTier(long AboveInputTokens, TokenRates Rates);

/// <summary>What a price version asks beyond rates for tokens. Equal when its text is.</summary>
public sealed record PriceTerms
{
    public static readonly PriceTerms None = new();

    /// <summary>By AboveInputTokens, ascending. Up to the first of them the version's own rates hold.</summary>
    public ImmutableArray<PriceTier> Tiers { get; init; } = [];

    /// <summary>What a row of a batch costs of its price: 500 = half.</summary>
    public int BatchPermille { get; init; } = 1000;

    /// <summary>For every request that did not fail, besides its tokens.</summary>
    public Money? PerRequest { get; init; }

    /// <summary>A request that did not fail costs at least this.</summary>
    public Money? Minimum { get; init; }

    /// <summary>For one token of training data in one epoch.</summary>
    public Money? TrainingPerToken { get; init; }

    /// <summary>For one reserved model unit, an hour.</summary>
    public Money? UnitHour { get; init; }

    /// <summary>For one input token a minute of reserved throughput, an hour.</summary>
    public Money? InputThroughputHour { get; init; }

    /// <summary>For one output token a minute of reserved throughput, an hour.</summary>
    public Money? OutputThroughputHour { get; init; }

    /// <summary>Reads "batch 50% request 0.001 minimum 0.01 training 8 unit-hour 20 ptu-input 0.01 ptu-output 0.02 above 256000 input 1.2 output 3.6"; prices of tokens per million.</summary>
    /// <exception cref="FormatException">A term is unknown or not a price.</exception>
    public static PriceTerms Parse(string text, Currency currency)
    {
        FactLine line = FactLine.Read("terms " + text);
        ImmutableArray<FactLine> parts = line.Cut("above");
        PriceTerms terms = Read(parts, currency);
        foreach (FactLine part in parts) part.EnsureAllUsed();
        return terms;
    }

    /// <summary>The text that <see cref="Parse"/> reads; empty without any terms.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        void Add(string name, string? value)
        {
            if (value is null) return;
            if (text.Length > 0) text.Append(' ');
            text.Append(name).Append(' ').Append(value);
        }
        Add("batch", BatchPermille == 1000 ? null : FactValue.PermilleText(BatchPermille));
        Add("request", PerRequest?.ToDecimalText());
        Add("minimum", Minimum?.ToDecimalText());
        Add("training", TrainingPerToken is { } training ? TokenRates.PerMillionText(training) : null);
        Add("unit-hour", UnitHour?.ToDecimalText());
        Add("ptu-input", InputThroughputHour?.ToDecimalText());
        Add("ptu-output", OutputThroughputHour?.ToDecimalText());
        foreach (PriceTier tier in Tiers) Add("above", string.Create(CultureInfo.InvariantCulture, $"{tier.AboveInputTokens} {tier.Rates}"));
        return text.ToString();
    }

    public bool Equals(PriceTerms? other) => other is not null && string.Equals(ToString(), other.ToString(), StringComparison.Ordinal);
    public override int GetHashCode() => ToString().GetHashCode(StringComparison.Ordinal);

    /// <param name="parts">What stands before the first tier, then the tiers.</param>
    internal static PriceTerms Read(ImmutableArray<FactLine> parts, Currency currency)
    {
        FactLine first = parts[0];
        var tiers = ImmutableArray.CreateBuilder<PriceTier>();
        foreach (FactLine part in parts.Skip(1))
        {
            string count = part.Word(1, "The number of input tokens");
            try
            {
                tiers.Add(new PriceTier(FactValue.Count(count), TokenRates.Read(part, currency)));
            }
            catch (FormatException wrong) when (wrong is not FactFormatException)
            {
                throw part.Wrong(wrong.Message);
            }
            if (tiers.Count > 1 && tiers[^2].AboveInputTokens >= tiers[^1].AboveInputTokens) throw part.Wrong("Tiers must stand in ascending order.");
        }
        return new PriceTerms
        {
            Tiers = tiers.ToImmutable(),
            BatchPermille = first.Find("batch", FactValue.Permille) ?? 1000,
            PerRequest = first.FindMoney("request", currency),
            Minimum = first.FindMoney("minimum", currency),
            TrainingPerToken = first.Find("training", text => TokenRates.PerToken(text, currency)),
            UnitHour = first.FindMoney("unit-hour", currency),
            InputThroughputHour = first.FindMoney("ptu-input", currency),
            OutputThroughputHour = first.FindMoney("ptu-output", currency),
        };
    }

    /// <exception cref="ArgumentException">Currencies mix, a price is negative, or tiers are out of order.</exception>
    internal void EnsureValid(Currency currency)
    {
        foreach (Money price in new[] { PerRequest, Minimum, TrainingPerToken, UnitHour, InputThroughputHour, OutputThroughputHour }.OfType<Money>())
            if (price.Currency != currency || price.IsNegative) throw new ArgumentException($"The terms '{this}' must be prices of zero or more in {currency}.");
        if (BatchPermille is < 0 or > 1000) throw new ArgumentException($"The terms '{this}' price a batch at more than its requests.");
        for (int i = 0; i < Tiers.Length; i++)
        {
            Tiers[i].Rates.EnsureValid();
            if (Tiers[i].Rates.Currency != currency) throw new ArgumentException($"The terms '{this}' mix currencies.");
            if (Tiers[i].AboveInputTokens < (i == 0 ? 0 : Tiers[i - 1].AboveInputTokens + 1)) throw new ArgumentException($"The tiers of '{this}' are not in ascending order.");
        }
    }
}
