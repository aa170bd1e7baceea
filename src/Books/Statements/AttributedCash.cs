using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>What an investment stands for in the books: pools (their equipment) or models (their training). One of the two.</summary>
public sealed record CashAttribution
{
    private CashAttribution(ImmutableArray<PoolName> pools, ImmutableArray<ModelName> models) => (Pools, Models) = (pools, models);

    public ImmutableArray<PoolName> Pools { get; }
    public ImmutableArray<ModelName> Models { get; }

    public static CashAttribution Of(ImmutableArray<PoolName> pools) => new(pools, []);
    public static CashAttribution Of(ImmutableArray<ModelName> models) => new([], models);
}

/// <summary>One closed month of an investment.</summary>
/// <param name="From">Its first instant.</param>
/// <param name="Revenue">Net revenue by usage: charges less discounts and free quotas.</param>
/// <param name="OperatingCost">What running cost, without depreciation and amortisation.</param>
/// <param name="Capital">Assets bought less assets sold; or what training cost.</param>
public sealed record AttributedMonth(Instant From, Money Revenue, Money OperatingCost, Money Capital);

/// <summary>
/// Month by month, what the pools or models of an investment brought in and took. Only months that are closed count: nothing in them can change any more.
/// A pool's running cost is what was owed for its energy, hosting, staff and the like. A pool without such facts costs its hourly rate, as rented capacity does.
/// A model's running cost is that of the device time its requests used, at the rates of its pools.
/// </summary>
public static class AttributedCash
{
    private static readonly Account Paid = Accounts.Payables.Below("paid");
    private static readonly Account Sold = Accounts.RetiredEquipment.Below("proceeds");

    /// <param name="from">The first month is the one that holds this instant.</param>
    /// <returns>Oldest first, without gaps; empty while no whole month is closed.</returns>
    public static async Task<ImmutableArray<AttributedMonth>> ReadAsync(IBookReader store, CashAttribution of, Currency currency, Instant from, CancellationToken cancel = default)
    {
        Instant closed = (await Declarations.ReadAsync(store, cancel).ConfigureAwait(false)).ClosedThrough;
        var months = ImmutableArray.CreateBuilder<AttributedMonth>();
        for (Instant start = MonthOf(from); After(start) <= closed; start = After(start))
        {
            ImmutableArray<EntrySum> sums = await store.SumEntriesAsync(new SumQuery(new Period(start, After(start)), GroupBy.Model | GroupBy.Pool), cancel).ConfigureAwait(false);
            EntrySum[] own = [.. sums.Where(s => s.Amount.Currency == currency)];
            months.Add(of.Models.IsEmpty ? OfPools(start, own, of.Pools, currency) : OfModels(start, own, of.Models, currency));
        }
        return months.ToImmutable();
    }

    private static AttributedMonth OfPools(Instant start, EntrySum[] sums, ImmutableArray<PoolName> pools, Currency currency)
    {
        Money cost = Money.Zero(currency), capital = cost, revenue = cost;
        foreach (PoolName pool in pools)
        {
            EntrySum[] own = [.. sums.Where(s => s.Key.Pool == pool)];
            revenue -= Sum(own, a => a.IsUnder(Accounts.Revenue), currency);
            bool isKnown = own.Any(s => s.Account.IsUnder(Accounts.ActualCapacityCost));
            cost -= isKnown ? Sum(own, IsRunningCost, currency) : Sum(own, a => a == Accounts.AccruedCapacity || a == Accounts.AccruedCapacityCutOff, currency);
            capital += Sum(own, IsAssetPrice, currency) + Sum(own, a => a.IsUnder(Sold), currency);
        }
        return new AttributedMonth(start, revenue, cost, capital);
    }

    private static AttributedMonth OfModels(Instant start, EntrySum[] sums, ImmutableArray<ModelName> models, Currency currency)
    {
        EntrySum[] own = [.. sums.Where(s => s.Key.Model is { } model && models.Contains(model))];
        Money training = Sum(own, IsTraining, currency), device = Sum(own, IsTrainingDevice, currency);
        // Device time of training leaves the cost of revenue when the run is posted: it is the run's cost, and not a second time one of running.
        return new AttributedMonth(start, -Sum(own, a => a.IsUnder(Accounts.Revenue), currency), Sum(own, a => a == Accounts.ComputeCost, currency), training + device);
    }

    private static bool IsRunningCost(Account account) => account.IsUnder(Accounts.Payables) && account != Accounts.Payables && !account.IsUnder(Paid);

    /// <summary>An asset's own account, not its depreciation or what was written off.</summary>
    private static bool IsAssetPrice(Account account) => account.IsUnder(Accounts.Equipment) && account.Path.Count(c => c == ':') == Accounts.Equipment.Path.Count(c => c == ':') + 1;

    private static bool IsTraining(Account account) => IsTrainingPart(account, "direct");
    private static bool IsTrainingDevice(Account account) => IsTrainingPart(account, "compute");

    private static bool IsTrainingPart(Account account, string part) =>
        account == Accounts.Training.Below(part) || (account.IsUnder(Accounts.CapitalisedModels) && account.Path.EndsWith(':' + part, StringComparison.Ordinal));

    private static Money Sum(EntrySum[] sums, Func<Account, bool> counts, Currency currency) =>
        sums.Where(s => counts(s.Account)).Aggregate(Money.Zero(currency), (sum, s) => sum + s.Amount);

    private static Instant MonthOf(Instant at)
    {
        DateTimeOffset time = at.ToDateTimeOffset();
        return Instant.From(new DateTimeOffset(time.Year, time.Month, 1, 0, 0, 0, TimeSpan.Zero));
    }

    private static Instant After(Instant month) => Instant.From(month.ToDateTimeOffset().AddMonths(1));
}
