using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>A final invoice and what became of it by an instant.</summary>
public sealed record InvoiceStatus(FinalInvoice Invoice, InvoiceState State, Money Credited, Money Paid)
{
    /// <summary>What is still owed.</summary>
    public Money Open => State == InvoiceState.Void ? Money.Zero(Invoice.Total.Currency) : Invoice.Total - Credited - Paid;
}

/// <summary>All final invoices, and the postings they, their credit notes and their payments make due.</summary>
public static class InvoiceRegister
{
    public static ImmutableArray<InvoiceStatus> At(Declarations declared, Instant at) => [.. declared.Invoices.OrderBy(i => i.Number, StringComparer.Ordinal).Select(invoice => new InvoiceStatus(invoice,
        declared.InvoiceVoids.Any(v => v.Number == invoice.Number && v.At < at) ? InvoiceState.Void : InvoiceState.Final,
        Sum(invoice, declared.CreditNotes.Where(n => n.Invoice == invoice.Number && n.At < at).Select(n => n.Amount)),
        Sum(invoice, declared.Payments.Where(p => p.Invoice == invoice.Number && p.At < at).Select(p => p.Amount))))];

    internal static IEnumerable<Due> Dues(Declarations declared, Instant at)
    {
        foreach (InvoiceStatus status in At(declared, at).Where(s => declared.IsDeclaredBefore(s.Invoice, at)))
        {
            FinalInvoice invoice = status.Invoice;
            bool counts = status.State == InvoiceState.Final;
            Money zero = Money.Zero(invoice.Total.Currency);
            var tenant = new Dimensions(Tenant: invoice.Tenant);
            yield return new Due("invoice", $"invoice {invoice.Number}", Accounts.Invoiced.Below(invoice.Number), Accounts.Receivables, tenant, counts ? invoice.Total : zero);
            yield return new Due("rounding", $"rounding of invoice {invoice.Number}", Accounts.Rounding.Below(invoice.Number), Accounts.Receivables, tenant, counts ? invoice.Exact - invoice.Total : zero);
            yield return new Due("credit note", $"credit on invoice {invoice.Number}", Accounts.Invoiced.Below(invoice.Number).Below("credited"), Accounts.CreditNotes, tenant, counts ? -status.Credited : zero);
            yield return new Due("payment", $"payment of invoice {invoice.Number}", Accounts.Invoiced.Below(invoice.Number).Below("paid"), Accounts.Cash, tenant, -status.Paid);
        }
        foreach (PaymentMade paid in declared.PaymentsMade.Where(p => p.At < at))
        {
            // What an upstream is owed grows with the requests it serves; everything else is owed by bills.
            Account owed = paid.Nature switch { null => Accounts.Payables, "upstream" => Accounts.AccruedUpstream, { } nature => Accounts.Payables.Below(nature) };
            yield return new Due("payment made", $"payment {paid.Name}", owed.Below("paid"), Accounts.Cash, new Dimensions(Pool: paid.Pool), paid.Amount);
        }
        foreach (Capital capital in declared.Capital.Where(c => c.At < at))
            yield return new Due("capital", $"contribution {capital.Name}", Accounts.Capital.Below(capital.Name), Accounts.Cash, Dimensions.None, -capital.Amount);
    }

    /// <summary>Every final invoice made again from the journal.</summary>
    internal static async Task<Identity> CheckAsync(IBookReader store, Declarations declared, CancellationToken cancel)
    {
        var wrong = new Findings();
        long count = 0;
        foreach (FinalInvoice invoice in declared.Invoices.Where(i => !declared.IsVoid(i.Number)))
        {
            count++;
            Invoice again = await Invoice.DraftAsync(store, invoice.Number, invoice.Tenant, invoice.Period, invoice.Total.Currency, cancel: cancel).ConfigureAwait(false);
            if (again.Exact != invoice.Exact) wrong.Add($"Invoice {invoice.Number} is about {invoice.Exact}; the journal makes {again.Exact}.");
        }
        return new Identity("invoices re-derive", "", "final invoices", count, "of them equal to the journal of their period", count - wrong.Count, IdentityUnit.Of("invoices"), wrong.Texts);
    }

    private static Money Sum(FinalInvoice invoice, IEnumerable<Money> amounts) => amounts.Aggregate(Money.Zero(invoice.Total.Currency), (sum, amount) => sum + amount);
}
