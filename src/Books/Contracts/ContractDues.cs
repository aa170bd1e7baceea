using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>What contracts, credits and reservations have made due at an instant.</summary>
internal static class ContractDues
{
    public static async Task<ImmutableArray<Due>> ReadAsync(IBookReader store, Declarations declared, PriceBook prices, Instant at, CancellationToken cancel)
    {
        var dues = ImmutableArray.CreateBuilder<Due>();
        foreach (TenantId tenant in declared.Credits.Select(c => c.Tenant).Distinct().OrderBy(t => t.Value))
        {
            ImmutableArray<DayCharge> charges = await ChargesAsync(store, tenant, new Period(Period.All.From, at), cancel).ConfigureAwait(false);
            foreach (CreditPosition position in CreditPosition.Of(declared.Credits.Where(c => c.Tenant == tenant), charges, at))
                dues.AddRange(Of(position));
        }
        foreach (Contract contract in declared.Contracts.Where(c => c.MonthlyCommitment is not null))
            dues.Add(await CommitmentAsync(store, contract, at, cancel).ConfigureAwait(false));
        foreach (Reservation reservation in declared.Reservations.Where(r => r.Period.From < at))
        {
            PriceVersion? price = reservation.Price is { } id ? prices.Get(id) : prices.Find(reservation.Model, reservation.Tenant, reservation.Period.From);
            if (price is null) continue;
            dues.Add(new Due("reserved capacity", "reserved capacity", Accounts.ReservedRevenue, Accounts.Receivables,
                new Dimensions(Tenant: reservation.Tenant, Model: reservation.Model), -reservation.ChargeUntil(price, at)));
        }
        return dues.ToImmutable();
    }

    /// <summary>A tenant's charges by day. Usage that is settled counts, whether posted or not.</summary>
    public static async Task<ImmutableArray<DayCharge>> ChargesAsync(IBookReader store, TenantId tenant, Period period, CancellationToken cancel) =>
        [.. (await store.SumUsageAsync(new SumQuery(period, GroupBy.Day, tenant), cancel).ConfigureAwait(false)).Where(s => s.Requests > s.Unpriced).Select(s => new DayCharge(s.Key.Start!.Value, s.Charge))];

    private static IEnumerable<Due> Of(CreditPosition position)
    {
        var dimensions = new Dimensions(Tenant: position.Credit.Tenant);
        yield return new Due("prepaid", "credit paid in advance", Accounts.CustomerCredits, Accounts.Cash, dimensions, -position.Credit.Amount);
        yield return new Due("draw-down", "charges drawn from credit", Accounts.CreditsDrawn, Accounts.Receivables, dimensions, position.Drawn);
        yield return new Due("credit expired", "credit expired unused", Accounts.CreditsExpired, Accounts.ExpiredCreditRevenue, dimensions, position.Expired);
    }

    /// <summary>What the months that have ended fell short of the commitment, all together.</summary>
    private static async Task<Due> CommitmentAsync(IBookReader store, Contract contract, Instant at, CancellationToken cancel)
    {
        Money commitment = contract.MonthlyCommitment!.Value;
        ImmutableArray<UsageSum> days = await store.SumUsageAsync(new SumQuery(contract.Period, GroupBy.Day, contract.Tenant, Model: contract.Model), cancel).ConfigureAwait(false);
        Money shortfall = Money.Zero(commitment.Currency);
        for (Period month = Month(contract.Period.From); month.To <= at && month.From < contract.Period.To; month = Month(month.To))
        {
            Money used = days.Where(d => d.Charge.Currency == commitment.Currency && month.Contains(d.Key.Start!.Value)).Aggregate(Money.Zero(commitment.Currency), (sum, d) => sum + d.Charge);
            if (month.From >= contract.Period.From && used < commitment) shortfall += commitment - used;
        }
        return new Due("commitment", "usage below the commitment", Accounts.CommitmentRevenue, Accounts.Receivables, new Dimensions(Tenant: contract.Tenant, Model: contract.Model), -shortfall);
    }

    private static Period Month(Instant at)
    {
        DateTimeOffset time = at.ToDateTimeOffset();
        var start = new DateTimeOffset(time.Year, time.Month, 1, 0, 0, 0, TimeSpan.Zero);
        return new Period(Instant.From(start), Instant.From(start.AddMonths(1)));
    }
}
