using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>What became of one reported event.</summary>
public enum IngestOutcome
{
    /// <summary>New, and durable now.</summary>
    Accepted,

    /// <summary>Known already, with the same content: nothing changed.</summary>
    Duplicate,

    /// <summary>Known already, with other content: facts never change.</summary>
    Conflict,
}

/// <param name="Late">It belongs to a closed period, and is posted as an adjustment in an open one.</param>
public sealed record IngestResult(IngestOutcome Outcome, UsageRecord Record, bool Late);

/// <summary>Takes in usage that was metered elsewhere. It is priced as of its placing, under its contract, draws on quotas, credit and budgets, and is posted like any other usage.</summary>
public sealed class UsageIngest(IBookStore store, TariffState tariffs, BudgetLimits limits) : IDisposable
{
    private readonly SemaphoreSlim turn = new(1);

    /// <summary>Stores an event once, however often it comes.</summary>
    /// <exception cref="ArgumentException">Its counts contradict each other.</exception>
    /// <exception cref="StoreException">It could not be written; send it again.</exception>
    public async Task<IngestResult> TakeAsync(OutsideUsage usage, Caller whose, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(usage);
        ArgumentNullException.ThrowIfNull(whose);
        // One at a time: whether an event is known is decided and written without another in between.
        await turn.WaitAsync(cancel);
        try
        {
            UsageRecord? known = (await store.ReadUsageAsync(new UsageQuery(Period.All, Id: usage.RequestId, Limit: 1), cancel)).FirstOrDefault();
            bool late = usage.CompletedAt < tariffs.Declared.ClosedThrough;
            switch (Ingest.Decide(known, usage))
            {
                case IngestDecision.Same: return new IngestResult(IngestOutcome.Duplicate, known!, late);
                case IngestDecision.Conflict: return new IngestResult(IngestOutcome.Conflict, known!, late);
                default: return new IngestResult(IngestOutcome.Accepted, await AddAsync(usage, whose), late);
            }
        }
        finally
        {
            turn.Release();
        }
    }

    public void Dispose() => turn.Dispose();

    private async Task<UsageRecord> AddAsync(OutsideUsage usage, Caller whose)
    {
        RequestTerms terms = RequestTerms.Find(tariffs.Prices, tariffs.Declared, usage.Party.Tenant, usage.Model, usage.PlacedAt);
        // Rated once before anything is taken from the quota, so that counts that contradict each other are refused first.
        usage.ToRecord(tariffs.Prices, tariffs.Declared, 0);
        QuotaHold quota = limits.Contracts.Quotas.Hold(terms, 0, usage.Operation, usage.PlacedAt);
        long free = limits.Contracts.Quotas.Settle(quota, new RatedUsage(usage.Tokens, usage.Operation, usage.Outcome, usage.Cache), usage.PlacedAt);
        UsageRecord record = usage.ToRecord(tariffs.Prices, tariffs.Declared, free);
        try
        {
            // Once it is taken from the quota it is written to the end: a client that leaves does not matter.
            await store.AppendAsync(new HoldSettled(record), CancellationToken.None);
        }
        catch (StoreException)
        {
            limits.Contracts.Quotas.GiveBack(terms, free);
            throw;
        }
        limits.Spend(whose, record);
        return record;
    }
}
