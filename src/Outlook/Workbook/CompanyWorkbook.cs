using System.Collections.Immutable;
using System.Globalization;

namespace Qanat.Outlook;

/// <summary>
/// An analysis as a workbook with live formulas. The Inputs sheet holds what sources print and what is assumed, in blue; every bound is worked out from them step by step, in black,
/// along the rows that bind. Moving an input moves the bounds at once; as long as the same rows bind they stay the exact ends of the range.
/// </summary>
internal sealed class CompanyWorkbook
{
    private const int LowColumn = 6, HighColumn = 7;
    private readonly CompanyAnalysis _analysis;
    private readonly Sheet _about = new("About", 100);
    private readonly Sheet _inputs = new("Inputs", 9, 46, 34, 14, 11, 14, 14, 16, 6, 70);
    private readonly Sheet _bounds = new("Bounds", 40, 20, 16, 16, 16, 16, 12);
    private readonly Sheet _steps = new("Steps", 52, 18, 90);
    private readonly Sheet _tieOuts = new("Tie-outs", 44, 10, 14, 14, 14, 14, 14, 14, 12);
    private readonly Sheet _payback = new("Payback", 52, 16, 16, 16, 16, 16, 16);
    private readonly Sheet _disclosure = new("Disclosure", 40, 44, 20, 16, 16, 16, 60);
    private readonly Sheet _sources = new("Sources", 7, 12, 60, 16, 14, 14, 8, 90);
    private readonly Dictionary<string, int> _inputRows = new(StringComparer.Ordinal);

    private CompanyWorkbook(CompanyAnalysis analysis) => _analysis = analysis;

    public static byte[] Write(CompanyAnalysis analysis)
    {
        var book = new CompanyWorkbook(analysis);
        book.WriteAbout();
        book.WriteInputs();
        book.WriteBounds();
        book.WriteTieOuts();
        book.WritePayback();
        book.WriteDisclosure();
        book.WriteSources();
        return XlsxFile.Write([book._about, book._inputs, book._bounds, book._steps, book._tieOuts, book._payback, book._disclosure, book._sources]);
    }

    private void WriteAbout()
    {
        _about.Add(Cell.Words($"{_analysis.Model.Title}: what can be known about AI, {CompanyReport.Named(_analysis.Quarter)}", CellStyle.Title));
        foreach (string line in new[]
        {
            $"All amounts in {_analysis.Model.Unit} unless a unit is given. Blue: inputs, from a source or assumed. Black: formulas.",
            "Inputs: a published number with its last printed place gives the range it can mean. Change a number, a rounding or an assumption and every bound follows.",
            "Bounds: each end of each range, linked to its steps. Steps: the end worked out along the rows that bind, one figure a line.",
            "The formulas follow the rows that bind today. After a large change other rows may bind; the column 'solver' keeps what was proven when this file was written.",
            "Tiers: T1 issuer text, T2 quotes a named filing, T3 press or call. Every input leads to its row in the fact file and its source.",
        }) _about.Add(Cell.Words(line));
        foreach (ModelNote note in _analysis.Model.Notes) _about.Add(Cell.Words(note.Text, CellStyle.Note));
    }

    /// <summary>What the steps rest on: published rows first, then assumptions.</summary>
    private void WriteInputs()
    {
        SystemRow[] rows = [.. _analysis.Derivations.SelectMany(d => d.Steps).Select(s => s.Row).OfType<SystemRow>()];
        _inputs.Add(Headers("Row", "What", "Period", "Value", "Rounding", "Low", "High", "Unit", "Tier", "Source"));
        foreach (Fact fact in rows.SelectMany(r => r.Facts).DistinctBy(f => f.Place).OrderBy(f => f.Place.Line)) WriteFact(fact);
        _inputs.Skip();
        _inputs.Add(Headers("Line", "Assumption", "Layer", "", "", "Low", "High", "Unit", "", "Because"));
        foreach (Layer layer in _analysis.Model.Layers)
            foreach (Assumption assumption in layer.Assumptions.Where(a => rows.Any(r => r.Layer == layer.Name && r.Place == a.Place)))
            {
                Interval range = rows.Where(r => r.Layer == layer.Name && r.Place == assumption.Place).Select(Ends).Aggregate(assumption.Range, (a, b) => Overridden(a, b));
                CellStyle style = assumption.Quantity.IsRatio ? CellStyle.InputPercent : CellStyle.InputNumber;
                _inputRows[$"{layer.Name}:{assumption.Place}"] = _inputs.Add(Cell.Figure(assumption.Place.Line, CellStyle.Text), Cell.Words(assumption.Label), Cell.Words(layer.Label), Cell.Words(""), Cell.Words(""),
                    Cell.Figure(range.Low, style), Cell.Figure(range.High, style), Cell.Words(assumption.Quantity.IsRatio ? "share" : _analysis.Model.Unit), Cell.Words(""), Cell.Words(assumption.Because.Length > 0 ? assumption.Because : layer.Because));
            }
    }

    // A range that was moved shows in the rows, one end each.
    private static Interval Overridden(Interval range, Interval seen) => new(Math.Max(range.Low, double.IsFinite(seen.Low) ? seen.Low : range.Low), Math.Min(range.High, double.IsFinite(seen.High) ? seen.High : range.High));

    private static Interval Ends(SystemRow row) => row.Ratio is not { } ratio ? row.Range : double.IsFinite(row.Range.Low) ? Interval.AtLeast(ratio.Level) : Interval.AtMost(ratio.Level);

    private void WriteFact(Fact fact)
    {
        Interval value = fact.Value!.Value;
        CellStyle input = fact.IsPercent ? CellStyle.InputPercent : CellStyle.InputNumber, computed = fact.IsPercent ? CellStyle.Percent : CellStyle.Number;
        int row = _inputs.NextRow;
        bool rounded = value.IsBounded && !fact.Printed.Contains("..", StringComparison.Ordinal);
        Cell low = rounded ? Cell.Formula($"D{row}-E{row}/2", value.Low, computed) : Cell.Figure(value.Low, input), high = rounded ? Cell.Formula($"D{row}+E{row}/2", value.High, computed) : Cell.Figure(value.High, input);
        _inputRows[fact.Id] = _inputs.Add(Cell.Figure(fact.Place.Line, CellStyle.Text), Cell.Words(fact.Measure.ToString()), Cell.Words($"{fact.FiscalPeriod}, ended {fact.PeriodEnd:yyyy-MM-dd}"),
            rounded ? Cell.Figure(value.Middle, input) : Cell.Words(fact.Printed), rounded ? Cell.Figure(Math.Round(value.Width, 10), input) : Cell.Words(""), low, high, Cell.Words(fact.Unit), Cell.Words(fact.Tier.ToString()), Cell.Words(fact.Source.OriginalString, CellStyle.Note));
    }

    private void WriteBounds()
    {
        _bounds.Add(Headers("Target", "After layer", "At least", "At most", "solver: low", "solver: high", "same?"));
        _steps.Add(Headers("Figure", "Value", "Because"));
        foreach (Bound bound in _analysis.Bounds.Where(b => _analysis.Derivations.Any(d => d.Bound == b)))
        {
            CellStyle style = bound.Target.Quantity.IsRatio ? CellStyle.Percent : CellStyle.Number;
            Cell End(CertificateEnd end, double value) => _analysis.Derivations.FirstOrDefault(d => d.Bound == bound && d.End == end) is { } derivation
                ? Cell.Formula(WriteSteps(derivation), value, style) : Cell.Figure(value, style);
            Cell low = End(CertificateEnd.Low, bound.Range.Low), high = End(CertificateEnd.High, bound.Range.High);
            int row = _bounds.NextRow;
            _bounds.Add(Cell.Words(bound.Target.Label), Cell.Words(_analysis.Systems[bound.Layer].Label), low, high, Cell.Figure(bound.Range.Low, style), Cell.Figure(bound.Range.High, style),
                Cell.Formula($"IF(AND(ABS(C{row}-E{row})<0.000001*MAX(1,ABS(E{row})),ABS(D{row}-F{row})<0.000001*MAX(1,ABS(F{row}))),\"same\",\"moved\")", double.NaN, CellStyle.Check));
        }
    }

    /// <summary>Writes one end step by step and returns the reference to its result.</summary>
    private string WriteSteps(Derivation derivation)
    {
        Bound bound = derivation.Bound;
        _steps.Skip();
        _steps.Add(Cell.Words($"{bound.Target.Label}, {_analysis.Systems[bound.Layer].Label}: {(derivation.End == CertificateEnd.Low ? "at least" : "at most")}", CellStyle.Header));
        var cells = new Dictionary<int, string>();
        foreach (DerivationStep step in derivation.Steps)
        {
            Cell value = step.Row is { } row ? Cell.Formula(StepFormula(row, step, cells), step.Value, CellStyle.Number) : Cell.Figure(step.Value, CellStyle.Number);
            int at = _steps.Add(Cell.Words(step.Variable.Label), value, Cell.Words(step.Row?.Words ?? (step.Value == 0 ? "it cannot be negative" : "it may be anything; this is one choice"), CellStyle.Note));
            cells[step.Variable.Index] = $"B{at}";
        }
        Objective objective = SystemBuilder.ObjectiveOf(_analysis.Systems[bound.Layer].System, bound.Target.Quantity, bound.Quarter, _analysis.Definition)!;
        string formula = objective.IsRatio ? $"({Sum(objective.Numerator, cells)})/({Sum(objective.Denominator, cells)})" : Sum(objective.Numerator, cells);
        double end = derivation.End == CertificateEnd.Low ? bound.Range.Low : bound.Range.High;
        int result = _steps.Add(Cell.Words(bound.Target.Label, CellStyle.Header), Cell.Formula(formula, end, objective.IsRatio ? CellStyle.Percent : CellStyle.Number), Cell.Words(bound.Target.Basis, CellStyle.Note));
        return _steps.Reference(result, 2);
    }

    /// <summary>The row, solved for the step's unknown: (end - the other terms) / its factor, with factors and ends that come from the inputs.</summary>
    private string StepFormula(SystemRow row, DerivationStep step, Dictionary<int, string> cells)
    {
        if (row.Ratio is { } ratio)
        {
            string level = InputCell(row, row.Range.Low.Equals(step.End) && double.IsFinite(row.Range.Low), ratio.Level);
            string Factor(int v) => Coefficient(ratio.Numerator, v) is var a && Coefficient(ratio.Denominator, v) is var b && b == 0 ? N(a) : a == 0 ? $"(-{level}*{N(b)})" : $"({N(a)}-{level}*{N(b)})";
            IEnumerable<int> others = row.Terms.Select(t => t.Variable).Concat(ratio.Denominator.Terms.Select(t => t.Variable)).Concat(ratio.Numerator.Terms.Select(t => t.Variable)).Distinct().Where(v => v != step.Variable.Index);
            string known = string.Join('+', others.Select(v => $"{Factor(v)}*{cells[v]}"));
            string constant = $"({N(ratio.Numerator.Constant)}-{level}*{N(ratio.Denominator.Constant)})";
            return $"-({(known.Length > 0 ? known + "+" : "")}{constant})/{Factor(step.Variable.Index)}";
        }
        string end = row.Facts.Length > 0 && row.Terms.Length >= 1 && row.Kind == RowKind.Reported ? FactEnd(row.Facts[0], step.End)
            : row.Kind == RowKind.Assumption ? InputCell(row, step.End.Equals(row.Range.Low), step.End) : N(step.End);
        double own = row.Terms.First(t => t.Variable == step.Variable.Index).Factor;
        string rest = string.Concat(row.Terms.Where(t => t.Variable != step.Variable.Index).Select(t => $"-({N(t.Factor)})*{cells[t.Variable]}"));
        return own == 1 ? $"{end}{rest}" : $"({end}{rest})/({N(own)})";
    }

    private string InputCell(SystemRow row, bool low, double otherwise)
    {
        string key = row.Facts.Length > 0 ? row.Facts[0].Id : $"{row.Layer}:{row.Place}";
        return _inputRows.TryGetValue(key, out int at) ? _inputs.Reference(at, low ? LowColumn : HighColumn) : N(otherwise);
    }

    /// <summary>The end of a published number, perhaps scaled: a quarter of a yearly rate, or with the sign turned.</summary>
    private string FactEnd(Fact fact, double end)
    {
        Interval value = fact.Value!.Value;
        foreach (double factor in new[] { 1, 0.25, -1 })
            foreach (int column in new[] { LowColumn, HighColumn })
                if (Math.Abs((column == LowColumn ? value.Low : value.High) * factor - end) <= 1e-9 * Math.Max(1, Math.Abs(end)))
                    return factor == 1 ? _inputs.Reference(_inputRows[fact.Id], column) : $"{N(factor)}*{_inputs.Reference(_inputRows[fact.Id], column)}";
        return N(end);
    }

    private void WriteTieOuts()
    {
        _tieOuts.Add(Headers("Measure", "Year", "Quarter 1", "Quarter 2", "Quarter 3", "Quarter 4", "Sum", "Published", "Difference"));
        foreach (TieOutResult tie in _analysis.TieOuts.Where(t => t.Refused is null))
        {
            int row = _tieOuts.NextRow;
            _tieOuts.Add([Cell.Words(tie.Measure.ToString()), Cell.Words(tie.Year), .. tie.Quarters.Select(q => Cell.Figure(q.Value!.Value.Middle, CellStyle.InputNumber)),
                Cell.Formula($"SUM(C{row}:F{row})", tie.Sum, CellStyle.Number), Cell.Figure(tie.Total!.Value!.Value.Middle, CellStyle.InputNumber), Cell.Formula($"G{row}-H{row}", tie.Difference, CellStyle.Number)]);
        }
    }

    /// <summary>Years until the capital is back: ln(1 + K / (R (c / ln(1+g) - k))) / ln(1+g), and K / (c R) without growth.</summary>
    private void WritePayback()
    {
        if (_analysis.Payback is not { } payback) { _payback.Add(Cell.Words("Too little is published for a payback.")); return; }
        PaybackSetting setting = payback.Setting;
        _payback.Add(Headers("Input", "Low", "High"));
        int capital = _payback.Add(Cell.Words($"Capital of {setting.Quarters} quarters, {_analysis.Model.Unit}"), Cell.Figure(payback.CapitalSpent.Low, CellStyle.InputNumber), Cell.Figure(payback.CapitalSpent.High, CellStyle.InputNumber));
        int share = _payback.Add(Cell.Words("Share of it for AI (assumed)"), Cell.Figure(setting.Share.Low, CellStyle.InputPercent), Cell.Figure(setting.Share.High, CellStyle.InputPercent));
        int revenue = _payback.Add(Cell.Words("AI revenue a year (last quarter x 4)"), Cell.Figure(payback.RevenuePerYear.Low, CellStyle.InputNumber), Cell.Figure(payback.RevenuePerYear.High, CellStyle.InputNumber));
        int cash = _payback.Add(Cell.Words("Cash left of it before depreciation (assumed)"), Cell.Figure(setting.CashMargin.Low, CellStyle.InputPercent), Cell.Figure(setting.CashMargin.High, CellStyle.InputPercent));
        int reinvested = _payback.Add(Cell.Words("Capital per unit of yearly revenue added (assumed)"), Cell.Figure(setting.Reinvested.Low, CellStyle.InputNumber), Cell.Figure(setting.Reinvested.High, CellStyle.InputNumber));
        int behind = _payback.Add(Cell.Words("Capital behind AI"), Cell.Formula($"B{capital}*B{share}", payback.Capital.Low, CellStyle.Number), Cell.Formula($"C{capital}*C{share}", payback.Capital.High, CellStyle.Number));
        _payback.Skip();
        _payback.Add(Headers("Growth of AI revenue a year", "Growth", "Years, at least", "Years, at most", "with reinvestment, at least", "with reinvestment, at most"));
        foreach (PaybackRow row in payback.Rows)
        {
            int at = _payback.NextRow;
            string Formula(string k, string r, string c, string added) => $"IF(B{at}=0,{k}/({c}*{r}),IF({c}/LN(1+B{at})<={added},\"never\",LN(1+{k}/({r}*({c}/LN(1+B{at})-{added})))/LN(1+B{at})))";
            string best = Formula($"$B${behind}", $"$C${revenue}", $"$C${cash}", $"$B${reinvested}"), worst = Formula($"$C${behind}", $"$B${revenue}", $"$B${cash}", $"$B${reinvested}");
            string bestFed = Formula($"$B${behind}", $"$C${revenue}", $"$C${cash}", $"$C${reinvested}"), worstFed = Formula($"$C${behind}", $"$B${revenue}", $"$B${cash}", $"$C${reinvested}");
            _payback.Add(Cell.Words(row.Growth == 0 ? "none (static)" : "growth path"), Cell.Figure(row.Growth, CellStyle.InputPercent), Cell.Formula(best, row.Years.Low, CellStyle.Number), Cell.Formula(worst, row.Years.High, CellStyle.Number),
                Cell.Formula(bestFed, row.YearsReinvesting.Low, CellStyle.Number), Cell.Formula(worstFed, row.YearsReinvesting.High, CellStyle.Number));
        }
    }

    private void WriteDisclosure()
    {
        _disclosure.Add(Cell.Words("Solved, not computed here: each figure is a linear programme.", CellStyle.Note));
        _disclosure.Add(Headers("Target", "Line that could be published", "After layer", "Width today", "Removed at least", "Removed in the middle", "Rests on rows"));
        foreach (DisclosureValue value in _analysis.Disclosures)
        {
            CellStyle style = value.Target.Quantity.IsRatio ? CellStyle.Percent : CellStyle.Number;
            _disclosure.Add(Cell.Words(value.Target.Label), Cell.Words(value.Line.Label), Cell.Words(_analysis.Systems[value.Layer].Label), Cell.Figure(value.Before, style), Cell.Figure(value.Guaranteed, style), Cell.Figure(value.Expected, style),
                Cell.Words(string.Join(' ', value.Rows.Where(r => r.Kind == RowKind.Assumption).Select(r => r.Place).Concat(value.Facts.Select(f => f.Place)).Distinct()), CellStyle.Note));
        }
    }

    private void WriteSources()
    {
        _sources.Add(Headers("Row", "Period", "Measure", "Printed", "Low", "High", "Tier", "Source"));
        foreach (Fact fact in _analysis.Book.Facts)
        {
            CellStyle style = fact.IsPercent ? CellStyle.Percent : CellStyle.Number;
            _sources.Add(Cell.Figure(fact.Place.Line, CellStyle.Text), Cell.Words(fact.FiscalPeriod), Cell.Words($"{fact.Measure}{(fact.Of.Length > 0 ? $" ({fact.Of})" : "")}"), Cell.Words($"{fact.Printed} {fact.Unit}"),
                fact.Value is { } v ? Cell.Figure(v.Low, style) : Cell.Words(""), fact.Value is { } w ? Cell.Figure(w.High, style) : Cell.Words(""), Cell.Words(fact.IsDerived ? $"D {fact.Tier}" : fact.Tier.ToString()), Cell.Words(fact.Source.OriginalString, CellStyle.Note));
        }
    }

    private static Cell[] Headers(params string[] names) => [.. names.Select(n => Cell.Words(n, CellStyle.Header))];

    private static string Sum(LinearForm form, Dictionary<int, string> cells)
    {
        string terms = string.Join('+', form.Terms.Select(t => t.Factor == 1 ? cells[t.Variable] : $"({N(t.Factor)})*{cells[t.Variable]}"));
        return form.Constant == 0 && terms.Length > 0 ? terms : $"{terms}{(terms.Length > 0 ? "+" : "")}({N(form.Constant)})";
    }

    private static double Coefficient(LinearForm form, int variable) => form.Terms.Where(t => t.Variable == variable).Sum(t => t.Factor);

    private static string N(double value) => value.ToString("R", CultureInfo.InvariantCulture);
}
