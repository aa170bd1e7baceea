using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>What an answer used, cost and is charged, over all calls that made it; filled as their events arrive. Sums are exact.</summary>
internal sealed class Bill(GenerationRequest request, TariffState tariffs)
{
    private readonly List<Admitted> admitted = [];
    private readonly List<UsageRecord> records = [];

    public Caller Caller => request.Calls[0].Caller;
    public string? Notice => request.Model.Notice;

    /// <summary>The request asked for its prompt to be cached.</summary>
    public bool AsksForCache => request.Calls[0].Cache == CacheMode.Explicit;

    public bool IsComplete => records.Count == request.Calls.Length;

    /// <summary>Whether all that is charged is in it although the answer broke off: its calls were settled before, or all were stopped together, each told what it is charged.</summary>
    public bool IsWholeAfter(ApiException error) => records.Count > 0 && (IsComplete || error.Code == TenantStops.Code);

    public IReadOnlyList<Admitted> Admitted => admitted;
    public IReadOnlyList<UsageRecord> Records => records;
    public TokenCounts Tokens => records.Aggregate(default(TokenCounts), (sum, record) => sum + record.Tokens);
    public long DeviceNanoseconds => records.Sum(record => record.Device.TotalNanoseconds);

    /// <summary>Null: a call is unpriced.</summary>
    public Money? Charge => Sum(records, static record => record.Charge);

    /// <summary>Null: a call is uncosted.</summary>
    public Money? Cost => Sum(records, static record => record.Cost);

    public Money? Hold => Sum(admitted, static each => each.HoldAmount);

    /// <summary>The rates in force; null: unpriced.</summary>
    public TokenRates? Rates => admitted.Count > 0 ? admitted[0].Rates : null;

    /// <summary>The price version behind the charge.</summary>
    public PriceVersion? Price => records.Count > 0 && records[0].Price is { } id ? tariffs.Prices.Get(id) : null;

    /// <summary>The pool rate behind the cost.</summary>
    public PoolRate? PoolRate => records.Count > 0 && records[0].PoolRate is { } id ? tariffs.Costs.Get(id) : null;

    /// <summary>The model that stood in for the one asked for; null: that one answered.</summary>
    public ModelName? ServedModel { get; private set; }

    /// <summary>A budget ended a choice.</summary>
    public bool EndedByBudget { get; private set; }

    /// <summary>A choice repeated itself for longer than it was allowed to.</summary>
    public bool EndedByLoop { get; private set; }

    /// <summary>What must be known of these figures: nothing is silently zero, no assumption is shown as a fact.</summary>
    public ImmutableArray<string> States
    {
        get
        {
            ImmutableArray<string>.Builder states = ImmutableArray.CreateBuilder<string>();
            if (records.Any(record => record.Charge is null)) states.Add("unpriced");
            if (records.Any(record => record.Cost is null)) states.Add("uncosted");
            if (records.Any(record => record.Upstream is { State: UsageCheckState.Missing })) states.Add("usage_missing");
            if (records.Any(record => record.Upstream is { State: UsageCheckState.Differs })) states.Add("usage_differs");
            if (Price is { IsAssumption: true }) states.Add("price_assumed");
            if (PoolRate is { IsAssumption: true }) states.Add("cost_assumed");
            return states.DrainToImmutable();
        }
    }

    public void Add(CallEvent happened)
    {
        if (happened is Admitted admission) admitted.Add(admission);
        if (happened is ChoiceFinished { Reason: AnswerEnd.Budget }) EndedByBudget = true;
        if (happened is ChoiceFinished { Reason: AnswerEnd.Loop }) EndedByLoop = true;
        if (happened is not Settled settled) return;
        records.Add(settled.Record);
        ServedModel ??= settled.ServedModel;
    }

    private static Money? Sum<T>(List<T> parts, Func<T, Money?> amount)
    {
        Money? sum = null;
        foreach (T part in parts)
        {
            if (amount(part) is not { } money) return null;
            sum = sum is { } before ? before + money : money;
        }
        return sum;
    }
}
