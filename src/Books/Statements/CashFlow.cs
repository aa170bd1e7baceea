using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>Where the cash of a period came from and went, by the direct method, in one currency.</summary>
/// <param name="Lines">By kind of event, in the order of their names.</param>
/// <param name="Exchange">Exchanged for, or from, other currencies.</param>
public sealed record CashFlow(Period Period, Money Opening, Money Operating, Money Investing, Money Financing, Money Exchange, ImmutableArray<CashFlowLine> Lines)
{
    /// <summary>The balance of the cash account at the end: the sum of everything here.</summary>
    public Money Closing => Opening + Operating + Investing + Financing + Exchange;

    /// <summary>One for each currency that ever was cash.</summary>
    public static async Task<ImmutableArray<CashFlow>> ReadAsync(IBookReader store, Period period, CancellationToken cancel = default)
    {
        var flows = new SortedDictionary<string, CashFlow>(StringComparer.Ordinal);
        foreach (EntrySum sum in (await store.SumEntriesAsync(new SumQuery(new Period(Period.All.From, period.From), GroupBy.None), cancel).ConfigureAwait(false)).Where(s => s.Account == Accounts.Cash))
            flows[sum.Amount.Currency.Code] = Empty(period, sum.Amount);
        await foreach (Transaction transaction in store.StreamJournalAsync(new JournalQuery(period, Accounts.Cash), cancel).ConfigureAwait(false))
        {
            foreach (Entry entry in transaction.Entries.Where(e => e.Account == Accounts.Cash))
            {
                CashFlow flow = flows.GetValueOrDefault(entry.Amount.Currency.Code) ?? Empty(period, Money.Zero(entry.Amount.Currency));
                flows[entry.Amount.Currency.Code] = flow.With(transaction, entry.Amount);
            }
        }
        return [.. flows.Values];
    }

    private static CashFlow Empty(Period period, Money opening)
    {
        Money zero = Money.Zero(opening.Currency);
        return new CashFlow(period, opening, zero, zero, zero, zero, []);
    }

    private CashFlow With(Transaction transaction, Money amount)
    {
        CashFlowLine? line = Lines.FirstOrDefault(l => l.Event == transaction.Template);
        CashFlow next = this with
        {
            Lines = [.. (line is null ? Lines : Lines.Remove(line)).Add(new CashFlowLine(transaction.Template, (line?.Amount ?? Money.Zero(amount.Currency)) + amount)).OrderBy(l => l.Event, StringComparer.Ordinal)],
        };
        return KindOf(transaction) switch
        {
            CashFlowKind.Investing => next with { Investing = Investing + amount },
            CashFlowKind.Financing => next with { Financing = Financing + amount },
            CashFlowKind.Exchange => next with { Exchange = Exchange + amount },
            _ => next with { Operating = Operating + amount },
        };
    }

    /// <summary>By the other side of the transaction: assets bought and sold are investing, owners' money is financing, everything else is operating.</summary>
    private static CashFlowKind KindOf(Transaction transaction)
    {
        bool Touches(Account account) => transaction.Entries.Any(e => e.Account.IsUnder(account));
        if (Touches(Accounts.CurrencyExchange)) return CashFlowKind.Exchange;
        if (Touches(Accounts.Capital)) return CashFlowKind.Financing;
        return Touches(Accounts.RetiredEquipment) || Touches(Accounts.Payables.Below("paid")) ? CashFlowKind.Investing : CashFlowKind.Operating;
    }

    private enum CashFlowKind { Operating, Investing, Financing, Exchange }
}

/// <summary>Cash moved by one kind of event.</summary>
public sealed record CashFlowLine(string Event, Money Amount);
