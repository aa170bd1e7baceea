using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>What of a company's model and facts goes into a system.</summary>
/// <param name="Layer">The last layer that counts; null: none, only what is published.</param>
/// <param name="Hidden">Published rows that are treated as if they were not (with all that is derived from them).</param>
/// <param name="Overrides">Other ranges for assumptions, by name.</param>
public sealed record SystemScope(string? Layer, ImmutableArray<Fact> Hidden, ImmutableDictionary<string, Interval> Overrides)
{
    public static readonly SystemScope Published = new(null, [], ImmutableDictionary<string, Interval>.Empty);
}

/// <summary>Writes a company's model and facts as linear restrictions: one copy of each statement for every quarter and definition to which it applies.</summary>
public sealed class SystemBuilder
{
    private readonly CompanyModel _model;
    private readonly ImmutableArray<Fact> _facts;
    private readonly SystemScope _scope;
    private readonly List<SystemVariable> _variables = [];
    private readonly Dictionary<(string, Quarter, string), int> _index = [];
    private readonly List<SystemRow> _rows = [];
    private readonly List<ProductTriple> _products = [];
    private readonly ImmutableArray<Instance> _instances;
    private readonly ILookup<Measure, Fact> _byMeasure;

    private SystemBuilder(CompanyModel model, ImmutableArray<Fact> facts, SystemScope scope)
    {
        _model = model;
        _scope = scope;
        // A derived row says nothing that the rows it was derived from do not say: only those enter, so that a certificate names sources.
        _facts = [.. facts.Where(f => f.Value is not null && !f.IsDerived && !scope.Hidden.Contains(f))];
        _byMeasure = _facts.ToLookup(f => f.Measure);
        var instances = ImmutableArray.CreateBuilder<Instance>();
        for (Quarter q = model.First; q <= model.Last; q = q.Plus(1)) instances.Add(new Instance(q, model.DefinitionOf(q)));
        foreach (Recast recast in model.Recasts) instances.Add(new Instance(recast.Quarter, recast.Definition));
        _instances = [.. instances.Distinct()];
    }

    public static LinearSystem Build(CompanyModel model, ImmutableArray<Fact> facts, SystemScope scope)
    {
        var builder = new SystemBuilder(model, facts, scope);
        builder.WriteFacts();
        foreach (Statement statement in model.Statements.Where(s => s is not ProductStatement)) builder.Write(statement);
        foreach (Layer layer in model.Layers.Take(LayersCounted(model, scope.Layer)))
            foreach (Assumption assumption in layer.Assumptions) builder.WriteAssumption(layer, assumption);
        foreach (ProductStatement product in model.Statements.OfType<ProductStatement>()) builder.WriteProduct(product);
        return builder.System();
    }

    /// <summary>The quantity in one quarter as an objective over a system; null where the model does not reach that far back.</summary>
    public static Objective? ObjectiveOf(LinearSystem system, ModelQuantity quantity, Quarter quarter, string definition)
    {
        LinearForm? Resolve(ModelForm form)
        {
            var terms = new List<FormTerm>();
            foreach (ModelTerm term in form.Terms)
            {
                if (system.Find(term.Reference.Line, quarter.Plus(term.Reference.Lag), definition) is not { } variable) return null;
                terms.Add(new FormTerm(variable.Index, term.Factor));
            }
            return new LinearForm(LinearForm.Merge(terms), form.Constant);
        }
        if (Resolve(quantity.Numerator) is not { } numerator) return null;
        if (quantity.Denominator is null) return new Objective(numerator, LinearForm.One);
        return Resolve(quantity.Denominator) is { } denominator ? new Objective(numerator, denominator) : null;
    }

    private static int LayersCounted(CompanyModel model, string? last)
    {
        if (last is null) return 0;
        int at = model.Layers.ToList().FindIndex(l => l.Name == last);
        return at >= 0 ? at + 1 : throw new ArgumentException($"'{last}' is not a layer of {model.Key}: use {string.Join(", ", model.Layers.Select(l => l.Name))}.");
    }

    private LinearSystem System() => new([.. _variables], [.. _rows], [.. _products]);

    private void WriteFacts()
    {
        foreach (ModelLine line in _model.Lines)
            foreach (LineFact binding in line.Facts)
                foreach (Fact fact in _byMeasure[binding.Measure])
                {
                    int quarters = line.Kind == LineKind.Stock ? 1 : QuartersOf(fact.Span);
                    var form = new ModelForm([new ModelTerm(1, new LineReference(line.Name, 0))], 0).OverQuarters(quarters);
                    if (Resolve(form, new Instance(fact.Quarter, fact.Definition)) is not { } resolved) continue;
                    Interval value = fact.Value!.Value * binding.Factor;
                    string words = $"{line.Label} in {fact.FiscalPeriod} is {Printed(fact)}{(binding.Factor == 0.25 ? " a year, a quarter of it per quarter" : "")}";
                    Add(new SystemRow($"fact:{fact.Place}", words, RowKind.Reported, resolved.Terms, value, null, [fact], "", fact.Place));
                }
    }

    private void Write(Statement statement)
    {
        switch (statement)
        {
            case Identity identity:
                foreach (Instance at in InstancesOf(identity, identity.Form))
                    if (Resolve(identity.Form, at) is { } form)
                        Add(new SystemRow($"identity:{identity.Name}:{at}", $"{Said(identity)} in {at}", RowKind.Identity, form.Terms, Interval.At(-form.Constant), null, [], "", identity.Place));
                break;
            case PublishedRatio ratio:
                foreach (Fact fact in ratio.Measures.SelectMany(m => _byMeasure[m]))
                    WriteRatio(ratio, fact);
                break;
            case SoftStatement soft:
                foreach (Fact fact in soft.Measures.SelectMany(m => _byMeasure[m]))
                    WriteSoft(soft, fact);
                break;
        }
    }

    private void WriteRatio(PublishedRatio ratio, Fact fact)
    {
        var at = new Instance(fact.Quarter, fact.Definition.Length > 0 ? fact.Definition : _model.DefinitionOf(fact.Quarter));
        if (!ratio.Reach.Covers(fact.Quarter)) return;
        int quarters = QuartersOf(fact.Span);
        if (Resolve(ratio.Quantity.Numerator.OverQuarters(quarters), at) is not { } numerator || Resolve(ratio.Quantity.Denominator!.OverQuarters(quarters), at) is not { } denominator) return;
        string words = $"{fact.Measure.Metric.Replace('_', ' ')} in {fact.FiscalPeriod} is {Printed(fact)}";
        AddRatio($"fact:{fact.Place}", words, RowKind.Reported, numerator, denominator, fact.Value!.Value, [fact], "", fact.Place);
    }

    private void WriteSoft(SoftStatement soft, Fact fact)
    {
        var at = new Instance(fact.Quarter, fact.Definition.Length > 0 ? fact.Definition : _model.DefinitionOf(fact.Quarter));
        if (!soft.Reach.Covers(fact.Quarter) || Resolve(soft.Form, at) is not { } form) return;
        Add(new SystemRow($"fact:{fact.Place}:{soft.Name}", $"{Said(soft)} ({at.Quarter}, {Printed(fact)})", RowKind.Soft, form.Terms, soft.Range - Interval.At(form.Constant), null, [fact], "", fact.Place));
    }

    private void WriteAssumption(Layer layer, Assumption assumption)
    {
        Interval range = _scope.Overrides.GetValueOrDefault(assumption.Name, assumption.Range);
        foreach (Instance at in InstancesOf(assumption, assumption.Quantity.Numerator, assumption.Quantity.Denominator))
        {
            string group = $"assume:{layer.Name}:{assumption.Name}:{at}";
            if (Resolve(assumption.Quantity.Numerator, at) is not { } numerator) continue;
            if (assumption.Quantity.Denominator is null)
                Add(new SystemRow(group, $"{assumption.Label} is assumed to be {Amount(range, percent: false)} in {at}", RowKind.Assumption, numerator.Terms, range - Interval.At(numerator.Constant), null, [], layer.Name, assumption.Place));
            else if (Resolve(assumption.Quantity.Denominator, at) is { } denominator)
                AddRatio(group, $"{assumption.Label} is assumed to be {Amount(range, percent: true)} in {at}", RowKind.Assumption, numerator, denominator, range, [], layer.Name, assumption.Place);
        }
    }

    /// <summary>McCormick's envelope of w = x y over the box that the rest of the system leaves for x and y.</summary>
    private void WriteProduct(ProductStatement product)
    {
        foreach (Instance at in InstancesOf(product))
        {
            if (Lookup(product.Product, 0, at) is not { } w || Lookup(product.Left, 0, at) is not { } x || Lookup(product.Right, 0, at) is not { } y) continue;
            using var solver = new RangeSolver(System());
            if (!solver.IsFeasible) return;
            Interval left = Span(solver, x), right = Span(solver, y);
            _products.Add(new ProductTriple(w, x, y));
            void Corner(double a, double b, Interval range)
            {
                if (!double.IsFinite(a) || !double.IsFinite(b)) return;
                // w - b x - a y compared with -a b, at the corner (a, b) of the box.
                Add(new SystemRow($"product:{product.Name}:{at}:{(a, b)}", $"{Said(product)} in {at}, inside its envelope", RowKind.Product, LinearForm.Merge([new(w, 1), new(x, -b), new(y, -a)]),
                    range - Interval.At(a * b), null, [], "", product.Place));
            }
            Corner(left.Low, right.Low, Interval.AtLeast(0));
            Corner(left.High, right.High, Interval.AtLeast(0));
            Corner(left.High, right.Low, Interval.AtMost(0));
            Corner(left.Low, right.High, Interval.AtMost(0));
        }
    }

    private static Interval Span(RangeSolver solver, int variable) => solver.Range(new Objective(new LinearForm([new FormTerm(variable, 1)], 0), LinearForm.One));

    private void AddRatio(string group, string words, RowKind kind, LinearForm numerator, LinearForm denominator, Interval range, ImmutableArray<Fact> facts, string layer, Place place)
    {
        void End(double level, Interval zero)
        {
            if (!double.IsFinite(level)) return;
            LinearForm form = numerator.Minus(denominator, level);
            Add(new SystemRow(group, words, kind, form.Terms, zero - Interval.At(form.Constant), new RatioEnd(numerator, denominator, level), facts, layer, place));
        }
        if (range.IsPoint) { End(range.Low, Interval.At(0)); return; }
        End(range.Low, Interval.AtLeast(0));
        End(range.High, Interval.AtMost(0));
    }

    private void Add(SystemRow row)
    {
        if (row.Range != Interval.Everything && !row.Terms.IsEmpty) _rows.Add(row);
    }

    /// <summary>A statement about shared lines alone says the same for every definition of a quarter: it is written for the one in force.</summary>
    private IEnumerable<Instance> InstancesOf(Statement statement, params ModelForm?[] forms)
    {
        bool shared = forms.All(f => f is null || f.Terms.All(t => _model.Line(t.Reference.Line).IsShared));
        return _instances.Where(i => statement.Reach.Covers(i.Quarter) && (!shared || i.Definition == _model.DefinitionOf(i.Quarter)));
    }

    private LinearForm? Resolve(ModelForm form, Instance at)
    {
        var terms = new List<FormTerm>();
        foreach (ModelTerm term in form.Terms)
        {
            if (Lookup(term.Reference.Line, term.Reference.Lag, at) is not { } variable) return null;
            terms.Add(new FormTerm(variable, term.Factor));
        }
        return new LinearForm(LinearForm.Merge(terms), form.Constant);
    }

    private int? Lookup(string name, int lag, Instance at)
    {
        ModelLine line = _model.Line(name);
        Quarter quarter = at.Quarter.Plus(lag);
        if (quarter < _model.First || quarter > _model.Last) return null;
        string definition = line.IsShared ? "" : at.Definition;
        if (!line.IsShared && !_instances.Contains(new Instance(quarter, definition))) return null;
        if (_index.TryGetValue((name, quarter, definition), out int known)) return known;
        int index = _variables.Count;
        _variables.Add(new SystemVariable(index, line, quarter, definition));
        _index.Add((name, quarter, definition), index);
        return index;
    }

    private static int QuartersOf(Span span) => span switch { Outlook.Span.Year => 4, Outlook.Span.Half => 2, _ => 1 };
    private static string Said(Statement statement) => statement.Because.Length > 0 ? statement.Because : statement.Name.Replace('_', ' ');

    internal static string Printed(Fact fact) => fact.IsPercent
        ? Amount(fact.Value!.Value, percent: true)
        : $"{Amount(fact.Value!.Value, percent: false)} {fact.Unit}";

    /// <summary>"5 % to 20 %", "more than 20 %", "12,375.5 to 12,376.5".</summary>
    internal static string Amount(Interval range, bool percent)
    {
        string One(double value) => percent ? Texts.Percent(value, 2) : Texts.Number(value, 1);
        if (range.IsPoint) return One(range.Low);
        if (double.IsInfinity(range.High)) return $"more than {One(range.Low)}";
        return double.IsInfinity(range.Low) ? $"less than {One(range.High)}" : $"{One(range.Low)} to {One(range.High)}";
    }

    private readonly record struct Instance(Quarter Quarter, string Definition)
    {
        public override string ToString() => Definition.Length == 0 ? Quarter.ToString() : $"{Quarter} ({Definition} segments)";
    }
}
