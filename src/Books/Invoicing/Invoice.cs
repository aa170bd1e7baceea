using System.Collections.Immutable;

namespace Qanat.Books;

public enum InvoiceState { Draft, Final, Void }

/// <summary>One line: an account's entries about one project and model. Amount is in the currency's smallest units; the lines' amounts sum to the total, their exact figures to its exact one.</summary>
public sealed record InvoiceLine(string Text, ProjectId? Project, ModelName? Model, TokenCounts Tokens, Money Exact, Money Amount);

/// <summary>What a tenant owes for a period: charges and adjustments dated in it, less what was drawn from credit.</summary>
public sealed record Invoice(string Number, InvoiceState State, TenantId Tenant, Period Period, ImmutableArray<InvoiceLine> Lines, Money Exact, Money Total)
{
    /// <summary>What rounding added or took; it goes to an account of its own.</summary>
    public Money Rounding => Total - Exact;

    /// <summary>The invoice as the books stand. Nothing is stored; <see cref="Finalise"/> gives the fact that makes it final.</summary>
    /// <param name="decimals">Of the currency's smallest unit: 2 for cents.</param>
    public static async Task<Invoice> DraftAsync(IBookReader store, string number, TenantId tenant, Period period, Currency currency, int decimals = 2, CancellationToken cancel = default)
    {
        var query = new SumQuery(period, GroupBy.Project | GroupBy.Model, tenant);
        ImmutableArray<EntrySum> entries = await store.SumEntriesAsync(query, cancel).ConfigureAwait(false);
        var tokens = (await store.SumUsageAsync(query, cancel).ConfigureAwait(false)).GroupBy(u => (u.Key.Project, u.Key.Model)).ToDictionary(g => g.Key, g => g.Aggregate(default(TokenCounts), (sum, u) => sum + u.Tokens));
        var exact = entries
            .Where(e => e.Amount.Currency == currency && (e.Account.IsUnder(Accounts.Revenue) && e.Account != Accounts.ExpiredCreditRevenue && e.Account != Accounts.CreditNotes || e.Account == Accounts.CreditsDrawn))
            .GroupBy(e => (e.Account, e.Key.Project, e.Key.Model))
            .OrderBy(g => g.Key.Account == Accounts.CreditsDrawn).ThenBy(g => g.Key.Project?.Value).ThenBy(g => g.Key.Model?.Value, StringComparer.Ordinal).ThenBy(g => g.Key.Account.Path, StringComparer.Ordinal)
            .Select(g => (g.Key, Amount: g.Aggregate(Money.Zero(currency), (sum, e) => sum - e.Amount)))
            .Where(l => !l.Amount.IsZero).ToList();

        var lines = ImmutableArray.CreateBuilder<InvoiceLine>();
        Money sum = Money.Zero(currency), rounded = sum;
        foreach (var (key, amount) in exact)
        {
            // Each line gets what the rounded running total grows by: within a smallest unit of its exact figure, and together exactly the rounded total.
            sum += amount;
            Money next = Rounded(sum, decimals);
            lines.Add(new InvoiceLine(key.Account.Path.Split(':')[^1], key.Project, key.Model, key.Account == Accounts.UsageRevenue ? tokens.GetValueOrDefault((key.Project, key.Model)) : default, amount, next - rounded));
            rounded = next;
        }
        return new Invoice(number, InvoiceState.Draft, tenant, period, lines.ToImmutable(), sum, rounded);
    }

    /// <summary>The fact that makes a draft final: its number, period and total never change from then on.</summary>
    /// <exception cref="InvalidOperationException">The period is not closed, the number is taken, or a part of the period is invoiced already.</exception>
    public Declaration Finalise(Declarations declared, Instant at)
    {
        if (Period.To > declared.ClosedThrough) throw new InvalidOperationException($"The period ends at {Period.To} and is closed only through {declared.ClosedThrough}: close it first.");
        if (declared.Invoices.Any(i => i.Number == Number)) throw new InvalidOperationException($"There already is an invoice {Number}: numbers are given once.");
        FinalInvoice? other = declared.Invoices.FirstOrDefault(i => i.Tenant == Tenant && i.Total.Currency == Total.Currency && i.Period.From < Period.To && Period.From < i.Period.To && !declared.IsVoid(i.Number));
        if (other is not null) throw new InvalidOperationException($"Invoice {other.Number} is about a part of this period: void it first.");
        return Declaration.Of(new FinalInvoice(Number, Tenant, Period, Exact, Total).ToText(), at);
    }

    /// <summary>To the smallest unit, half away from zero.</summary>
    private static Money Rounded(Money amount, int decimals) => Money.Parse(amount.ToRoundedText(decimals), amount.Currency);
}

/// <summary>An invoice that was sent.</summary>
public sealed record FinalInvoice(string Number, TenantId Tenant, Period Period, Money Exact, Money Total)
{
    internal static FinalInvoice Read(FactLine line)
    {
        Currency currency = line.Currency();
        return new(line.Word(1, "The invoice's number"), line.FindTenant() ?? throw line.Wrong("'tenant' is missing."), Bill.ReadPeriod(line), line.Money("exact", currency), line.Money("total", currency));
    }

    internal string ToText() =>
        $"invoice {Number} tenant {Tenant} from {FactValue.Text(Period.From)} to {FactValue.Text(Period.To)} exact {Exact.ToDecimalText()} total {Total.ToDecimalText()} currency {Total.Currency}";
}

/// <summary>A final invoice is taken back as a whole; its period may be invoiced again under another number.</summary>
public sealed record InvoiceVoided(string Number, Instant At, string Reason)
{
    internal static InvoiceVoided Read(FactLine line) => new(line.Word(1, "The invoice's number"), line.Time("at"), line.Need("reason"));
}

/// <summary>A part of a final invoice is forgiven.</summary>
public sealed record CreditNote(string Name, string Invoice, Instant At, Money Amount, string Reason)
{
    internal static CreditNote Read(FactLine line) => new(line.Word(1, "The credit note's name"), line.Need("invoice"), line.Time("at"), line.Money("amount", line.Currency()), line.Need("reason"));
}

/// <summary>Money came in for an invoice.</summary>
public sealed record Payment(string Name, string Invoice, Instant At, Money Amount)
{
    internal static Payment Read(FactLine line) => new(line.Word(1, "The payment's name"), line.Need("invoice"), line.Time("at"), line.Money("amount", line.Currency()));
}

/// <summary>Money went out for something owed: "hosting" and the like of a pool; without a nature, assets and training.</summary>
public sealed record PaymentMade(string Name, string? Nature, PoolName? Pool, Instant At, Money Amount)
{
    internal static PaymentMade Read(FactLine line) => new(line.Word(1, "The payment's name"), line.Find("for"), line.Find("pool", p => new PoolName(p)), line.Time("at"), line.Money("amount", line.Currency()));
}

/// <summary>Money that owners put in.</summary>
public sealed record Capital(string Name, Instant At, Money Amount)
{
    internal static Capital Read(FactLine line) => new(line.Word(1, "The contribution's name"), line.Time("at"), line.Money("amount", line.Currency()));
}
