using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>Recomputes the books from their facts and compares. Streams: memory does not grow with the number of records. Nothing may be appended meanwhile.</summary>
public static class BooksCheck
{
    /// <summary>Every identity, in a fixed order; each is there even when it holds.</summary>
    public static async Task<BooksReport> RunAsync(IBookStore store, CancellationToken cancel = default)
    {
        var prices = new PriceBook(await store.ReadPricesAsync(cancel).ConfigureAwait(false));
        var costs = new CostBook(await store.ReadPoolRatesAsync(cancel).ConfigureAwait(false));
        Declarations declared = await Declarations.ReadAsync(store, cancel).ConfigureAwait(false);
        var identities = ImmutableArray.CreateBuilder<Identity>();

        UsageCheck usage = await UsageCheck.RunAsync(store, prices, costs, declared, cancel).ConfigureAwait(false);
        JournalCheck journal = await JournalCheck.RunAsync(store, cancel).ConfigureAwait(false);
        identities.AddRange(journal.Identities(usage));
        identities.AddRange(usage.Identities());
        identities.AddRange(await CapacityCheck.RunAsync(store, costs, usage, journal, cancel).ConfigureAwait(false));
        identities.AddRange(await DeclaredCheck.RunAsync(store, declared, cancel).ConfigureAwait(false));
        identities.Add(await StoreIsSoundAsync(store, cancel).ConfigureAwait(false));
        return new BooksReport(identities.ToImmutable());
    }

    private static async Task<Identity> StoreIsSoundAsync(IBookStore store, CancellationToken cancel)
    {
        ImmutableArray<string> faults = await store.VerifyAsync(cancel).ConfigureAwait(false);
        return new Identity("store is sound", "", "faults the store found in itself", faults.Length, "none", 0, IdentityUnit.Of("faults"), [.. faults.Take(Identity.FindingsMax)]);
    }
}

/// <summary>Collects what is wrong, up to a limit.</summary>
internal sealed class Findings
{
    private readonly List<string> texts = [];

    public long Count { get; private set; }
    public ImmutableArray<string> Texts => [.. texts];

    public void Add(string text)
    {
        Count++;
        if (texts.Count < Identity.FindingsMax) texts.Add(text);
    }
}
