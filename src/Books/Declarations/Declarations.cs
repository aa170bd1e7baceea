using System.Collections.Frozen;
using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>An immutable snapshot of everything declared, read from its text. Names are unique among facts of one kind.</summary>
public sealed class Declarations
{
    public static readonly Declarations Empty = new([]);

    private static readonly Dictionary<string, Func<FactLine, object>> Readers = new(StringComparer.Ordinal)
    {
        ["contract"] = Contract.Read,
        ["credit"] = Credit.Read,
        ["reservation"] = Reservation.Read,
        ["asset"] = Asset.Read,
        ["asset-revised"] = AssetRevised.Read,
        ["asset-retired"] = AssetRetired.Read,
        ["bill"] = Bill.Read,
        ["staff"] = Bill.ReadStaff,
        ["tariff"] = Tariff.Read,
        ["power"] = PowerProfile.Read,
        ["energy"] = EnergyReading.Read,
        ["close"] = PeriodClosed.Read,
        ["assert"] = BalanceAssertion.Read,
        ["exchange"] = Exchange.Read,
        ["rerate"] = Rerating.Read,
        ["training"] = TrainingRun.Read,
        ["model-retired"] = ModelRetired.Read,
        ["invoice"] = FinalInvoice.Read,
        ["invoice-void"] = InvoiceVoided.Read,
        ["credit-note"] = CreditNote.Read,
        ["payment"] = Payment.Read,
        ["payment-made"] = PaymentMade.Read,
        ["capital"] = Qanat.Books.Capital.Read,
        ["segment"] = SegmentMember.Read,
    };

    private readonly ImmutableArray<object> facts;
    private readonly Dictionary<object, Instant> declaredAt = new(ReferenceEqualityComparer.Instance);
    private readonly FrozenDictionary<TenantId, ImmutableArray<Contract>> contracts;

    /// <exception cref="FactFormatException">A text is not understood.</exception>
    /// <exception cref="ArgumentException">Two facts of one kind have the same name and differ.</exception>
    public Declarations(IEnumerable<Declaration> declarations)
    {
        All = [.. declarations.DistinctBy(d => d.Id).OrderBy(d => d.At).ThenBy(d => d.Id.Value)];
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        var read = ImmutableArray.CreateBuilder<object>();
        foreach (Declaration declaration in All)
        {
            FactLine line = FactLine.Read(declaration.Text);
            object fact = Read(line);
            if (fact is not IUnnamed && !names.TryAdd($"{line.Verb} {line.Word(1, "The name")}", declaration.Text))
                throw new ArgumentException($"There already is a {line.Verb} '{line.Word(1, "")}', and it differs: facts never change, give the new one another name.", nameof(declarations));
            read.Add(fact);
            declaredAt[fact] = declaration.At;
        }
        facts = read.ToImmutable();
        contracts = Contracts.GroupBy(c => c.Tenant).ToFrozenDictionary(g => g.Key, g => g.ToImmutableArray());
    }

    /// <summary>In the order in which they were declared.</summary>
    public ImmutableArray<Declaration> All { get; }

    public ImmutableArray<Contract> Contracts => Of<Contract>();
    public ImmutableArray<Credit> Credits => Of<Credit>();
    public ImmutableArray<Reservation> Reservations => Of<Reservation>();
    public ImmutableArray<Asset> Assets => Of<Asset>();
    public ImmutableArray<AssetRevised> AssetRevisions => Of<AssetRevised>();
    public ImmutableArray<AssetRetired> AssetRetirements => Of<AssetRetired>();
    public ImmutableArray<Bill> Bills => Of<Bill>();
    public ImmutableArray<Tariff> Tariffs => Of<Tariff>();
    public ImmutableArray<PowerProfile> PowerProfiles => Of<PowerProfile>();
    public ImmutableArray<EnergyReading> EnergyReadings => Of<EnergyReading>();
    public ImmutableArray<PeriodClosed> Closes => Of<PeriodClosed>();
    public ImmutableArray<BalanceAssertion> BalanceAssertions => Of<BalanceAssertion>();
    public ImmutableArray<Exchange> Exchanges => Of<Exchange>();
    public ImmutableArray<Rerating> Reratings => Of<Rerating>();
    public ImmutableArray<TrainingRun> TrainingRuns => Of<TrainingRun>();
    public ImmutableArray<ModelRetired> ModelRetirements => Of<ModelRetired>();
    public ImmutableArray<FinalInvoice> Invoices => Of<FinalInvoice>();
    public ImmutableArray<InvoiceVoided> InvoiceVoids => Of<InvoiceVoided>();
    public ImmutableArray<CreditNote> CreditNotes => Of<CreditNote>();
    public ImmutableArray<Payment> Payments => Of<Payment>();
    public ImmutableArray<PaymentMade> PaymentsMade => Of<PaymentMade>();
    public ImmutableArray<Capital> Capital => Of<Capital>();
    public ImmutableArray<SegmentMember> SegmentMembers => Of<SegmentMember>();

    /// <summary>The contract that holds for a request; null: none. As <see cref="Contract.Find"/>.</summary>
    public Contract? FindContract(TenantId tenant, ModelName model, Instant placedAt) =>
        contracts.TryGetValue(tenant, out ImmutableArray<Contract> own) ? Contract.Find(own, tenant, model, placedAt) : null;

    /// <summary>Whether one of these facts was declared before an instant. False: it is not one of them.</summary>
    internal bool IsDeclaredBefore(object fact, Instant at) => declaredAt.TryGetValue(fact, out Instant declared) && declared < at;

    public bool IsVoid(string invoice) => InvoiceVoids.Any(v => v.Number == invoice);

    /// <summary>Nothing is dated before this any more; the beginning of time while no period is closed.</summary>
    public Instant ClosedThrough => Closes.Select(c => c.Through).DefaultIfEmpty(new Instant(0)).Max();

    public static async Task<Declarations> ReadAsync(IBookReader store, CancellationToken cancel = default) => new(await store.ReadDeclarationsAsync(cancel).ConfigureAwait(false));

    /// <summary>A snapshot with one declaration more: ask this before you append it, so that nothing contradictory is stored.</summary>
    /// <exception cref="ArgumentException">As the constructor.</exception>
    public Declarations With(Declaration declaration) => new(All.Add(declaration));

    internal static void EnsureUnderstood(FactLine line) => Read(line);

    private static object Read(FactLine line)
    {
        if (!Readers.TryGetValue(line.Verb, out Func<FactLine, object>? read))
            throw line.Wrong($"'{line.Verb}' cannot be declared: use {string.Join(", ", Readers.Keys.Order(StringComparer.Ordinal))}.");
        object fact = read(line);
        line.EnsureAllUsed();
        if (fact is not IUnnamed && line.Word(1, "The name").Any(c => !char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_' or '.')))
            throw line.Wrong($"'{line.Word(1, "")}' cannot be a name: use letters, digits, '-', '_' and '.'.");
        return fact;
    }

    private ImmutableArray<T> Of<T>() => [.. facts.OfType<T>()];
}

/// <summary>A declared fact without a name of its own: it may stand there any number of times.</summary>
internal interface IUnnamed;
