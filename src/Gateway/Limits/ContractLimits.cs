using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>The limits that contracts set while requests run: free tokens, and money paid in advance.</summary>
public sealed class ContractLimits
{
    public FreeQuotas Quotas { get; } = new();
    public PrepaidCredits Credits { get; } = new();

    /// <summary>What is declared now.</summary>
    public void Declare(Declarations declared)
    {
        ArgumentNullException.ThrowIfNull(declared);
        Credits.Declare(declared.Credits);
    }

    /// <summary>Takes over what was used before, at start: charges by day, and free tokens of quotas that may still give some.</summary>
    public async Task RestoreAsync(IBookReader store, Declarations declared, Instant now, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(store);
        Declare(declared);
        foreach (UsageSum day in await store.SumUsageAsync(new SumQuery(Period.All, GroupBy.Tenant | GroupBy.Day), cancel))
            if (day.Requests > day.Unpriced) Credits.Add(day.Key.Tenant!.Value, day.Charge, day.Key.Start!.Value);
        foreach (Contract contract in declared.Contracts.Where(contract => contract.Free is { } quota && quota.Until > now))
        {
            long used = 0;
            await foreach (UsageRecord record in store.StreamUsageAsync(new UsageQuery(new Period(contract.Period.From, Period.All.To), contract.Tenant), cancel))
                if (record.Basis?.Contract == contract.Name) used += record.Basis.FreeTokens;
            Quotas.Restore(contract.Name, used);
        }
    }

    /// <summary>A request ended: the quota keeps what it took, and its charge is drawn from credit. The usage record is made in between.</summary>
    public void Charged(UsageRecord record)
    {
        ArgumentNullException.ThrowIfNull(record);
        if (record.Charge is { } charge) Credits.Add(record.Party.Tenant, charge, record.CompletedAt);
    }
}
