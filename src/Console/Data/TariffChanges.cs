using Qanat.Books;
using Qanat.Gateway;

namespace Qanat.Console;

/// <summary>Adds price versions and pool rates, with their line in the audit log. Nothing is ever changed in place: a confirmation, too, is a version.</summary>
public sealed class TariffChanges(TariffState tariffs, TimeProvider clock)
{
    public Task AddPriceAsync(string who, NewPrice price, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(price);
        Instant now = Instant.Now(clock);
        PriceVersion version = new(PriceVersionId.New(clock), price.EffectiveFrom, price.Model, price.Tenant, price.Rates, price.IsAssumption, price.Source, now);
        PriceVersion? before = tariffs.Prices.Versions.LastOrDefault(each => each.Model == price.Model && each.Tenant == price.Tenant && each.EffectiveFrom <= price.EffectiveFrom);
        string subject = $"{price.Model?.Value ?? "any model"}, {price.Tenant?.ToString() ?? "any tenant"}";
        return tariffs.AddPriceAsync(version, new AuditEntry(now, who, "price.add", subject, before?.Rates.ToString(), $"{version.Rates} from {version.EffectiveFrom}"), cancel);
    }

    /// <summary>The same figures from now on, no longer an assumption. Requests before keep the version they were priced with.</summary>
    public Task ConfirmAsync(string who, PriceVersion version, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(version);
        return AddPriceAsync(who, new NewPrice(version.Model, version.Tenant, Instant.Now(clock), version.Rates, IsAssumption: false, $"confirmed by {who}; was: {version.Source}"), cancel);
    }

    public Task AddPoolRateAsync(string who, NewPoolRate rate, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(rate);
        Instant now = Instant.Now(clock);
        PoolRate added = new(PoolRateId.New(clock), rate.Pool, rate.EffectiveFrom, rate.HourlyCost, rate.PracticalCapacityPermille, rate.IsAssumption, rate.Source, now);
        PoolRate? before = tariffs.Costs.RateAt(rate.Pool, rate.EffectiveFrom);
        return tariffs.AddPoolRateAsync(added, new AuditEntry(now, who, "cost.add", rate.Pool.Value, before is null ? null : Describe(before), Describe(added)), cancel);
    }

    /// <summary>As for prices.</summary>
    public Task ConfirmAsync(string who, PoolRate rate, CancellationToken cancel = default)
    {
        ArgumentNullException.ThrowIfNull(rate);
        return AddPoolRateAsync(who, new NewPoolRate(rate.Pool, Instant.Now(clock), rate.HourlyCost, rate.PracticalCapacityPermille, IsAssumption: false, $"confirmed by {who}; was: {rate.Source}"), cancel);
    }

    private static string Describe(PoolRate rate) => FormattableString.Invariant($"{rate.HourlyCost} per hour at {rate.PracticalCapacityPermille} permille from {rate.EffectiveFrom}");
}

public sealed record NewPrice(ModelName? Model, TenantId? Tenant, Instant EffectiveFrom, TokenRates Rates, bool IsAssumption, string Source);

public sealed record NewPoolRate(PoolName Pool, Instant EffectiveFrom, Money HourlyCost, int PracticalCapacityPermille, bool IsAssumption, string Source);
