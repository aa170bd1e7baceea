using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Prices and pool rates in force: read by every request, changed by appending a fact first and swapping the snapshot then.</summary>
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

    public static async Task<TariffState> LoadAsync(IBookStore store, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(store);
        return new TariffState(store, new Snapshot(new PriceBook(await store.ReadPricesAsync(cancel)), new CostBook(await store.ReadPoolRatesAsync(cancel))));
    }

    public Task AddPriceAsync(PriceVersion version, AuditEntry audit, CancellationToken cancel) =>
        ChangeAsync(new PriceAdded(version), audit, now => now with { Prices = now.Prices.With(version) }, cancel);

    public Task AddPoolRateAsync(PoolRate rate, AuditEntry audit, CancellationToken cancel) =>
        ChangeAsync(new PoolRateAdded(rate), audit, now => now with { Costs = now.Costs.With(rate) }, cancel);

    public void Dispose() => changing.Dispose();

    private async Task ChangeAsync(Fact fact, AuditEntry audit, Func<Snapshot, Snapshot> change, CancellationToken cancel)
    {
        await changing.WaitAsync(cancel);
        try
        {
            await store.AppendAsync(new Together(ImmutableArray.Create(fact, new Audited(audit))), cancel);
            current = change(current);
        }
        finally
        {
            changing.Release();
        }
    }

    private sealed record Snapshot(PriceBook Prices, CostBook Costs);
}
