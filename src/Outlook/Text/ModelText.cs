using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>Reads the text in which an analyst writes a company down: one statement a line, # starts a comment. docs/outlook.md describes the language.
/// Refuses, with line and column, what it does not understand, names that nothing declares, units that mix and segment versions that are spliced.</summary>
public sealed class ModelText
{
    private readonly string _file;
    private readonly List<Fault> _faults = [];
    private readonly List<SegmentDefinition> _definitions = [];
    private readonly List<SegmentMember> _segments = [];
    private readonly List<Recast> _recasts = [];
    private readonly List<ModelLine> _lines = [];
    private readonly List<Statement> _statements = [];
    private readonly List<Layer> _layers = [];
    private readonly List<Target> _targets = [];
    private readonly List<MissingLine> _missing = [];
    private readonly List<TieOut> _tieOuts = [];
    private readonly List<ModelNote> _notes = [];
    private readonly List<Waterfall> _waterfalls = [];
    private string _key = "", _title = "", _facts = "", _unit = "";
    private Quarter? _first, _last;
    private PaybackSetting? _payback;
    private GlideSetting? _glide;

    private ModelText(string file) => _file = file;

    /// <exception cref="OutlookDataException">Every fault found in the text.</exception>
    public static CompanyModel Read(string text, string file)
    {
        var reader = new ModelText(file);
        string[] lines = text.TrimStart('\uFEFF').Split('\n');
        for (int i = 0; i < lines.Length; i++)
        {
            try
            {
                var tokens = new Tokens(lines[i].TrimEnd('\r'), new Place(file, i + 1));
                if (!tokens.AtEnd) reader.ReadStatement(tokens, ModelGrammar.Plain(lines[i]));
            }
            catch (OutlookDataException e)
            {
                reader._faults.AddRange(e.Faults);
            }
        }
        CompanyModel? model = reader.Build();
        if (model is not null) ModelRules.Check(model, reader._faults);
        return reader._faults.Count == 0 ? model! : throw new OutlookDataException([.. reader._faults]);
    }

    private CompanyModel? Build()
    {
        var top = new Place(_file, 1);
        if (_key.Length == 0) _faults.Add(new Fault(top, "the company is not named: write company alibaba \"Alibaba Group\"."));
        if (_facts.Length == 0) _faults.Add(new Fault(top, "the fact file is not named: write facts alibaba.facts.csv."));
        if (_unit.Length == 0) _faults.Add(new Fault(top, "the unit is not named: write unit \"RMB million\"."));
        if (_first is null || _last is null) _faults.Add(new Fault(top, "the quarters are not named: write quarters 2023Q2 to 2026Q2."));
        if (_faults.Count > 0) return null;
        return new CompanyModel
        {
            File = _file,
            Key = _key,
            Title = _title,
            FactsFile = _facts,
            Unit = _unit,
            First = _first!.Value,
            Last = _last!.Value,
            Definitions = [.. _definitions],
            Segments = [.. _segments],
            Recasts = [.. _recasts],
            Lines = [.. _lines],
            Statements = [.. _statements],
            Layers = [.. _layers],
            Targets = [.. _targets],
            MissingLines = [.. _missing],
            TieOuts = [.. _tieOuts],
            Notes = [.. _notes],
            Waterfalls = [.. _waterfalls],
            Payback = _payback,
            Glide = _glide,
        };
    }

    private void ReadStatement(Tokens t, string text)
    {
        string keyword = t.Word("a statement");
        switch (keyword)
        {
            case "company": _key = t.Word("a short name"); _title = t.Text("the company's name"); break;
            case "facts": _facts = t.Word("the name of the fact file"); break;
            case "unit": _unit = t.Text("the unit"); break;
            case "quarters": _first = t.Quarter(); t.Expect("to"); _last = t.Quarter(); break;
            case "definition": ReadDefinition(t); break;
            case "segment": string segment = t.Text("a segment"); t.Expect("is"); _segments.Add(new SegmentMember(t.Place, segment, t.Word("a definition"))); break;
            case "recast": ReadRecast(t); break;
            case "line": ReadLine(t); break;
            case "fact": ReadFact(t); break;
            case "identity": ReadIdentity(t, text); break;
            case "ratio": ReadRatio(t, text); break;
            case "soft": ReadSoft(t, text); break;
            case "product": ReadProduct(t, text); break;
            case "layer": _layers.Add(new Layer(t.Place, t.Word("the layer's name"), t.Text("the layer's label"), ModelGrammar.Because(t), [], [])); break;
            case "assume": ReadAssumption(t, text); break;
            case "prior": ReadPrior(t); break;
            case "target": ReadTarget(t); break;
            case "missing": ReadMissing(t); break;
            case "tieout": ReadTieOut(t); break;
            case "note": _notes.Add(new ModelNote(t.Place, t.Text("a note"))); break;
            case "waterfall": _waterfalls.Add(new Waterfall(t.Place, t.Text("a label"), t.Word("an identity"))); break;
            case "payback": _payback = ModelGrammar.Payback(t); break;
            case "glide": _glide = ModelGrammar.Glide(t); break;
            default: throw t.WrongBefore("begins no statement: use company, facts, unit, quarters, definition, segment, recast, line, fact, identity, ratio, soft, product, layer, assume, prior, target, missing, tieout, waterfall, note, payback or glide");
        }
        t.End();
    }

    private void ReadDefinition(Tokens t)
    {
        string name = t.Word("the definition's name");
        DateOnly since = DateOnly.MinValue, until = DateOnly.MaxValue;
        if (t.TryTake("since")) since = t.Date();
        if (t.TryTake("until")) until = t.Date();
        _definitions.Add(new SegmentDefinition(t.Place, name, since, until, ModelGrammar.Because(t)));
    }

    private void ReadRecast(Tokens t)
    {
        string from = t.Text("the earlier segment");
        t.Expect("to");
        string to = t.Text("the later segment");
        t.Expect("for");
        Quarter quarter = t.Quarter();
        string definition = _segments.Find(s => s.Segment == to)?.Definition ?? throw t.Fail($"'{to}' is not declared: write segment \"{to}\" is <definition> before it.");
        _recasts.Add(new Recast(t.Place, from, to, quarter, definition, ModelGrammar.Because(t)));
    }

    private void ReadLine(Tokens t)
    {
        string name = t.Word("the line's name"), label = t.Text("the line's label"), unit = _unit;
        LineSign sign = LineSign.Signed;
        LineKind kind = LineKind.Flow;
        string? shared = null;
        while (!t.AtEnd)
        {
            if (t.TryTake("positive")) sign = LineSign.Positive;
            else if (t.TryTake("stock")) kind = LineKind.Stock;
            else if (t.TryTake("unit")) unit = t.Text("the line's unit");
            else if (t.TryTake("shared")) shared = ModelGrammar.Because(t) is { Length: > 0 } reason ? reason : throw t.Wrong("'because' and the reason why every definition means the same by it were expected");
            else throw t.Wrong("'positive', 'stock', 'unit' or 'shared' was expected");
        }
        _lines.Add(new ModelLine(t.Place, name, label, unit, sign, kind, shared, []));
    }

    private void ReadFact(Tokens t)
    {
        if (_lines.Count == 0) throw t.Fail("a fact stands under no line.");
        Measure measure = ModelGrammar.Measure(t);
        double factor = 1;
        if (t.TryTake("per")) { t.Expect("year"); factor = 0.25; }
        else if (t.TryTake("negated")) factor = -1;
        _lines[^1] = _lines[^1] with { Facts = _lines[^1].Facts.Add(new LineFact(t.Place, measure, factor)) };
    }

    private void ReadIdentity(Tokens t, string text)
    {
        string name = t.Word("the identity's name");
        t.Expect(":");
        ModelForm left = ModelGrammar.Form(t);
        t.Expect("=");
        ModelForm form = left.Minus(ModelGrammar.Form(t));
        Reach reach = ModelGrammar.Reach(t);
        _statements.Add(new Identity(t.Place, name, text, ModelGrammar.Because(t), reach, form));
    }

    private void ReadRatio(Tokens t, string text)
    {
        string name = t.Word("the ratio's name");
        t.Expect(":");
        ModelQuantity quantity = ModelGrammar.Quantity(t);
        if (!quantity.IsRatio) throw t.Wrong("'/' and a denominator were expected");
        t.Expect("=");
        ImmutableArray<Measure> measures = ModelGrammar.Measures(t);
        Reach reach = ModelGrammar.Reach(t);
        _statements.Add(new PublishedRatio(t.Place, name, text, ModelGrammar.Because(t), reach, quantity, measures));
    }

    private void ReadSoft(Tokens t, string text)
    {
        string name = t.Word("the statement's name");
        t.Expect("when");
        ImmutableArray<Measure> measures = ModelGrammar.Measures(t);
        t.Expect(":");
        (ModelForm form, Interval range) = ModelGrammar.Inequality(t);
        Reach reach = ModelGrammar.Reach(t);
        _statements.Add(new SoftStatement(t.Place, name, text, ModelGrammar.Because(t), reach, form, range, measures));
    }

    private void ReadProduct(Tokens t, string text)
    {
        string name = t.Word("the product's name");
        t.Expect(":");
        string product = t.Word("a line");
        t.Expect("=");
        string left = t.Word("a line");
        t.Expect("*");
        string right = t.Word("a line");
        Reach reach = ModelGrammar.Reach(t);
        _statements.Add(new ProductStatement(t.Place, name, text, ModelGrammar.Because(t), reach, product, left, right));
    }

    private void ReadAssumption(Tokens t, string text)
    {
        if (_layers.Count == 0) throw t.Fail("an assumption stands under no layer: write layer <name> \"label\" before it.");
        string name = t.Word("the assumption's name"), label = t.Text("the assumption's label");
        t.Expect(":");
        ModelQuantity quantity = ModelGrammar.Quantity(t);
        t.Expect("in");
        Interval range = t.Range("a number or a percentage");
        Reach reach = ModelGrammar.Reach(t);
        var assumption = new Assumption(t.Place, name, label, text, ModelGrammar.Because(t), reach, quantity, range);
        _layers[^1] = _layers[^1] with { Assumptions = _layers[^1].Assumptions.Add(assumption) };
    }

    private void ReadPrior(Tokens t)
    {
        if (_layers.Count == 0) throw t.Fail("a prior stands under no layer: write layer <name> \"label\" before it.");
        string name = t.Word("an assumption");
        if (_layers[^1].Assumptions.All(a => a.Name != name)) throw t.WrongBefore($"is not an assumption of the layer '{_layers[^1].Name}': a prior stands after the assumption that it weighs");
        if (_layers[^1].Priors.Any(p => p.Assumption == name)) throw t.WrongBefore("has a prior already");
        t.Expect("=");
        DriverDistribution distribution = ModelGrammar.Distribution(t);
        if (distribution.Quantile(0.001) >= distribution.Quantile(0.999)) throw t.Fail("a prior needs a distribution with some width: a value that is certain is an assumption, not a prior.");
        string because = ModelGrammar.Because(t);
        if (because.Length == 0) throw t.Wrong("'because' and the reason for this belief were expected");
        _layers[^1] = _layers[^1] with { Priors = _layers[^1].Priors.Add(new Prior(t.Place, name, distribution, because)) };
    }

    private void ReadTarget(Tokens t)
    {
        string name = t.Word("the target's name"), label = t.Text("the target's label");
        t.Expect("of");
        string basis = t.Text("the basis");
        t.Expect(":");
        _targets.Add(new Target(t.Place, name, label, basis, ModelGrammar.Quantity(t)));
    }

    private void ReadMissing(Tokens t)
    {
        string name = t.Word("a name"), label = t.Text("the line's label");
        t.Expect("rounding");
        double rounding = t.Number("how finely it would be printed");
        if (rounding <= 0) throw t.WrongBefore("is not a rounding: it must be positive");
        t.Expect(":");
        _missing.Add(new MissingLine(t.Place, name, label, rounding, ModelGrammar.Quantity(t)));
    }

    private void ReadTieOut(Tokens t)
    {
        Measure measure = ModelGrammar.Measure(t);
        t.Expect("in");
        var years = ImmutableArray.CreateBuilder<string>();
        do years.Add(t.Word("a fiscal year such as FY2026")); while (t.TryTake(","));
        _tieOuts.Add(new TieOut(t.Place, measure, years.ToImmutable()));
    }
}
