using System.Collections.Immutable;
using System.Runtime.CompilerServices;

namespace Qanat.Books;

/// <summary>What can be asked of the books.
/// Usage belongs to the period of its CompletedAt, journal entries to the period of their transaction's At, capacity to every period it overlaps.</summary>
public interface IBookReader
{
    Task<DirectorySnapshot> ReadDirectoryAsync(CancellationToken cancel = default);
    Task<ImmutableArray<PriceVersion>> ReadPricesAsync(CancellationToken cancel = default);
    Task<ImmutableArray<PoolRate>> ReadPoolRatesAsync(CancellationToken cancel = default);

    /// <summary>Holds neither settled nor released, each with its last durable progress.</summary>
    Task<ImmutableArray<OpenHold>> ReadOpenHoldsAsync(CancellationToken cancel = default);

    /// <summary>Newest first (by id), at most query.Limit.</summary>
    Task<ImmutableArray<UsageRecord>> ReadUsageAsync(UsageQuery query, CancellationToken cancel = default);

    /// <summary>Oldest first, streamed: the whole set may not fit in memory, so query.Limit does not apply.</summary>
    IAsyncEnumerable<UsageRecord> StreamUsageAsync(UsageQuery query, CancellationToken cancel = default);

    /// <summary>Charge and tokens of settled requests since an instant by key, for budgets: read once at start.</summary>
    Task<ImmutableArray<SpendRow>> ReadSpendAsync(Period period, CancellationToken cancel = default);

    /// <summary>Sums of settled usage by the dimensions asked for.</summary>
    Task<ImmutableArray<UsageSum>> SumUsageAsync(SumQuery query, CancellationToken cancel = default);

    /// <summary>Sums of journal entries by account and the dimensions asked for.</summary>
    Task<ImmutableArray<EntrySum>> SumEntriesAsync(SumQuery query, CancellationToken cancel = default);

    /// <summary>Transactions oldest first, streamed.</summary>
    IAsyncEnumerable<Transaction> StreamJournalAsync(JournalQuery query, CancellationToken cancel = default);

    /// <summary>The ids of the usage records that a transaction sums up.</summary>
    Task<ImmutableArray<RequestId>> ReadPostedRecordsAsync(TransactionId transaction, CancellationToken cancel = default);

    /// <summary>Every transaction, oldest first, with the records it sums up. A store that can read them side by side is much faster than this, which asks for each.</summary>
    async IAsyncEnumerable<Posting> StreamPostingsAsync([EnumeratorCancellation] CancellationToken cancel = default)
    {
        await foreach (Transaction transaction in StreamJournalAsync(new JournalQuery(Period.All), cancel).ConfigureAwait(false))
        {
            var records = ImmutableArray.CreateBuilder<UsageRecord>();
            await foreach (UsageRecord record in StreamUsageAsync(new UsageQuery(Period.All, Transaction: transaction.Id), cancel).ConfigureAwait(false)) records.Add(record);
            yield return new Posting(transaction, await ReadPostedRecordsAsync(transaction.Id, cancel).ConfigureAwait(false), records.ToImmutable());
        }
    }

    /// <summary>Capacity records of a pool in time order.</summary>
    IAsyncEnumerable<CapacityRecord> StreamCapacityAsync(PoolName pool, Period period, CancellationToken cancel = default);

    /// <summary>Device time of usage that was removed with the demo, summed per pool.</summary>
    Task<ImmutableArray<ClearedUsage>> ReadClearedUsageAsync(CancellationToken cancel = default) => Task.FromResult(ImmutableArray<ClearedUsage>.Empty);

    /// <summary>Everything declared, in any order.</summary>
    Task<ImmutableArray<Declaration>> ReadDeclarationsAsync(CancellationToken cancel = default) => Task.FromResult(ImmutableArray<Declaration>.Empty);

    /// <summary>Newest first.</summary>
    Task<ImmutableArray<AuditEntry>> ReadAuditAsync(int limit, CancellationToken cancel = default);

    /// <summary>The store's own consistency check (e.g. SQLite integrity_check); empty when sound.</summary>
    Task<ImmutableArray<string>> VerifyAsync(CancellationToken cancel = default);
}

/// <summary>The durable home of the facts. One writer; any number of readers. Each answer is the books as of one commit; answers that must belong together are asked of one snapshot.</summary>
public interface IBookStore : IBookReader, IAsyncDisposable
{
    /// <summary>Appends a fact. The task completes when it is durable (fsync); facts become durable in the order in which they were handed over, many in one commit.
    /// A fact whose id is there already changes nothing.</summary>
    /// <exception cref="StoreException">It could not be written, and nothing of it is stored: where a database server is lost in the middle, this is thrown only once that is certain.</exception>
    Task AppendAsync(Fact fact, CancellationToken cancel = default);

    /// <summary>As above, with what the caller needs the fact to survive before it goes on. A store that knows no difference gives more than was asked.</summary>
    /// <exception cref="StoreException">As above.</exception>
    Task AppendAsync(Fact fact, Durability durability, CancellationToken cancel = default) => AppendAsync(fact, cancel);

    /// <summary>The books as of now, for as long as they are looked at. What is written meanwhile is not seen, and nobody who writes waits.</summary>
    /// <exception cref="StoreException">They cannot be read.</exception>
    Task<IBookSnapshot> SnapshotAsync(CancellationToken cancel = default);
}

/// <summary>The books as of one commit: all answers belong together. One stream at a time, with any questions in between.</summary>
public interface IBookSnapshot : IBookReader, IAsyncDisposable;

/// <summary>What a fact must survive before its caller goes on.</summary>
public enum Durability
{
    /// <summary>The loss of power: it is on disk.</summary>
    Power,

    /// <summary>The death of this process at any instant: the operating system has it, and the disk a few milliseconds later.</summary>
    Process,
}

public sealed record DirectorySnapshot(ImmutableArray<Tenant> Tenants, ImmutableArray<Project> Projects, ImmutableArray<ApiKey> Keys);

/// <summary>A transaction and what it sums up.</summary>
/// <param name="Listed">The ids the store has for it.</param> <param name="Records">The records themselves.</param>
public sealed record Posting(Transaction Transaction, ImmutableArray<RequestId> Listed, ImmutableArray<UsageRecord> Records);

public sealed record OpenHold(Hold Hold, UsageProgress Progress);

/// <param name="Before">Only records placed before this one (keyset paging).</param> <param name="Posted">Only records that a transaction has (true) or has not (false) summed up yet.</param>
public sealed record UsageQuery(Period Period, TenantId? Tenant = null, ProjectId? Project = null, ModelName? Model = null, TransactionId? Transaction = null,
    RequestId? Id = null, RequestId? Before = null, bool? Posted = null, int Limit = 100, PoolName? Pool = null);

public sealed record SpendRow(TenantId Tenant, ProjectId Project, KeyId Key, Money Charge);

[Flags]
public enum GroupBy { None = 0, Tenant = 1, Project = 2, Model = 4, Pool = 8, Day = 16, Hour = 32 }

public sealed record SumQuery(Period Period, GroupBy By, TenantId? Tenant = null, ProjectId? Project = null, ModelName? Model = null);

public sealed record GroupKey(TenantId? Tenant, ProjectId? Project, ModelName? Model, PoolName? Pool, Instant? Start);

/// <summary>Unpriced and Uncosted count records in those states: they are never silently zero. One row per group and currency.</summary>
public sealed record UsageSum(GroupKey Key, long Requests, long Unpriced, long Uncosted, TokenCounts Tokens, DeviceTime Device, Money Charge, Money Cost);

public sealed record EntrySum(GroupKey Key, Account Account, Money Amount, long Entries);

public sealed record JournalQuery(Period Period, Account? Account = null, TenantId? Tenant = null, ProjectId? Project = null, ModelName? Model = null, int Limit = int.MaxValue, PoolName? Pool = null);

/// <summary>The store refused or failed: the message says what happened and what to do.</summary>
public class StoreException : Exception
{
    public StoreException(string message) : base(message) { }
    public StoreException(string message, Exception inner) : base(message, inner) { }
    public StoreException() { }
}

/// <summary>The store has been closed: trying again is of no use.</summary>
public sealed class StoreClosedException : StoreException
{
    public StoreClosedException(string message) : base(message) { }
    public StoreClosedException(string message, Exception inner) : base(message, inner) { }
    public StoreClosedException() { }
}
