using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>How closing a period went. Closed: null when it was refused; the problems say why.</summary>
public sealed record ClosingResult(PeriodClosed? Closed, ImmutableArray<string> Problems);

/// <summary>Closes a period: posts what is settled and what is due, checks the books, and declares the period closed. Interrupted anywhere, it is run again to the same result. Requests are served and metered meanwhile:
/// what is due, and the check, are made from the books as of one commit each.</summary>
public static class PeriodClosing
{
    /// <summary>So often it is posted once more because a record of the period came meanwhile. What comes still later is posted as late.</summary>
    private const int PostingsMax = 3;

    /// <summary>Closes everything before an instant.</summary>
    /// <param name="bookkeeper">The one of this store.</param> <param name="declaredAt">When the close is declared, and by whom (for the audit log).</param>
    /// <exception cref="StoreException">Something could not be written; what is written stays, run it again.</exception>
    public static async Task<ClosingResult> CloseAsync(IBookStore store, Bookkeeper bookkeeper, string name, Instant through, Instant declaredAt, string who, CancellationToken cancel = default)
    {
        Declarations declared = await Declarations.ReadAsync(store, cancel).ConfigureAwait(false);
        if (declared.Closes.FirstOrDefault(c => c.Name == name) is { } earlier)
            return earlier.Through == through ? new ClosingResult(earlier, []) : new ClosingResult(null, [$"A period '{name}' is closed through {earlier.Through} already."]);
        if (through <= declared.ClosedThrough) return new ClosingResult(null, [$"Everything before {declared.ClosedThrough} is closed already."]);
        if (await OpenReasonAsync(store, through, cancel).ConfigureAwait(false) is { } reason) return new ClosingResult(null, [reason]);

        await PostAsync(store, bookkeeper, through, cancel).ConfigureAwait(false);
        IBookSnapshot books = await store.SnapshotAsync(cancel).ConfigureAwait(false);
        Declaration declaration;
        PeriodClosed closed;
        await using (books.ConfigureAwait(false))
        {
            // Every figure is made again from the facts; whether the store's own files are sound is asked by qanat books check.
            BooksReport report = await BooksCheck.RunAsync(books, withStore: false, cancel).ConfigureAwait(false);
            if (!report.IsOk) return new ClosingResult(null, [.. report.Identities.Where(i => !i.IsOk).Select(i => $"{i.Name} {i.Subject}: {i.LeftText} against {i.RightText}. {string.Join(' ', i.Findings)}".TrimEnd())]);
            closed = new PeriodClosed(name, through, PeriodClosed.DigestOf(await Qanat.Books.Statements.TrialBalanceAsync(books, through, cancel).ConfigureAwait(false)));
            declaration = Declaration.Of(closed.ToText(), declaredAt);
        }
        await store.AppendAsync(new Together([new Declared(declaration), new Audited(new AuditEntry(declaredAt, who, "close", name, null, declaration.Text))]), cancel).ConfigureAwait(false);
        return new ClosingResult(closed, []);
    }

    /// <summary>Posts the period's usage, and then what is due by the same books.</summary>
    private static async Task PostAsync(IBookStore store, Bookkeeper bookkeeper, Instant through, CancellationToken cancel)
    {
        for (int posting = 1; ; posting++)
        {
            await bookkeeper.PostAsync(cancel).ConfigureAwait(false);
            IBookSnapshot books = await store.SnapshotAsync(cancel).ConfigureAwait(false);
            await using (books.ConfigureAwait(false))
            {
                if (posting < PostingsMax && await HasUnpostedAsync(books, through, cancel).ConfigureAwait(false)) continue;
                await PeriodEnd.PostAsync(store, books, through, cancel).ConfigureAwait(false);
                return;
            }
        }
    }

    private static async Task<bool> HasUnpostedAsync(IBookReader books, Instant through, CancellationToken cancel)
    {
        await foreach (UsageRecord _ in books.StreamUsageAsync(new UsageQuery(new Period(Period.All.From, through), Posted: false), cancel).ConfigureAwait(false)) return true;
        return false;
    }

    /// <summary>Why the period cannot be closed yet; null: it can.</summary>
    private static async Task<string?> OpenReasonAsync(IBookReader store, Instant through, CancellationToken cancel)
    {
        if ((await store.ReadDirectoryAsync(cancel).ConfigureAwait(false)).Tenants.Any(t => t.IsDemo)) return "There are demo tenants: clear the demo first, it cannot be removed from a closed period.";
        var costs = new CostBook(await store.ReadPoolRatesAsync(cancel).ConfigureAwait(false));
        foreach (PoolName pool in costs.Pools)
        {
            Instant? end = null;
            await foreach (CapacityRecord record in store.StreamCapacityAsync(pool, Period.All, cancel).ConfigureAwait(false)) end = record.To;
            if (end < through) return $"The time of pool '{pool}' is recorded only up to {end}: wait until it is known up to {through}.";
        }
        return null;
    }
}
