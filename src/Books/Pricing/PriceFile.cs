using System.Collections.Immutable;
using System.Text;

namespace Qanat.Books;

/// <summary>One price of a file: as a <see cref="PriceVersion"/>, before it has an id.</summary>
public sealed record PriceEntry(ModelName? Model, TenantId? Tenant, Instant From, TokenRates Rates, PriceTerms Terms, string Source, bool IsAssumption)
{
    /// <summary>The version with which this price enters the books.</summary>
    public PriceVersion ToVersion(PriceVersionId id, Instant addedAt) => new(id, From, Model, Tenant, Rates, IsAssumption, Source, addedAt, Terms == PriceTerms.None ? null : Terms);

    /// <summary>What it is a price of, e.g. "qwen-plus from 2026-10-01".</summary>
    public string Subject => $"{Model?.Value ?? "*"}{(Tenant is { } tenant ? $" tenant {tenant}" : "")} from {FactValue.Text(From)}";
}

/// <summary>A mistake in a price file. Line and column from 1.</summary>
public sealed record PriceFileError(int Line, int Column, string Problem);

/// <summary>How one price differs between two files.</summary>
public enum PriceChangeKind { Added, Removed, Changed }

/// <param name="Before">Null: added.</param> <param name="After">Null: removed.</param>
public sealed record PriceChange(PriceChangeKind Kind, string Subject, string? Before, string? After);

/// <summary>What reading a price file gave: a file, or what is wrong with the text.</summary>
public sealed record PriceFileResult(PriceFile? File, ImmutableArray<PriceFileError> Errors);

/// <summary>A price list as text that can be reviewed, versioned and compared. See the README of this folder for the language.</summary>
public sealed record PriceFile(string Source, Currency Currency, ImmutableArray<PriceEntry> Entries)
{
    /// <summary>Mistakes reported at once.</summary>
    public const int ErrorsMax = 100;

    /// <summary>Reads a file. Every mistake is reported with its place, not only the first.</summary>
    public static PriceFileResult Parse(string text)
    {
        var errors = ImmutableArray.CreateBuilder<PriceFileError>();
        var entries = ImmutableArray.CreateBuilder<PriceEntry>();
        string source = "";
        Currency currency = Currency.Usd;
        try
        {
            foreach (FactLine line in FactLine.ReadAll(text))
            {
                try
                {
                    switch (line.Verb)
                    {
                        case "source": source = line.Word(1, "The source"); break;
                        case "currency": currency = ReadCurrency(line, entries.Count); break;
                        case "price": entries.Add(ReadEntry(line, currency, source)); continue;
                        default: throw line.Wrong($"'{line.Verb}' is not a statement of a price file: use source, currency or price.");
                    }
                    line.EnsureAllUsed();
                }
                catch (FactFormatException wrong)
                {
                    if (errors.Count < ErrorsMax) errors.Add(new PriceFileError(wrong.Line, wrong.Column, wrong.Problem));
                }
            }
        }
        catch (FactFormatException wrong)
        {
            errors.Add(new PriceFileError(wrong.Line, wrong.Column, wrong.Problem));
        }
        return errors.Count > 0 ? new PriceFileResult(null, errors.ToImmutable()) : Distinct(new PriceFile(source, currency, entries.ToImmutable()));
    }

    /// <summary>The text that <see cref="Parse"/> reads: the same prices always give the same text.</summary>
    public string Write()
    {
        var text = new StringBuilder();
        if (Source.Length > 0) text.Append("source ").Append(FactLine.Quote(Source)).Append('\n');
        text.Append("currency ").Append(Currency).Append('\n');
        foreach (PriceEntry entry in Entries.OrderBy(e => e.Subject, StringComparer.Ordinal))
        {
            text.Append("\nprice ").Append(FactLine.Quote(entry.Model?.Value ?? "*")).Append(" from ").Append(FactValue.Text(entry.From));
            if (entry.Tenant is { } tenant) text.Append(" tenant ").Append(tenant);
            if (entry.IsAssumption) text.Append(" assumption");
            if (entry.Source != Source) text.Append(" note ").Append(FactLine.Quote(entry.Source));
            text.Append("\n  ").Append(entry.Rates).Append('\n');
            string terms = entry.Terms.ToString().Replace(" above ", "\n  above ", StringComparison.Ordinal);
            if (terms.Length > 0) text.Append("  ").Append(terms).Append('\n');
        }
        return text.ToString();
    }

    /// <summary>What is priced differently in another file, by subject. Sources and order do not count.</summary>
    public ImmutableArray<PriceChange> Diff(PriceFile later)
    {
        var before = Entries.ToDictionary(e => e.Subject, StringComparer.Ordinal);
        var after = later.Entries.ToDictionary(e => e.Subject, StringComparer.Ordinal);
        var changes = ImmutableArray.CreateBuilder<PriceChange>();
        foreach (string subject in before.Keys.Union(after.Keys).Order(StringComparer.Ordinal))
        {
            string? old = before.TryGetValue(subject, out PriceEntry? b) ? Text(b) : null, next = after.TryGetValue(subject, out PriceEntry? a) ? Text(a) : null;
            if (old == next) continue;
            changes.Add(new PriceChange(old is null ? PriceChangeKind.Added : next is null ? PriceChangeKind.Removed : PriceChangeKind.Changed, subject, old, next));
        }
        return changes.ToImmutable();
    }

    private static string Text(PriceEntry entry) => $"{entry.Rates.Currency} {entry.Rates} {entry.Terms}".TrimEnd();

    private static Currency ReadCurrency(FactLine line, int entries)
    {
        if (entries > 0) throw line.Wrong("'currency' must stand before the first price.");
        try
        {
            return new Currency(line.Word(1, "The currency"));
        }
        catch (ArgumentException)
        {
            throw line.Wrong($"'{line.Word(1, "")}' is not a currency code: use three capital letters, such as USD.");
        }
    }

    private static PriceEntry ReadEntry(FactLine line, Currency currency, string source)
    {
        ImmutableArray<FactLine> parts = line.Cut("above");
        FactLine first = parts[0];
        string model = first.Word(1, "The model, or * for any,");
        TokenRates rates = TokenRates.Read(first, currency);
        PriceTerms terms = PriceTerms.Read(parts, currency);
        var entry = new PriceEntry(model == "*" ? null : new ModelName(model), first.FindTenant(), first.Time("from"), rates, terms, first.Find("note") ?? source, first.Has("assumption"));
        try
        {
            rates.EnsureValid();
            terms.EnsureValid(currency);
        }
        catch (ArgumentException wrong)
        {
            throw line.Wrong(wrong.Message);
        }
        foreach (FactLine part in parts) part.EnsureAllUsed();
        return entry;
    }

    private static PriceFileResult Distinct(PriceFile file)
    {
        ImmutableArray<PriceFileError> twice = [.. file.Entries.GroupBy(e => e.Subject, StringComparer.Ordinal).Where(g => g.Skip(1).Any())
            .Select(g => new PriceFileError(1, 1, $"'{g.Key}' is priced twice: one price for a model, tenant and date."))];
        return twice.IsEmpty ? new PriceFileResult(file, []) : new PriceFileResult(null, twice);
    }
}
