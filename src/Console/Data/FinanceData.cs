using System.Collections.Immutable;
using Qanat.Books;
using Qanat.Gateway;

namespace Qanat.Console;

/// <summary>What the pages of the books read besides statements: invoices, contracts, cost facts, closed periods, unused capacity. Nothing is kept here.</summary>
public sealed class FinanceData(IBookStore store, TariffState tariffs, BooksPoster poster, ContractStanding standing, FinanceChanges changes, TimeProvider clock)
{
    public Instant Now => Instant.Now(clock);
    public Declarations Declared => tariffs.Declared;

    /// <summary>Newest number first.</summary>
    /// <param name="only">The only tenant whose invoices may be shown; null: all.</param>
    public ImmutableArray<InvoiceStatus> Invoices(TenantId? only) => [.. InvoiceRegister.At(tariffs.Declared, JustAfterNow).Reverse().Where(status => only is null || status.Invoice.Tenant == only)];

    public InvoiceStatus? FindInvoice(string number, TenantId? only) => Invoices(only).FirstOrDefault(status => status.Invoice.Number == number);

    /// <summary>A final invoice made again from the journal, with its lines.</summary>
    public async Task<Invoice> InvoiceAsync(InvoiceStatus status, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(status);
        FinalInvoice final = status.Invoice;
        return (await changes.DraftAsync(final.Number, final.Tenant, final.Period, final.Total.Currency, cancel)) with { State = status.State };
    }

    public Task<ContractFigures> ContractsAsync(CancellationToken cancel) => standing.ReadAsync(cancel);

    /// <summary>What pools really cost in a period, up to now.</summary>
    public async Task<CostFigures> CostsAsync(Period period, CancellationToken cancel)
    {
        Period past = period.To < Now ? period : new Period(period.From, Now);
        return new CostFigures(await PoolCostStatement.ReadAsync(store, past, cancel), await TrainingCosts.ReadAsync(store, tariffs.Declared, Now, cancel));
    }

    /// <summary>Capacity of each pool by day, oldest first: what it cost, what of it nothing used, and how long it was busy.</summary>
    public async Task<ImmutableArray<PoolDay>> CapacityAsync(Period period, CancellationToken cancel)
    {
        await poster.PostNowAsync(cancel);
        SumQuery query = new(period, GroupBy.Pool | GroupBy.Day);
        ImmutableArray<EntrySum> entries = await store.SumEntriesAsync(query, cancel);
        ImmutableArray<UsageSum> usage = await store.SumUsageAsync(query, cancel);
        return [.. entries.Where(entry => entry.Account.IsUnder(Accounts.UnusedCapacity) || entry.Account == Accounts.AccruedCapacity)
            .GroupBy(entry => (entry.Key.Pool, entry.Key.Start, entry.Amount.Currency)).OrderBy(day => day.Key.Start).ThenBy(day => day.Key.Pool?.Value, StringComparer.Ordinal)
            .Select(day => new PoolDay(day.Key.Pool!.Value, day.Key.Start!.Value,
                -Sum(day, Accounts.AccruedCapacity, day.Key.Currency), Sum(day, Accounts.UnusedCapacity, day.Key.Currency),
                usage.Where(each => each.Key.Pool == day.Key.Pool && each.Key.Start == day.Key.Start).Sum(each => each.Device.TotalNanoseconds)))];
    }

    /// <summary>Declarations of some kinds, newest first.</summary>
    public ImmutableArray<Declaration> DeclaredOf(params string[] kinds) => [.. tariffs.Declared.All.Where(each => kinds.Contains(FinanceChanges.KindOf(each))).Reverse()];

    public string TextOf(Declaration declaration)
    {
        ArgumentNullException.ThrowIfNull(declaration);
        return changes.WithNames(declaration.Text);
    }

    private Instant JustAfterNow => new(Now.UnixNanoseconds + 1);

    private static Money Sum(IEnumerable<EntrySum> entries, Account account, Currency currency) =>
        entries.Where(entry => entry.Account == account || account == Accounts.UnusedCapacity && entry.Account.IsUnder(account)).Aggregate(Money.Zero(currency), (sum, entry) => sum + entry.Amount);
}

public sealed record CostFigures(ImmutableArray<PoolCostStatement> Pools, ImmutableArray<TrainingView> Training);

/// <param name="Cost">At the pool's hourly rate.</param>
public sealed record PoolDay(PoolName Pool, Instant Day, Money Cost, Money Unused, long DeviceNanoseconds);
