using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>What is asked about a company.</summary>
/// <param name="Quarter">Null: the last one the model covers.</param> <param name="Layer">Null: every layer.</param>
/// <param name="Overrides">Other ranges for assumptions, by name.</param>
public sealed record AnalysisOptions(Quarter? Quarter, string? Layer, ImmutableDictionary<string, Interval> Overrides, AnalysisDepth Depth, ulong Seed)
{
    public static readonly AnalysisOptions Everything = new(null, null, ImmutableDictionary<string, Interval>.Empty, AnalysisDepth.Full, 1);
}

public enum AnalysisDepth
{
    /// <summary>Bounds only, with the multipliers that prove them.</summary>
    Bounds,
    /// <summary>Also the certificates worked out in words: all that moves when an assumption is moved.</summary>
    Certificates,
    /// <summary>Also what each missing line would be worth.</summary>
    Values,
    /// <summary>Also sensitivities, distributions, capital, restatements.</summary>
    Full,
}

/// <summary>The distribution of a target over the set: an illustration, not knowledge.</summary>
/// <param name="Priors">What weighs the points; empty: all are equally likely.</param>
public sealed record TargetDistribution(string Layer, Target Target, SetDistribution Distribution, int Dimensions, ImmutableArray<Prior> Priors)
{
    public string Assumption => Priors.IsEmpty ? "every point of the set is equally likely" : $"points weigh by {string.Join(" and ", Priors.Select(p => $"{p.Assumption} = {p.Distribution}"))}";
}

/// <summary>Everything that can be said about a company in one quarter.</summary>
public sealed record CompanyAnalysis
{
    public const int SampleCount = 4000;
    /// <summary>The targets that are ranked, sampled and explained: the first two that are asked.</summary>
    public const int HeadlineTargets = 2;

    public required CompanyBook Book { get; init; }
    public required Quarter Quarter { get; init; }
    public required LayerSystems Systems { get; init; }
    public required ImmutableArray<Bound> Bounds { get; init; }
    public required ImmutableArray<DisclosureValue> Disclosures { get; init; }
    public required ImmutableArray<Tornado> Tornadoes { get; init; }
    public required ImmutableArray<TargetDistribution> Distributions { get; init; }
    public required ImmutableArray<Derivation> Derivations { get; init; }
    public required ImmutableArray<TieOutResult> TieOuts { get; init; }
    public required ImmutableArray<Restatement> Restatements { get; init; }
    public PaybackResult? Payback { get; init; }
    public GlideResult? Glide { get; init; }

    public CompanyModel Model => Book.Model;
    public string Definition => Model.DefinitionOf(Quarter);
    public IEnumerable<Target> Headlines => Model.Targets.Where(t => Bounds.Any(b => b.Target == t)).Take(HeadlineTargets);
    public Bound? Bound(string layer, string target) => Bounds.FirstOrDefault(b => b.Layer == layer && b.Target.Name == target);

    /// <exception cref="OutlookDataException">The sources contradict each other: the smallest conflicting set is named.</exception>
    public static CompanyAnalysis Run(CompanyBook book, AnalysisOptions options) => Run(book, LayerSystems.Build(book, options.Overrides), options);

    /// <summary>Every quarter the model covers, in their order; quarters share the systems and are worked on side by side.</summary>
    public static ImmutableArray<CompanyAnalysis> RunAll(CompanyBook book, LayerSystems systems, AnalysisOptions options)
    {
        CompanyModel model = book.Model;
        int count = (model.Last.Year - model.First.Year) * 4 + model.Last.Number - model.First.Number + 1;
        var results = new CompanyAnalysis[count];
        Parallel.For(0, count, i => results[i] = Run(book, systems, options with { Quarter = model.First.Plus(i) }));
        return [.. results];
    }

    /// <summary>Several quarters share the systems.</summary>
    public static CompanyAnalysis Run(CompanyBook book, LayerSystems systems, AnalysisOptions options)
    {
        CompanyModel model = book.Model;
        Quarter quarter = options.Quarter ?? model.Last;
        if (quarter < model.First || quarter > model.Last)
            throw new OutlookDataException(new Fault(new Place(model.File, 1), $"{quarter} is not covered: the model of {model.Key} covers {model.First} to {model.Last}."));
        if (options.Layer is { } only) _ = systems[only];
        foreach (string name in options.Overrides.Keys.Where(n => model.Layers.All(l => l.Assumptions.All(a => a.Name != n))))
            throw new OutlookDataException(new Fault(new Place(model.File, 1), $"no assumption is called '{name}': use {string.Join(", ", model.Layers.SelectMany(l => l.Assumptions).Select(a => a.Name))}."));

        var run = new AnalysisRun(book, systems, quarter, options);
        run.FindBounds();
        if (options.Depth != AnalysisDepth.Bounds) run.Explain();
        return new CompanyAnalysis
        {
            Book = book,
            Quarter = quarter,
            Systems = systems,
            Bounds = [.. run.Bounds],
            Disclosures = [.. run.Disclosures],
            Tornadoes = [.. run.Tornadoes],
            Distributions = [.. run.Distributions],
            Derivations = [.. run.Derivations],
            TieOuts = TieOutResult.Check(book),
            Restatements = Restatement.Find(book),
            Payback = options.Depth == AnalysisDepth.Full ? PaybackResult.Of(book, quarter) : null,
            Glide = options.Depth == AnalysisDepth.Full ? GlideResult.Of(book, quarter) : null,
        };
    }
}

/// <summary>The steps of one analysis, layer by layer.</summary>
internal sealed class AnalysisRun(CompanyBook book, LayerSystems systems, Quarter quarter, AnalysisOptions options)
{
    private readonly string _definition = book.Model.DefinitionOf(quarter);

    public List<Bound> Bounds { get; } = [];
    public List<DisclosureValue> Disclosures { get; } = [];
    public List<Tornado> Tornadoes { get; } = [];
    public List<TargetDistribution> Distributions { get; } = [];
    public List<Derivation> Derivations { get; } = [];

    private IEnumerable<LayerSystem> Layers => systems.Layers.Where(l => options.Layer is null || l.Name == options.Layer);

    public void FindBounds()
    {
        foreach (LayerSystem layer in Layers)
        {
            LinearSystem system = Part(layer.System);
            using var solver = new RangeSolver(system);
            if (!solver.IsFeasible) throw Contradiction(layer);
            foreach (Target target in book.Model.Targets)
                if (SystemBuilder.ObjectiveOf(system, target.Quantity, quarter, _definition) is { } objective)
                    Bounds.Add(BoundFinder.Find(system, solver, objective, target, quarter, layer.Name));
        }
    }

    public void Explain()
    {
        Target[] headlines = [.. book.Model.Targets.Where(t => Bounds.Any(b => b.Target == t)).Take(CompanyAnalysis.HeadlineTargets)];
        foreach (LayerSystem layer in Layers)
        {
            LinearSystem system = Part(layer.System);
            foreach (Target target in headlines) AddDerivations(system, target, Bounds.First(b => b.Layer == layer.Name && b.Target == target));
            if (options.Depth == AnalysisDepth.Certificates) continue;
            QuarterSystem own = QuarterSystem.Cut(system, Asked(system), quarter, _definition);
            LinearSystem near = IsAsSharp(own.System, layer.Name, headlines) ? own.System : system;
            Disclosures.AddRange(DisclosureValuer.Rank(near, book.Model, quarter, layer.Name, headlines));
            if (options.Depth == AnalysisDepth.Values) continue;
            foreach (Target target in headlines)
            {
                Bound bound = Bounds.First(b => b.Layer == layer.Name && b.Target == target);
                Objective objective = SystemBuilder.ObjectiveOf(system, target.Quantity, quarter, _definition)!;
                if (!bound.Range.IsBounded || bound.Range.Width < 1e-9) continue;
                if (TornadoFinder.Find(near, objective, bound) is { } tornado) Tornadoes.Add(tornado);
            }
            AddDistributions(layer, own, headlines);
        }
    }

    private void AddDerivations(LinearSystem system, Target target, Bound bound)
    {
        if (!bound.Range.IsBounded || bound.Range.Width < 1e-9) return;
        Objective objective = SystemBuilder.ObjectiveOf(system, target.Quantity, quarter, _definition)!;
        foreach (CertificateEnd end in Enum.GetValues<CertificateEnd>())
            if (Derivation.Of(system, objective, bound, end) is { } derivation) Derivations.Add(derivation);
    }

    /// <summary>The quarter alone, with the ranges other quarters leave it, serves as well if it bounds the headline targets just as narrowly.</summary>
    private bool IsAsSharp(LinearSystem own, string layer, Target[] headlines)
    {
        using var solver = new RangeSolver(own);
        return headlines.All(target =>
        {
            Interval whole = Bounds.First(b => b.Layer == layer && b.Target == target).Range, alone = solver.Range(SystemBuilder.ObjectiveOf(own, target.Quantity, quarter, _definition)!);
            return Near(whole.Low, alone.Low) && Near(whole.High, alone.High);
        });
        static bool Near(double a, double b) => a.Equals(b) || Math.Abs(a - b) <= 1e-6 * Math.Max(1, Math.Abs(a));
    }

    private void AddDistributions(LayerSystem layer, QuarterSystem own, Target[] headlines)
    {
        Target[] bounded = [.. headlines.Where(t => Bounds.First(b => b.Layer == layer.Name && b.Target == t).Range is { IsBounded: true, Width: > 1e-9 })];
        if (bounded.Length == 0) return;
        Objective[] objectives = [.. bounded.Select(t => SystemBuilder.ObjectiveOf(own.System, t.Quantity, quarter, _definition)!)];
        LinearSystem near = own.System.ConnectedTo([.. objectives.SelectMany(o => o.Numerator.Terms.Concat(o.Denominator.Terms)).Select(t => t.Variable)]);
        ImmutableArray<int> variables = [.. near.Rows.SelectMany(r => r.Terms).Select(t => t.Variable).Distinct().Order()];
        if (HitAndRun.Prepare(near, variables, options.Seed) is not { } chain) return;
        var place = variables.Select((v, i) => (v, i)).ToDictionary(p => p.v, p => p.i);
        LinearForm Local(LinearForm form) => new([.. form.Terms.Select(t => new FormTerm(place[t.Variable], t.Factor))], form.Constant);
        Func<IReadOnlyList<double>, double>[] targets = [.. objectives.Select(o => (Func<IReadOnlyList<double>, double>)new Objective(Local(o.Numerator), Local(o.Denominator)).At)];
        ImmutableArray<SetDistribution> samples = chain.Sample(targets, CompanyAnalysis.SampleCount, options.Seed);
        Distributions.AddRange(bounded.Select((t, i) => new TargetDistribution(layer.Name, t, samples[i], chain.Dimensions, [])));

        (Prior Prior, Func<IReadOnlyList<double>, double> Density)[] priors = [.. PriorsOf(layer.Name, own.System, place.ContainsKey, Local)];
        if (priors.Length == 0) return;
        samples = chain.Sample(targets, CompanyAnalysis.SampleCount, options.Seed, point => priors.Aggregate(1.0, (density, p) => density * p.Density(point)));
        Distributions.AddRange(bounded.Select((t, i) => new TargetDistribution(layer.Name, t, samples[i], chain.Dimensions, [.. priors.Select(p => p.Prior)])));
    }

    /// <summary>The priors of a layer that hold in this quarter and whose unknowns are sampled.</summary>
    private IEnumerable<(Prior Prior, Func<IReadOnlyList<double>, double> Density)> PriorsOf(string layerName, LinearSystem system, Func<int, bool> isSampled, Func<LinearForm, LinearForm> local)
    {
        if (book.Model.Layers.FirstOrDefault(l => l.Name == layerName) is not { } layer) yield break;
        foreach (Prior prior in layer.Priors)
        {
            Assumption assumption = layer.Assumptions.First(a => a.Name == prior.Assumption);
            if (!assumption.Reach.Covers(quarter) || SystemBuilder.ObjectiveOf(system, assumption.Quantity, quarter, _definition) is not { } objective) continue;
            if (!objective.Numerator.Terms.Concat(objective.Denominator.Terms).All(t => isSampled(t.Variable))) continue;
            var here = new Objective(local(objective.Numerator), local(objective.Denominator));
            yield return (prior, point => prior.Distribution.Density(here.At(point)));
        }
    }

    private IReadOnlyCollection<int> Asked(LinearSystem system)
    {
        IEnumerable<ModelQuantity> asked = book.Model.Targets.Select(t => t.Quantity).Concat(book.Model.MissingLines.Select(m => m.Quantity));
        return [.. asked.Select(q => SystemBuilder.ObjectiveOf(system, q, quarter, _definition)).Where(o => o is not null)
            .SelectMany(o => o!.Numerator.Terms.Concat(o.Denominator.Terms)).Select(t => t.Variable).Distinct()];
    }

    /// <summary>Only what can have a say in this quarter's targets and missing lines.</summary>
    private LinearSystem Part(LinearSystem system) => system.ConnectedTo(Asked(system));

    private OutlookDataException Contradiction(LayerSystem layer)
    {
        Conflict? conflict = ConflictFinder.Find(layer.System);
        Place place = conflict?.Rows.Select(r => r.Facts.IsEmpty ? r.Place : r.Facts[0].Place).FirstOrDefault() ?? new Place(book.Model.File, 1);
        return new OutlookDataException(new Fault(place, $"the sources contradict each other in the layer '{layer.Name}': {conflict}"));
    }
}
