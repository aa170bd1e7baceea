using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>Capacity kept for a tenant for a time, used or not: model units, or throughput in tokens a minute.</summary>
public sealed record Reservation(string Name, TenantId Tenant, ModelName Model, Period Period, PriceVersionId? Price, long Units, long InputTokensPerMinute, long OutputTokensPerMinute)
{
    internal static Reservation Read(FactLine line)
    {
        string name = line.Word(1, "The reservation's name");
        TenantId tenant = line.FindTenant() ?? throw line.Wrong("'tenant' is missing.");
        ModelName model = line.FindModel() ?? throw line.Wrong("'model' is missing.");
        var period = new Period(line.Time("from"), line.Time("to"));
        return new Reservation(name, tenant, model, period, line.Find("price", text => new PriceVersionId(FactValue.Id(text))),
            line.Find("units", FactValue.Count) ?? 0, line.Find("input-tpm", FactValue.Count) ?? 0, line.Find("output-tpm", FactValue.Count) ?? 0);
    }

    /// <summary>What is owed up to an instant: hours x (units x price + throughput x prices), rounded down once, so that the parts of any division in time sum to the whole.</summary>
    public Money ChargeUntil(PriceVersion price, Instant at)
    {
        Currency currency = price.Rates.Currency;
        PriceTerms terms = price.Terms ?? PriceTerms.None;
        Money Per(Money? hour, long count) => (hour ?? Money.Zero(currency)) * count;
        Money hourly = Per(terms.UnitHour, Units) + Per(terms.InputThroughputHour, InputTokensPerMinute) + Per(terms.OutputThroughputHour, OutputTokensPerMinute);
        Instant end = at < Period.To ? at : Period.To;
        return end <= Period.From ? Money.Zero(currency)
            : new Money(Allocation.FloorOfProduct(hourly.Picos, end.UnixNanoseconds - Period.From.UnixNanoseconds, Instant.NanosecondsPerHour), currency);
    }
}
