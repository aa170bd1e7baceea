using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Gateway;

/// <param name="ChargedThisMonth">Null: the contract has no commitment.</param>
public sealed record ContractUse(Contract Contract, bool InForce, long FreeTokensUsed, Money? ChargedThisMonth);

public sealed record ContractFigures(ImmutableArray<ContractUse> Contracts, ImmutableArray<CreditPosition> Credits);

/// <summary>Where contracts and credits stand now.</summary>
public sealed class ContractStanding(IBookStore store, TariffState tariffs, BudgetLimits limits, TimeProvider clock)
{
    public async Task<ContractFigures> ReadAsync(CancellationToken cancel)
    {
        Instant now = Instant.Now(clock);
        Declarations declared = tariffs.Declared;
        ImmutableArray<ContractUse>.Builder contracts = ImmutableArray.CreateBuilder<ContractUse>();
        foreach (Contract contract in declared.Contracts)
            contracts.Add(new ContractUse(contract, contract.Period.Contains(now), limits.Contracts.Quotas.Used(contract), await ChargedAsync(contract, now, cancel)));
        ImmutableArray<CreditPosition>.Builder credits = ImmutableArray.CreateBuilder<CreditPosition>();
        foreach (IGrouping<TenantId, Credit> own in declared.Credits.GroupBy(credit => credit.Tenant))
            credits.AddRange(CreditPosition.Of(own, await ChargesAsync(own.Key, cancel), now));
        return new ContractFigures(contracts.ToImmutable(), credits.ToImmutable());
    }

    private async Task<Money?> ChargedAsync(Contract contract, Instant now, CancellationToken cancel)
    {
        if (contract.MonthlyCommitment is not { } commitment) return null;
        DateTimeOffset today = now.ToDateTimeOffset();
        DateTimeOffset month = new(today.Year, today.Month, 1, 0, 0, 0, TimeSpan.Zero);
        SumQuery query = new(new Period(Instant.From(month), Instant.From(month.AddMonths(1))), GroupBy.Tenant, contract.Tenant, Model: contract.Model);
        return (await store.SumUsageAsync(query, cancel)).Where(sum => sum.Charge.Currency == commitment.Currency).Aggregate(Money.Zero(commitment.Currency), (all, sum) => all + sum.Charge);
    }

    private async Task<ImmutableArray<DayCharge>> ChargesAsync(TenantId tenant, CancellationToken cancel) =>
        [.. (await store.SumUsageAsync(new SumQuery(Period.All, GroupBy.Day, tenant), cancel)).Where(day => day.Requests > day.Unpriced).Select(day => new DayCharge(day.Key.Start!.Value, day.Charge))];
}
