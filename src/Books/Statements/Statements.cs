using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>The statements, made from sums that the store keeps. Money comes from the journal; what is settled but not posted yet is counted and said.</summary>
public static class Statements
{
    /// <summary>Profit and loss of a period by any of the dimensions. With hours or days in it, use a period that begins and ends on one.</summary>
    public static async Task<ProfitAndLoss> ProfitAndLossAsync(IBookReader store, Period period, GroupBy by, CancellationToken cancel = default)
    {
        var query = new SumQuery(period, by);
        ImmutableArray<EntrySum> entries = await store.SumEntriesAsync(query, cancel).ConfigureAwait(false);
        ImmutableArray<UsageSum> usage = await store.SumUsageAsync(query, cancel).ConfigureAwait(false);
        long unposted = 0;
        await foreach (UsageRecord _ in store.StreamUsageAsync(new UsageQuery(period, Posted: false), cancel).ConfigureAwait(false))
            unposted++;
        return ProfitAndLossOf(period, by, entries, usage, unposted) with { UsageMissing = await CountMissingAsync(store, period, usage, cancel).ConfigureAwait(false) };
    }

    /// <summary>What has no usage has no charge: where nothing is unpriced, nothing need be read.</summary>
    private static async Task<long> CountMissingAsync(IBookReader store, Period period, ImmutableArray<UsageSum> usage, CancellationToken cancel)
    {
        if (usage.All(u => u.Unpriced == 0)) return 0;
        long missing = 0;
        await foreach (UsageRecord record in store.StreamUsageAsync(new UsageQuery(period), cancel).ConfigureAwait(false))
            if (record.IsUsageMissing) missing++;
        return missing;
    }

    /// <summary>Balances of all accounts from the beginning up to an instant (exclusive).</summary>
    public static async Task<TrialBalance> TrialBalanceAsync(IBookReader store, Instant at, CancellationToken cancel = default)
    {
        ImmutableArray<EntrySum> entries = await store.SumEntriesAsync(new SumQuery(new Period(Period.All.From, at), GroupBy.None), cancel).ConfigureAwait(false);
        ImmutableArray<AccountBalance> accounts = [.. entries
            .GroupBy(e => (e.Account, e.Amount.Currency))
            .OrderBy(g => g.Key.Account.Path, StringComparer.Ordinal).ThenBy(g => g.Key.Currency.Code, StringComparer.Ordinal)
            .Select(g => new AccountBalance(g.Key.Account, Sum(g.Key.Currency, g.Select(e => e.Amount)), g.Sum(e => e.Entries)))];
        ImmutableArray<Money> sums = [.. accounts
            .GroupBy(a => a.Amount.Currency)
            .OrderBy(g => g.Key.Code, StringComparer.Ordinal)
            .Select(g => Sum(g.Key, g.Select(a => a.Amount)))];
        return new TrialBalance(at, accounts, sums);
    }

    /// <summary>The balance sheet at an instant (exclusive), one per currency.</summary>
    public static async Task<ImmutableArray<BalanceSheet>> BalanceSheetAsync(IBookReader store, Instant at, CancellationToken cancel = default)
    {
        TrialBalance trial = await TrialBalanceAsync(store, at, cancel).ConfigureAwait(false);
        return [.. trial.Accounts.GroupBy(a => a.Amount.Currency).OrderBy(g => g.Key.Code, StringComparer.Ordinal).Select(g => BalanceSheetOf(at, g.Key, [.. g]))];
    }

    /// <summary>Price, cost and margin per million tokens, utilisation and break-even of a period: one pass over its records.</summary>
    public static Task<UnitEconomics> UnitEconomicsAsync(IBookReader store, Period period, CancellationToken cancel = default) => UnitEconomicsStatement.MakeAsync(store, period, cancel);

    internal static ProfitAndLoss ProfitAndLossOf(Period period, GroupBy by, ImmutableArray<EntrySum> entries, ImmutableArray<UsageSum> usage, long unposted)
    {
        var counts = usage.GroupBy(u => u.Key).ToDictionary(g => g.Key, g => Counts.Of(g));
        var rows = ImmutableArray.CreateBuilder<ProfitRow>();
        var groups = entries.Where(e => IsRevenue(e.Account) || e.Account.IsUnder(Accounts.ComputeCost) || IsTraining(e.Account)).ToLookup(e => e.Key);
        foreach (GroupKey key in groups.Select(g => g.Key).Union(counts.Keys).OrderBy(k => k, GroupKeyOrder.Instance))
        {
            Counts rest = counts.GetValueOrDefault(key) ?? Counts.None;
            ImmutableArray<Currency> currencies = Currencies(groups[key].Select(e => e.Amount.Currency), rest.Currencies);
            foreach (Currency currency in currencies)
            {
                var row = new ProfitRow(key, -SumOf(groups[key], currency, IsRevenue), SumOf(groups[key], currency, a => a.IsUnder(Accounts.ComputeCost)),
                    rest.Requests, rest.Unpriced, rest.Uncosted, rest.Tokens, rest.Device);
                rows.Add(row with { TrainingCost = SumOf(groups[key], currency, IsTraining) });
                rest = Counts.None;
            }
        }
        return new ProfitAndLoss(period, by, rows.ToImmutable(), Totals(entries, usage), unposted);
    }

    private static ImmutableArray<ProfitTotal> Totals(ImmutableArray<EntrySum> entries, ImmutableArray<UsageSum> usage)
    {
        Counts rest = Counts.Of(usage);
        var totals = ImmutableArray.CreateBuilder<ProfitTotal>();
        foreach (Currency currency in Currencies(entries.Where(e => IsProfitOrLoss(e.Account)).Select(e => e.Amount.Currency), rest.Currencies))
        {
            totals.Add(new ProfitTotal(
                -SumOf(entries, currency, IsRevenue),
                SumOf(entries, currency, a => a.IsUnder(Accounts.ComputeCost)),
                SumOf(entries, currency, a => a.IsUnder(Accounts.UnusedCapacity)),
                SumOf(entries, currency, a => IsProfitOrLoss(a) && !IsRevenue(a) && !a.IsUnder(Accounts.ComputeCost) && !a.IsUnder(Accounts.UnusedCapacity)),
                rest.Requests, rest.Unpriced, rest.Uncosted, rest.Tokens, rest.Device)
            {
                Lines = LinesOf(entries, currency),
            });
            rest = Counts.None;
        }
        return totals.ToImmutable();
    }

    private static ImmutableArray<AccountBalance> LinesOf(ImmutableArray<EntrySum> entries, Currency currency) =>
        [.. entries.Where(e => e.Amount.Currency == currency && IsProfitOrLoss(e.Account)).GroupBy(e => e.Account)
            .OrderBy(g => IsRevenue(g.Key) ? 0 : g.Key.Path.StartsWith("cost of revenue", StringComparison.Ordinal) ? 1 : 2).ThenBy(g => g.Key.Path, StringComparer.Ordinal)
            .Select(g => new AccountBalance(g.Key, Sum(currency, g.Select(e => IsRevenue(g.Key) ? -e.Amount : e.Amount)), g.Sum(e => e.Entries))).Where(line => !line.Amount.IsZero)];

    private static BalanceSheet BalanceSheetOf(Instant at, Currency currency, ImmutableArray<AccountBalance> accounts)
    {
        ImmutableArray<AccountBalance> Of(AccountKind kind, int sign) =>
            [.. accounts.Where(a => Accounts.KindOf(a.Account) == kind).Select(a => a with { Amount = a.Amount * sign })];
        Money earnings = -Sum(currency, accounts.Where(a => IsProfitOrLoss(a.Account)).Select(a => a.Amount));
        return new BalanceSheet(at, currency, Of(AccountKind.Asset, 1), Of(AccountKind.Liability, -1), Of(AccountKind.Equity, -1), earnings);
    }

    private static bool IsRevenue(Account account) => account.IsUnder(Accounts.Revenue);
    private static bool IsTraining(Account account) => account.IsUnder(Accounts.Training) || account.IsUnder(Accounts.Amortisation) || account.IsUnder(Accounts.WrittenOffModels);
    private static bool IsProfitOrLoss(Account account) => Accounts.KindOf(account) is AccountKind.Revenue or AccountKind.Expense;

    private static Money SumOf(IEnumerable<EntrySum> entries, Currency currency, Func<Account, bool> belongs) =>
        Sum(currency, entries.Where(e => e.Amount.Currency == currency && belongs(e.Account)).Select(e => e.Amount));

    private static Money Sum(Currency currency, IEnumerable<Money> amounts) => amounts.Aggregate(Money.Zero(currency), (sum, amount) => sum + amount);

    /// <summary>Currencies of the money first; without any, those of the (zero) usage sums, so that a group with only unpriced requests still has its row.</summary>
    private static ImmutableArray<Currency> Currencies(IEnumerable<Currency> posted, ImmutableArray<Currency> fallback)
    {
        ImmutableArray<Currency> found = [.. posted.Distinct().OrderBy(c => c.Code, StringComparer.Ordinal)];
        return found.IsEmpty ? fallback : found;
    }

    private sealed record Counts(long Requests, long Unpriced, long Uncosted, TokenCounts Tokens, DeviceTime Device, ImmutableArray<Currency> Currencies)
    {
        public static readonly Counts None = new(0, 0, 0, default, default, []);

        public static Counts Of(IEnumerable<UsageSum> sums) => sums.Aggregate(None, (all, s) => new Counts(all.Requests + s.Requests, all.Unpriced + s.Unpriced, all.Uncosted + s.Uncosted,
            all.Tokens + s.Tokens, all.Device + s.Device, all.Currencies.IsEmpty ? [s.Charge.Currency] : all.Currencies));
    }
}

/// <summary>Groups in a fixed order: by time, then model, pool, tenant and project.</summary>
internal sealed class GroupKeyOrder : IComparer<GroupKey>
{
    public static readonly GroupKeyOrder Instance = new();

    public int Compare(GroupKey? x, GroupKey? y) => string.CompareOrdinal(Text(x), Text(y));

    private static string Text(GroupKey? key) => key is null ? ""
        : string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{key.Start?.UnixNanoseconds:D20}\n{key.Model}\n{key.Pool}\n{key.Tenant}\n{key.Project}");
}
