using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>From now on the requests of a past period are charged at another price version, or again at their own. The last one declared that a request falls under holds.</summary>
/// <param name="Price">Null: each request's own.</param>
public sealed record Rerating(string Name, Period Period, TenantId? Tenant, ModelName? Model, PriceVersionId? Price, string Reason)
{
    public bool Covers(UsageRecord record) => Period.Contains(record.CompletedAt) && (Tenant is null || Tenant == record.Party.Tenant) && (Model is null || Model == record.Model);

    internal static Rerating Read(FactLine line)
    {
        string price = line.Need("price");
        return new Rerating(line.Word(1, "The re-rating's name"), Bill.ReadPeriod(line), line.FindTenant(), line.FindModel(),
            price == "own" ? null : new PriceVersionId(Guid.TryParse(price, out Guid id) ? id : throw line.Wrong($"price: '{price}' is not the id of a price version; write one, or own.")), line.Need("reason"));
    }

    /// <summary>What a request is charged in the end, after all re-ratings; null: unpriced. Its own free tokens and contract stay.</summary>
    public static Money? ChargeOf(UsageRecord record, ImmutableArray<Rerating> reratings, PriceBook prices, ImmutableArray<Contract> contracts)
    {
        if (record.Charge is null || reratings.LastOrDefault(r => r.Covers(record)) is not { Price: { } id } || prices.Get(id) is not { } version) return record.Charge;
        Contract? contract = record.Basis?.Contract is { } name ? contracts.FirstOrDefault(c => c.Name == name) : null;
        return contract?.Transfer is null
            ? ContractRating.Rate(version, contract, record.Rated, record.Basis?.FreeTokens ?? 0).Charge
            : ContractRating.Transfer(version, contract, record.Rated, record.Cost)?.Charge;
    }

    /// <summary>By how much the charges of settled requests differ from what they were charged at first, by tenant and model. There and back again it is zero.</summary>
    internal static async Task<ImmutableArray<Due>> DuesAsync(IBookReader store, Declarations declared, PriceBook prices, Instant at, CancellationToken cancel)
    {
        // A re-rating changes what is owed when it is declared, not in the period that it is about.
        ImmutableArray<Rerating> reratings = [.. declared.Reratings.Where(r => declared.IsDeclaredBefore(r, at))];
        if (reratings.IsEmpty) return [];
        var period = new Period(reratings.Min(r => r.Period.From), reratings.Max(r => r.Period.To));
        var changes = new Dictionary<(TenantId Tenant, ModelName Model, Currency Currency), Int128>();
        await foreach (UsageRecord record in store.StreamUsageAsync(new UsageQuery(period), cancel).ConfigureAwait(false))
        {
            if (record.Charge is not { } own || !reratings.Any(r => r.Covers(record))) continue;
            Money charge = ChargeOf(record, reratings, prices, declared.Contracts) ?? own;
            changes[(record.Party.Tenant, record.Model, own.Currency)] = changes.GetValueOrDefault((record.Party.Tenant, record.Model, own.Currency)) - own.Picos;
            changes[(record.Party.Tenant, record.Model, charge.Currency)] = changes.GetValueOrDefault((record.Party.Tenant, record.Model, charge.Currency)) + charge.Picos;
        }
        string reason = reratings[^1].Reason;
        return [.. changes.OrderBy(c => c.Key.Tenant.Value).ThenBy(c => c.Key.Model.Value, StringComparer.Ordinal).ThenBy(c => c.Key.Currency.Code, StringComparer.Ordinal)
            .Select(c => new Due("re-rating", reason, Accounts.ReratedRevenue, Accounts.Receivables, new Dimensions(Tenant: c.Key.Tenant, Model: c.Key.Model), new Money(-c.Value, c.Key.Currency)))];
    }
}
