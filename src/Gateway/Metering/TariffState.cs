using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Prices, pool rates and declarations (contracts, assets, bills ...) in force: read by every request, changed by appending a fact first and swapping the snapshot then.</summary>
public sealed class TariffState : IDisposable
{
    private readonly IBookStore store;
    private readonly SemaphoreSlim changing = new(1);
    private volatile Snapshot current;

    private TariffState(IBookStore store, Snapshot current)
    {
        this.store = store;
        this.current = current;
    }

    public PriceBook Prices => current.Prices;
    public CostBook Costs => current.Costs;
    public Declarations Declared => current.Declared;

    /// <summary>Told after each change of what is declared.</summary>
    public event Action<Declarations>? DeclaredChanged;

    public static async Task<TariffState> LoadAsync(IBookStore store, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(store);
        return new TariffState(store, new Snapshot(new PriceBook(await store.ReadPricesAsync(cancel)), new CostBook(await store.ReadPoolRatesAsync(cancel)),
            await Declarations.ReadAsync(store, cancel)));
    }

    /// <exception cref="ArgumentException">The version contradicts one that is there.</exception>
    public Task AddPriceAsync(PriceVersion version, AuditEntry audit, CancellationToken cancel) =>
        ChangeAsync(now => new Change(now with { Prices = now.Prices.With(version) }, [new PriceAdded(version), new Audited(audit)]), cancel);

    /// <summary>All of a price list, or nothing of it.</summary>
    public Task AddPricesAsync(ImmutableArray<PriceVersion> versions, ImmutableArray<AuditEntry> audits, CancellationToken cancel) =>
        ChangeAsync(now => new Change(now with { Prices = new PriceBook(now.Prices.Versions.AddRange(versions)) },
            [.. versions.Select(version => new PriceAdded(version)), .. audits.Select(audit => new Audited(audit))]), cancel);

    public Task AddPoolRateAsync(PoolRate rate, AuditEntry audit, CancellationToken cancel) =>
        ChangeAsync(now => new Change(now with { Costs = now.Costs.With(rate) }, [new PoolRateAdded(rate), new Audited(audit)]), cancel);

    /// <summary>Declares facts, all or none, after looking at what is declared so far under the lock that keeps others from declaring meanwhile.</summary>
    /// <exception cref="ArgumentException">A name is taken by a fact that differs.</exception>
    public Task DeclareAsync(Func<Declarations, ImmutableArray<Declaration>> decide, Func<Declaration, AuditEntry> audit, CancellationToken cancel) => ChangeAsync(now =>
    {
        ImmutableArray<Declaration> added = decide(now.Declared);
        HashSet<DeclarationId> known = [.. now.Declared.All.Select(each => each.Id)];
        added = [.. added.Where(each => known.Add(each.Id))];
        return new Change(now with { Declared = new Declarations(now.Declared.All.AddRange(added)) },
            [.. added.Select(each => new Declared(each)), .. added.Select(each => new Audited(audit(each)))]);
    }, cancel);

    /// <summary>Takes over what was declared past this object: a close, an invoice.</summary>
    public async Task RefreshAsync(CancellationToken cancel)
    {
        await changing.WaitAsync(cancel);
        try
        {
            current = current with { Declared = await Declarations.ReadAsync(store, cancel) };
        }
        finally
        {
            changing.Release();
        }
        DeclaredChanged?.Invoke(current.Declared);
    }

    public void Dispose() => changing.Dispose();

    private async Task ChangeAsync(Func<Snapshot, Change> change, CancellationToken cancel)
    {
        await changing.WaitAsync(cancel);
        bool declared;
        try
        {
            Change plan = change(current);
            if (plan.Facts.IsEmpty) return;
            await store.AppendAsync(new Together(plan.Facts), cancel);
            declared = plan.After.Declared != current.Declared;
            current = plan.After;
        }
        finally
        {
            changing.Release();
        }
        if (declared) DeclaredChanged?.Invoke(current.Declared);
    }

    private sealed record Snapshot(PriceBook Prices, CostBook Costs, Declarations Declared);

    private sealed record Change(Snapshot After, ImmutableArray<Fact> Facts);
}
