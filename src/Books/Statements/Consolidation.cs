using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>One side of a consolidation in one currency.</summary>
/// <param name="InternalRevenue">Charged to internal tenants.</param> <param name="InternalUse">The same charges, as expense of those who used it.</param>
/// <param name="InternalCost">What serving internal tenants cost.</param> <param name="OtherCost">All other cost, unused capacity included.</param>
public sealed record Consolidation(Period Period, Money ExternalRevenue, Money InternalRevenue, Money InternalUse, Money InternalCost, Money OtherCost)
{
    /// <summary>Profit that one part of the house made on another: eliminated on consolidation.</summary>
    public Money InternalProfit => InternalRevenue - InternalCost;

    /// <summary>Before elimination: with internal charges both as revenue and as expense.</summary>
    public Money Combined => ExternalRevenue + InternalRevenue - InternalUse - InternalCost - OtherCost;

    /// <summary>After elimination: external revenue less all cost. The same whatever the transfer prices are.</summary>
    public Money Consolidated => ExternalRevenue - InternalCost - OtherCost;

    /// <summary>One for each currency. Internal tenants are those with a contract that has a transfer policy.</summary>
    public static async Task<ImmutableArray<Consolidation>> ReadAsync(IBookReader store, Period period, CancellationToken cancel = default)
    {
        HashSet<TenantId> inside = [.. (await Declarations.ReadAsync(store, cancel).ConfigureAwait(false)).Contracts.Where(c => c.Transfer is not null).Select(c => c.Tenant)];
        ImmutableArray<EntrySum> sums = await store.SumEntriesAsync(new SumQuery(period, GroupBy.Tenant), cancel).ConfigureAwait(false);
        return [.. sums.GroupBy(s => s.Amount.Currency).OrderBy(g => g.Key.Code, StringComparer.Ordinal).Select(g => Of(period, g.Key, [.. g], inside))];
    }

    private static Consolidation Of(Period period, Currency currency, ImmutableArray<EntrySum> sums, HashSet<TenantId> inside)
    {
        Money Sum(Func<EntrySum, bool> belongs) => sums.Where(belongs).Aggregate(Money.Zero(currency), (sum, s) => sum + s.Amount);
        bool Internal(EntrySum s) => s.Key.Tenant is { } tenant && inside.Contains(tenant);
        bool Revenue(EntrySum s) => Accounts.KindOf(s.Account) == AccountKind.Revenue;
        bool Use(EntrySum s) => s.Account == Accounts.InternalUse;
        bool Cost(EntrySum s) => Accounts.KindOf(s.Account) == AccountKind.Expense && !Use(s);
        return new Consolidation(period, -Sum(s => Revenue(s) && !Internal(s)), -Sum(s => Revenue(s) && Internal(s)), Sum(Use), Sum(s => Cost(s) && Internal(s)), Sum(s => Cost(s) && !Internal(s)));
    }

    /// <summary>The charges of internal tenants become expense of those who used it instead of money owed.</summary>
    internal static async Task<ImmutableArray<Due>> DuesAsync(IBookReader store, Declarations declared, Instant at, CancellationToken cancel)
    {
        HashSet<TenantId> inside = [.. declared.Contracts.Where(c => c.Transfer is not null).Select(c => c.Tenant)];
        if (inside.Count == 0) return [];
        ImmutableArray<EntrySum> sums = await store.SumEntriesAsync(new SumQuery(new Period(Period.All.From, at), GroupBy.Tenant), cancel).ConfigureAwait(false);
        return [.. sums.Where(s => Accounts.KindOf(s.Account) == AccountKind.Revenue && s.Key.Tenant is { } tenant && inside.Contains(tenant))
            .GroupBy(s => (s.Key.Tenant, s.Amount.Currency)).OrderBy(g => g.Key.Tenant!.Value.Value)
            .Select(g => new Due("internal use", "charges of an internal tenant", Accounts.InternalUse, Accounts.Receivables, new Dimensions(Tenant: g.Key.Tenant),
                g.Aggregate(Money.Zero(g.Key.Currency), (sum, s) => sum - s.Amount)))];
    }
}
