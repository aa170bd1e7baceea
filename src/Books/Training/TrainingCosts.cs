using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>What training runs cost, and what of it has been amortised.</summary>
public static class TrainingCosts
{
    /// <summary>Both views of every run that has ended by an instant.</summary>
    public static async Task<ImmutableArray<TrainingView>> ReadAsync(IBookReader store, Declarations declared, Instant at, CancellationToken cancel = default)
    {
        var views = ImmutableArray.CreateBuilder<TrainingView>();
        foreach (TrainingRun run in declared.TrainingRuns.Where(r => r.Period.To <= at).OrderBy(r => r.Name, StringComparer.Ordinal))
        {
            Money compute = Money.Zero(run.Data.Currency);
            await foreach (UsageRecord record in store.StreamUsageAsync(new UsageQuery(run.Period, Model: run.Model), cancel).ConfigureAwait(false))
                if (record.Operation == Operation.Train && record.Cost is { } cost && cost.Currency == compute.Currency) compute += cost;
            Instant? retired = declared.ModelRetirements.FirstOrDefault(m => m.Model == run.Model && m.At <= at)?.At;
            Money zero = Money.Zero(compute.Currency);
            Money total = compute + run.Data + run.Staff;
            Money? amortised = run.HasLife ? await AmortisedAsync(store, run, total, retired ?? at, cancel).ConfigureAwait(false) : null;
            views.Add(new TrainingView(run, compute, amortised, retired is not null && amortised is { } so ? total - so : zero));
        }
        return views.ToImmutable();
    }

    internal static async Task<ImmutableArray<Due>> DuesAsync(IBookReader store, Declarations declared, Instant at, CancellationToken cancel)
    {
        ImmutableArray<TrainingView> views = await ReadAsync(store, declared, at, cancel).ConfigureAwait(false);
        var dues = ImmutableArray.CreateBuilder<Due>();
        foreach (TrainingView view in views)
        {
            dues.AddRange(Of(view));
            if (view.Run is { Base: { } from, BaseSharePermille: not 0 })
                dues.AddRange(await BaseShareAsync(store, declared, view.Run, from, at, cancel).ConfigureAwait(false));
        }
        return dues.ToImmutable();
    }

    private static IEnumerable<Due> Of(TrainingView view)
    {
        TrainingRun run = view.Run;
        var dimensions = new Dimensions(Model: run.Model);
        Account asset = Accounts.CapitalisedModels.Below(run.Name);
        bool expensed = run.Policy == TrainingPolicy.Expense;
        yield return new Due("training", $"device time of {run.Name}", (expensed ? Accounts.Training : asset).Below("compute"), Accounts.ComputeCost, dimensions, view.Compute);
        yield return new Due("training", $"data and staff of {run.Name}", (expensed ? Accounts.Training : asset).Below("direct"), Accounts.Payables, dimensions, view.Direct);
        if (expensed || view.Amortised is not { } amortised) yield break;
        yield return new Due("amortisation", $"amortisation of {run.Name}", asset.Below("amortisation"), Accounts.Amortisation, dimensions, -amortised);
        yield return new Due("model retired", $"rest of {run.Name} written off", asset.Below("written off"), Accounts.WrittenOffModels, dimensions, -view.WrittenOff);
    }

    /// <summary>A part of the base model's amortisation since the run ended moves to the model made from it.</summary>
    private static async Task<ImmutableArray<Due>> BaseShareAsync(IBookReader store, Declarations declared, TrainingRun run, ModelName from, Instant at, CancellationToken cancel)
    {
        Money now = await BaseAmortisedAsync(at).ConfigureAwait(false), before = await BaseAmortisedAsync(run.Period.To).ConfigureAwait(false);
        Money since = now - before;
        if (since.IsZero) return [];
        var after = new Period(run.Period.To, at);
        long own = await TokensAsync(store, run.Model, after, cancel).ConfigureAwait(false), others = await TokensAsync(store, from, after, cancel).ConfigureAwait(false);
        Money share = run.BaseSharePermille is { } permille ? Allocation.Split(since, [(long)permille, 1000L - permille])[0]
            : own + others == 0 ? Money.Zero(since.Currency) : Allocation.Split(since, [own, others])[0];
        Account account = Accounts.Amortisation.Below("base share").Below(run.Name), contra = Accounts.CapitalisedModels.Below("base share");
        return
        [
            new Due("base share", $"{run.Model}'s share of {from}", account, contra, new Dimensions(Model: run.Model), share),
            new Due("base share", $"{run.Model}'s share of {from}", account, contra, new Dimensions(Model: from), -share),
        ];

        async Task<Money> BaseAmortisedAsync(Instant until) =>
            (await ReadAsync(store, declared, until, cancel).ConfigureAwait(false)).Where(v => v.Run.Model == from && v.Run.Policy == TrainingPolicy.Capitalise)
                .Aggregate(Money.Zero(run.Data.Currency), (sum, v) => sum + (v.Amortised ?? Money.Zero(sum.Currency)));
    }

    /// <summary>One running total, rounded down: amortisation of periods that touch sums to that of both.</summary>
    private static async Task<Money> AmortisedAsync(IBookReader store, TrainingRun run, Money cost, Instant until, CancellationToken cancel)
    {
        Int128 whole = run.EndOfLife is { } end ? end.UnixNanoseconds - run.Period.To.UnixNanoseconds : run.LifeTokens;
        Int128 passed = run.EndOfLife is not null ? until.UnixNanoseconds - run.Period.To.UnixNanoseconds
            : await TokensAsync(store, run.Model, new Period(run.Period.To, until), cancel).ConfigureAwait(false);
        return passed >= whole ? cost : passed <= 0 ? Money.Zero(cost.Currency) : new Money(Allocation.FloorOfProduct(cost.Picos, passed, whole), cost.Currency);
    }

    private static async Task<long> TokensAsync(IBookReader store, ModelName model, Period period, CancellationToken cancel) => period.To <= period.From ? 0
        : (await store.SumUsageAsync(new SumQuery(period, GroupBy.None, Model: model), cancel).ConfigureAwait(false)).Sum(s => s.Tokens.Input + s.Tokens.Output);
}
