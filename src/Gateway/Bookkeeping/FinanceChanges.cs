using System.Collections.Immutable;
using System.Globalization;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Everything finance people change: declarations, invoices, the end of periods, prices, re-rating. Each change is written together with its line in the audit log, and
/// what it makes due is posted at once. The admin API and the pages both come here.</summary>
public sealed class FinanceChanges(TariffState tariffs, DirectoryState directory, BooksPoster poster, TimeProvider clock)
{
    /// <summary>Statements that only their own commands make, because they must be checked against the books.</summary>
    private static readonly ImmutableArray<string> MadeByCommands = ["close", "invoice"];

    /// <summary>Reads statements; tenants may stand there by their names.</summary>
    /// <exception cref="ApiException">400: a statement is not understood, or refers to something that is not there; the message says where.</exception>
    public ImmutableArray<Declaration> Read(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        Instant now = Instant.Now(clock);
        try
        {
            return [.. FactLine.ReadAll(text).Select(line => ReadLine(line, now))];
        }
        catch (Exception wrong) when (wrong is FormatException or ArgumentException or OverflowException)
        {
            throw Refusal.Value("text", wrong.Message);
        }
    }

    /// <summary>Declares statements, all or none, and posts what they make due. What is declared already changes nothing.</summary>
    /// <exception cref="ApiException">As <see cref="Read"/>; 409: a name is taken by a fact that differs.</exception>
    public async Task<ImmutableArray<Declaration>> DeclareAsync(string who, string text, CancellationToken cancel)
    {
        ImmutableArray<Declaration> read = Read(text);
        if (read.IsEmpty) throw Refusal.Value("text", "it holds no statement.");
        if (read.FirstOrDefault(each => MadeByCommands.Contains(KindOf(each))) is { } made)
            throw Refusal.Value("text", $"'{KindOf(made)}' is not declared by hand: use qanat books close or qanat invoice finalize.");
        await DeclareAsync(who, _ => read, cancel);
        Instant now = Instant.Now(clock);
        await poster.PostDuesSinceAsync(read.Select(each => CountsSince(each) ?? now).Min(), now, cancel);
        return read;
    }

    /// <summary>An invoice as the books stand.</summary>
    public Task<Invoice> DraftAsync(string number, TenantId tenant, Period period, Currency currency, CancellationToken cancel) =>
        poster.PostThenAsync(books => Invoice.DraftAsync(books, number, tenant, period, currency, cancel: cancel), cancel);

    /// <summary>Makes an invoice final: its number, period and total never change from then on.</summary>
    /// <param name="number">Null: the next one of its year.</param>
    /// <exception cref="ApiException">409: the period is not closed, the number is taken, a part of the period is invoiced already, or there is nothing to invoice.</exception>
    public async Task<Invoice> FinaliseAsync(string who, string? number, TenantId tenant, Period period, Currency currency, CancellationToken cancel)
    {
        Invoice draft = await DraftAsync(number ?? NextNumber(period), tenant, period, currency, cancel);
        if (draft.Lines.IsEmpty) throw Conflict("nothing_to_invoice", "There is nothing to invoice: no charge of this tenant in this period and currency.");
        try
        {
            await DeclareAsync(who, declared =>
            {
                Invoice final = number is null ? draft with { Number = NextNumber(period) } : draft;
                draft = final with { State = InvoiceState.Final };
                return [final.Finalise(declared, Instant.Now(clock))];
            }, cancel);
        }
        catch (InvalidOperationException refused)
        {
            throw Conflict("invoice_refused", refused.Message);
        }
        await PostDuesAsync(cancel);
        return draft;
    }

    /// <summary>Closes everything before an instant, after posting and checking it.</summary>
    /// <exception cref="ApiException">409: it cannot be closed; the message says why.</exception>
    public async Task<PeriodClosed> CloseAsync(string who, string name, Instant through, CancellationToken cancel)
    {
        if (through > Instant.Now(clock)) throw Conflict("close_refused", "The period is not over yet.");
        ClosingResult result = await poster.CloseAsync(name, through, Instant.Now(clock), who, cancel);
        await tariffs.RefreshAsync(cancel);
        return result.Closed ?? throw Conflict("close_refused", string.Join(' ', result.Problems));
    }

    /// <summary>By how much a re-rating would change the charges of each tenant and model. Nothing is written.</summary>
    public Task<ImmutableArray<RepriceLine>> PreviewAsync(string statement, CancellationToken cancel)
    {
        Rerating rerating = ReratingOf(statement);
        Declarations declared = tariffs.Declared;
        return poster.PostThenAsync(books => RepriceLine.ReadAsync(books, rerating, declared, tariffs.Prices, cancel), cancel);
    }

    /// <summary>Adds all prices of a file that are not in the books yet, or none. A price that is there with the same figures is left alone.</summary>
    /// <exception cref="ApiException">400: the file has mistakes.</exception>
    public async Task<ImmutableArray<PriceVersion>> ImportPricesAsync(string who, PriceFile file, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(file);
        Instant now = Instant.Now(clock);
        var current = PriceFiles.Current(tariffs.Prices).ToDictionary(entry => entry.Subject, StringComparer.Ordinal);
        ImmutableArray<PriceVersion> added = [.. file.Entries
            .Where(entry => !current.TryGetValue(entry.Subject, out PriceEntry? same) || PriceFiles.FigureOf(same) != PriceFiles.FigureOf(entry))
            .Select(entry => entry.ToVersion(PriceVersionId.New(clock), now))];
        if (added.IsEmpty) return added;
        await tariffs.AddPricesAsync(added, [.. added.Select(version => new AuditEntry(now, who, "price.import", SubjectOf(version), BeforeOf(version), PriceFiles.FigureOf(version)))], cancel);
        return added;
    }

    /// <summary>Posts everything that is due now, so that statements hold what was just declared.</summary>
    public Task PostDuesAsync(CancellationToken cancel) => poster.PostDuesAsync(Instant.Now(clock), cancel);

    /// <summary>A statement with the names of tenants instead of their ids.</summary>
    public string WithNames(string statement) =>
        FactLine.Read(statement).With("tenant", id => Guid.TryParse(id, out Guid tenant) ? directory.Current.FindTenant(new TenantId(tenant))?.Name ?? id : id).Text;

    public static string KindOf(Declaration declaration)
    {
        ArgumentNullException.ThrowIfNull(declaration);
        return FactLine.Read(declaration.Text).Verb;
    }

    public static string NameOf(Declaration declaration)
    {
        ArgumentNullException.ThrowIfNull(declaration);
        return FactLine.Read(declaration.Text).Word(1, "The name");
    }

    /// <summary>When a cost fact begins to count; null: from its declaration on.</summary>
    private static Instant? CountsSince(Declaration declaration)
    {
        FactLine line = FactLine.Read(declaration.Text);
        return line.Verb switch
        {
            "bill" or "staff" or "tariff" or "power" or "energy" or "training" => line.FindTime("from"),
            "asset" => line.FindTime("in-service"),
            "asset-revised" or "asset-retired" or "model-retired" => line.FindTime("at"),
            _ => null,
        };
    }

    private Declaration ReadLine(FactLine line, Instant now)
    {
        FactLine named = line.With("tenant", name => Guid.TryParse(name, out _) ? name : directory.Current.FindTenant(name)?.Id.ToString() ?? throw line.Wrong($"There is no tenant '{name}'."));
        Declaration declaration = Declaration.Of(named.Text, now);
        return DeclarationRules.Problem(named, tariffs.Declared, tariffs.Prices) is { } problem ? throw line.Wrong(problem) : declaration;
    }

    private async Task DeclareAsync(string who, Func<Declarations, ImmutableArray<Declaration>> decide, CancellationToken cancel)
    {
        Declarations before = tariffs.Declared;
        try
        {
            await tariffs.DeclareAsync(decide, each => new AuditEntry(each.At, who, KindOf(each) + ".declare", NameOf(each), PredecessorOf(each, before), WithNames(each.Text)), cancel);
        }
        catch (ArgumentException taken)
        {
            throw Conflict("name_taken", taken.Message);
        }
    }

    /// <summary>What held before a fact that takes the place of an earlier one: of the same kind, about the same tenant, pool or asset.</summary>
    private string? PredecessorOf(Declaration declaration, Declarations before)
    {
        FactLine line = FactLine.Read(declaration.Text);
        string? subject = line.Verb switch
        {
            "contract" => line.Find("tenant"),
            "power" => line.Find("pool"),
            "asset-revised" or "segment" or "rerate" => line.Word(1, "The name"),
            "tariff" => "",
            _ => null,
        };
        if (subject is null) return null;
        Declaration? last = before.All.LastOrDefault(each => FactLine.Read(each.Text) is var other && other.Verb == line.Verb &&
            (subject.Length == 0 || other.Find("tenant") == subject || other.Find("pool") == subject || other.Word(1, "The name") == subject));
        return last is null ? null : WithNames(last.Text);
    }

    private Rerating ReratingOf(string statement)
    {
        ImmutableArray<Declaration> read = Read(statement);
        return read is [var one] && KindOf(one) == "rerate" ? new Declarations([one]).Reratings[0] : throw Refusal.Value("text", "it must be one 'rerate' statement.");
    }

    private string NextNumber(Period period)
    {
        string year = period.From.ToDateTimeOffset().Year.ToString(CultureInfo.InvariantCulture);
        int last = tariffs.Declared.Invoices.Select(invoice => invoice.Number.Split('-')).Where(parts => parts.Length == 2 && parts[0] == year)
            .Select(parts => int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out int number) ? number : 0).DefaultIfEmpty(0).Max();
        return string.Create(CultureInfo.InvariantCulture, $"{year}-{last + 1:D4}");
    }

    private string SubjectOf(PriceVersion version) =>
        $"{version.Model?.Value ?? "any model"}, {(version.Tenant is { } tenant ? directory.Current.FindTenant(tenant)?.Name ?? tenant.ToString() : "any tenant")}";

    private string? BeforeOf(PriceVersion version) =>
        tariffs.Prices.Versions.LastOrDefault(each => each.Model == version.Model && each.Tenant == version.Tenant && each.EffectiveFrom <= version.EffectiveFrom) is { } before ? PriceFiles.FigureOf(before) : null;

    private static ApiException Conflict(string code, string message) => new(409, Refusal.InvalidRequest, code, message);
}
