using System.Collections.Immutable;

namespace Qanat.Books;

public enum SegmentStandard { Asc280, Ifrs8 }

/// <summary>A tenant belongs to a reportable segment. Tenants without one are "All other".</summary>
public sealed record SegmentMember(string Segment, TenantId Tenant) : IUnnamed
{
    internal static SegmentMember Read(FactLine line) => new(line.Word(1, "The segment"), line.FindTenant() ?? throw line.Wrong("'tenant' is missing."));
}

/// <summary>One caption of a segment, positive: an expense.</summary>
public sealed record SegmentExpense(string Caption, Money Amount);

/// <summary>A segment's line.</summary>
/// <param name="Significant">Expenses given to those who decide, by caption.</param> <param name="Other">All else that makes up the result.</param>
public sealed record SegmentRow(string Segment, Money ExternalRevenue, Money IntersegmentRevenue, ImmutableArray<SegmentExpense> Significant, Money Other)
{
    public Money Result => ExternalRevenue + IntersegmentRevenue - Significant.Aggregate(Money.Zero(ExternalRevenue.Currency), (sum, e) => sum + e.Amount) - Other;
}

/// <summary>The note on segments, in one currency: each segment, what no segment bears, and the total of the income statement.
/// The figures are the same for both standards; ASC 280 as amended by ASU 2023-07 asks for significant segment expenses and other segment items by name.</summary>
/// <param name="Unallocated">Positive: an expense. Unused capacity, rate variance, training and other items that no tenant's usage caused.</param>
public sealed record SegmentNote(SegmentStandard Standard, Period Period, Currency Currency, ImmutableArray<SegmentRow> Segments, ImmutableArray<SegmentExpense> Unallocated)
{
    public const string AllOther = "All other";

    public string SignificantTitle => Standard == SegmentStandard.Asc280 ? "Significant segment expenses (ASC 280-10-50-26A)" : "Material items of expense (IFRS 8.23)";
    public string OtherTitle => Standard == SegmentStandard.Asc280 ? "Other segment items (ASC 280-10-50-26B)" : "Other items";
    public string ReconciliationTitle => Standard == SegmentStandard.Asc280 ? "Reconciliation to income before tax (ASC 280-10-50-30)" : "Reconciliation to profit before tax (IFRS 8.28)";

    /// <summary>Charged between segments: revenue here and expense there, so that it leaves the total.</summary>
    public Money Eliminated => Segments.Aggregate(Money.Zero(Currency), (sum, s) => sum + s.IntersegmentRevenue);

    /// <summary>The result of the income statement.</summary>
    public Money Total => Segments.Aggregate(Money.Zero(Currency), (sum, s) => sum + s.Result) - Unallocated.Aggregate(Money.Zero(Currency), (sum, e) => sum + e.Amount);

    /// <summary>One for each currency.</summary>
    public static async Task<ImmutableArray<SegmentNote>> ReadAsync(IBookReader store, Period period, SegmentStandard standard, CancellationToken cancel = default)
    {
        Declarations declared = await Declarations.ReadAsync(store, cancel).ConfigureAwait(false);
        var segments = declared.SegmentMembers.ToLookup(m => m.Tenant, m => m.Segment);
        HashSet<TenantId> inside = [.. declared.Contracts.Where(c => c.Transfer is not null).Select(c => c.Tenant)];
        ImmutableArray<EntrySum> sums = [.. (await store.SumEntriesAsync(new SumQuery(period, GroupBy.Tenant), cancel).ConfigureAwait(false))
            .Where(s => Accounts.KindOf(s.Account) is AccountKind.Revenue or AccountKind.Expense)];
        return [.. sums.GroupBy(s => s.Amount.Currency).OrderBy(g => g.Key.Code, StringComparer.Ordinal).Select(g => new SegmentNote(standard, period, g.Key,
            [.. g.Where(s => s.Key.Tenant is not null).GroupBy(s => segments[s.Key.Tenant!.Value].LastOrDefault() ?? AllOther).OrderBy(s => s.Key == AllOther).ThenBy(s => s.Key, StringComparer.Ordinal).Select(s => RowOf(s.Key, g.Key, [.. s], inside))],
            [.. g.Where(s => s.Key.Tenant is null).GroupBy(s => s.Account).OrderBy(a => a.Key.Path, StringComparer.Ordinal).Select(a => new SegmentExpense(a.Key.Path, Sum(g.Key, a)))]))];
    }

    private static SegmentRow RowOf(string segment, Currency currency, ImmutableArray<EntrySum> sums, HashSet<TenantId> inside)
    {
        bool Revenue(EntrySum s) => s.Account.IsUnder(Accounts.Revenue);
        bool Significant(EntrySum s) => s.Account.IsUnder(Accounts.ComputeCost) || s.Account.IsUnder(Accounts.InternalUse);
        return new SegmentRow(segment,
            -Sum(currency, sums.Where(s => Revenue(s) && !inside.Contains(s.Key.Tenant!.Value))),
            -Sum(currency, sums.Where(s => Revenue(s) && inside.Contains(s.Key.Tenant!.Value))),
            [.. sums.Where(Significant).GroupBy(s => s.Account).OrderBy(a => a.Key.Path, StringComparer.Ordinal).Select(a => new SegmentExpense(a.Key.Path, Sum(currency, a)))],
            Sum(currency, sums.Where(s => !Revenue(s) && !Significant(s))));
    }

    private static Money Sum(Currency currency, IEnumerable<EntrySum> sums) => sums.Aggregate(Money.Zero(currency), (sum, s) => sum + s.Amount);
}
