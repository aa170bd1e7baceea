using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Console;

/// <summary>Reads the journal for the pages: lists, one transaction, and the way from a request to its posting.</summary>
public sealed class JournalData(IBookStore store)
{
    /// <summary>Transactions one page of the journal shows, or a few more: those of one instant stay together.</summary>
    public const int PageSize = 40;

    /// <summary>The newest transactions that match, newest first. Entries of a filtered journal are those of the filter only, so that their sum is the figure that was followed.</summary>
    public async Task<JournalPage> NewestAsync(JournalFilter filter, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(filter);
        var newest = new Queue<Transaction>();
        var sums = new Dictionary<Currency, Money>();
        long entries = 0, transactions = 0;
        await foreach (Transaction transaction in store.StreamJournalAsync(filter.Query, cancel))
        {
            if (filter.Template is { } template && transaction.Template != template) continue;
            Transaction shown = filter.IsEmpty ? transaction : transaction with { Entries = [.. transaction.Entries.Where(filter.Matches)] };
            if (!filter.IsEmpty && shown.Entries.IsEmpty) continue;
            transactions++;
            foreach (Entry entry in shown.Entries)
            {
                entries++;
                sums[entry.Amount.Currency] = sums.GetValueOrDefault(entry.Amount.Currency, Money.Zero(entry.Amount.Currency)) + entry.Amount;
            }
            newest.Enqueue(shown);
            DropOldest(newest);
        }
        return new JournalPage([.. newest.Reverse()], transactions, entries, [.. sums.Values.OrderBy(sum => sum.Currency.Code, StringComparer.Ordinal)]);
    }

    /// <summary>Whole instants only, so that the next page can begin before the oldest one shown.</summary>
    private static void DropOldest(Queue<Transaction> newest)
    {
        Instant oldest = newest.Peek().At;
        if (newest.Count - newest.TakeWhile(each => each.At == oldest).Count() < PageSize) return;
        while (newest.Peek().At == oldest) newest.Dequeue();
    }

    /// <summary>The transaction with an id; null when there is none. Ids begin with the millisecond of their transaction.</summary>
    public async Task<Transaction?> FindAsync(TransactionId id, CancellationToken cancel)
    {
        const long nanosecondsPerMillisecond = 1_000_000;
        long milliseconds = Convert.ToInt64(id.Value.ToString("N")[..12], 16);
        if (milliseconds >= long.MaxValue / nanosecondsPerMillisecond - 1) return null;
        var period = new Period(new Instant(milliseconds * nanosecondsPerMillisecond), new Instant((milliseconds + 1) * nanosecondsPerMillisecond));
        await foreach (Transaction transaction in store.StreamJournalAsync(new JournalQuery(period), cancel))
            if (transaction.Id == id) return transaction;
        return null;
    }

    /// <summary>The transaction that sums up a settled request; null while it is not posted. It stands in the hour in which the request completed.</summary>
    public async Task<Transaction?> PostingOfAsync(UsageRecord record, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(record);
        var hour = new Period(record.CompletedAt, new Instant(record.CompletedAt.HourStart.UnixNanoseconds + Instant.NanosecondsPerHour));
        await foreach (Transaction transaction in store.StreamJournalAsync(new JournalQuery(hour, Tenant: record.Party.Tenant, Project: record.Party.Project, Model: record.Model), cancel))
        {
            ImmutableArray<UsageRecord> inside = await store.ReadUsageAsync(new UsageQuery(Period.All, Transaction: transaction.Id, Id: record.Id, Limit: 1), cancel);
            if (!inside.IsEmpty) return transaction;
        }
        return null;
    }

    public async Task<int> CountRecordsAsync(TransactionId id, CancellationToken cancel) => (await store.ReadPostedRecordsAsync(id, cancel)).Length;

    public Task<TrialBalance> TrialBalanceAsync(Instant at, CancellationToken cancel) => Statements.TrialBalanceAsync(store, at, cancel);

    public Task<ImmutableArray<BalanceSheet>> BalanceSheetAsync(Instant at, CancellationToken cancel) => Statements.BalanceSheetAsync(store, at, cancel);
}

/// <summary>Which entries of the journal are wanted; an account stands for everything below it too. A template chooses whole transactions.</summary>
public sealed record JournalFilter(Period Period, Account? Account = null, TenantId? Tenant = null, ProjectId? Project = null, ModelName? Model = null, string? Template = null, PoolName? Pool = null)
{
    public bool IsEmpty => Account is null && Tenant is null && Project is null && Model is null && Pool is null;

    /// <summary>What the store filters by; the account is left to <see cref="Matches"/>, because the store knows accounts one by one.</summary>
    internal JournalQuery Query => new(Period, null, Tenant, Project, Model, Pool: Pool);

    public bool Matches(Entry entry) =>
        (Account is not { } account || entry.Account.IsUnder(account))
        && (Tenant is null || entry.Dimensions.Tenant == Tenant) && (Project is null || entry.Dimensions.Project == Project) && (Model is null || entry.Dimensions.Model == Model)
        && (Pool is null || entry.Dimensions.Pool == Pool);
}

/// <param name="Transactions">The newest that match.</param> <param name="TransactionCount">All that match.</param> <param name="Sums">Of all matching entries, one per currency.</param>
public sealed record JournalPage(ImmutableArray<Transaction> Transactions, long TransactionCount, long EntryCount, ImmutableArray<Money> Sums)
{
    public bool HasOlder => TransactionCount > Transactions.Length;
}
