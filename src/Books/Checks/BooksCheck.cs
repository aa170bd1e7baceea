using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>Recomputes the books from their facts and compares. Streams: memory does not grow with the number of records. Where others write meanwhile, check a snapshot.</summary>
public static class BooksCheck
{
    /// <summary>Every identity, in a fixed order; each is there even when it holds.</summary>
    public static Task<BooksReport> RunAsync(IBookReader store, CancellationToken cancel = default) => RunAsync(store, withStore: true, cancel);

    /// <param name="withStore">Also let the store look at itself, file and indexes included.</param>
    internal static async Task<BooksReport> RunAsync(IBookReader store, bool withStore, CancellationToken cancel)
    {
        var prices = new PriceBook(await store.ReadPricesAsync(cancel).ConfigureAwait(false));
        var costs = new CostBook(await store.ReadPoolRatesAsync(cancel).ConfigureAwait(false));
        Declarations declared = await Declarations.ReadAsync(store, cancel).ConfigureAwait(false);
        var identities = ImmutableArray.CreateBuilder<Identity>();

        var usage = new UsageCheck(prices, costs, declared);
        var journal = new JournalCheck();
        await foreach (Posting posting in store.StreamPostingsAsync(cancel).ConfigureAwait(false))
        {
            journal.Add(posting);
            foreach (UsageRecord record in posting.Records) usage.Add(record, isPosted: true);
        }
        await foreach (UsageRecord record in store.StreamUsageAsync(new UsageQuery(Period.All, Posted: false), cancel).ConfigureAwait(false))
            usage.Add(record, isPosted: false);
        await usage.CompleteAsync(store, cancel).ConfigureAwait(false);
        await journal.CompleteAsync(store, cancel).ConfigureAwait(false);
        identities.AddRange(journal.Identities(usage));
        identities.AddRange(usage.Identities());
        identities.AddRange(await CapacityCheck.RunAsync(store, costs, usage, journal, cancel).ConfigureAwait(false));
        identities.AddRange(await DeclaredCheck.RunAsync(store, declared, cancel).ConfigureAwait(false));
        if (withStore) identities.Add(await StoreIsSoundAsync(store, cancel).ConfigureAwait(false));
        return new BooksReport(identities.ToImmutable()) { UsageMissing = usage.UsageMissing, UsageDiffers = usage.UsageDiffers };
    }

    private static async Task<Identity> StoreIsSoundAsync(IBookReader store, CancellationToken cancel)
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
