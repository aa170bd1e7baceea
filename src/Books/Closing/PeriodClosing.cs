using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>How closing a period went. Closed: null when it was refused; the problems say why.</summary>
public sealed record ClosingResult(PeriodClosed? Closed, ImmutableArray<string> Problems);

/// <summary>Closes a period: posts what is settled and what is due, checks the books, and declares the period closed. Interrupted anywhere, it is run again to the same result.</summary>
public static class PeriodClosing
{
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

        await bookkeeper.PostAsync(cancel).ConfigureAwait(false);
        await PeriodEnd.PostAsync(store, through, cancel).ConfigureAwait(false);
        // Every figure is made again from the facts; whether the store's own files are sound is asked by qanat books check.
        BooksReport report = await BooksCheck.RunAsync(store, withStore: false, cancel).ConfigureAwait(false);
        if (!report.IsOk) return new ClosingResult(null, [.. report.Identities.Where(i => !i.IsOk).Select(i => $"{i.Name} {i.Subject}: {i.LeftText} against {i.RightText}. {string.Join(' ', i.Findings)}".TrimEnd())]);

        var closed = new PeriodClosed(name, through, PeriodClosed.DigestOf(await Qanat.Books.Statements.TrialBalanceAsync(store, through, cancel).ConfigureAwait(false)));
        Declaration declaration = Declaration.Of(closed.ToText(), declaredAt);
        await store.AppendAsync(new Together([new Declared(declaration), new Audited(new AuditEntry(declaredAt, who, "close", name, null, declaration.Text))]), cancel).ConfigureAwait(false);
        return new ClosingResult(closed, []);
    }

    /// <summary>Why the period cannot be closed yet; null: it can.</summary>
    private static async Task<string?> OpenReasonAsync(IBookStore store, Instant through, CancellationToken cancel)
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
