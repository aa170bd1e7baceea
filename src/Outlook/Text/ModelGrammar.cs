using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>The parts of which statements are made: sums, quotients, ranges, measures, reaches and reasons.</summary>
internal static class ModelGrammar
{
    private const int LagMax = 40;

    /// <summary>The statement without its comment, as an error or a certificate quotes it.</summary>
    public static string Plain(string line)
    {
        bool quoted = false;
        for (int i = 0; i < line.Length; i++)
        {
            if (line[i] == '"') quoted = !quoted;
            if (line[i] == '#' && !quoted) return line[..i].Trim();
        }
        return line.Trim();
    }

    public static string Because(Tokens t) => t.TryTake("because") ? t.Text("the reason") : "";

    public static Reach Reach(Tokens t)
    {
        Quarter? from = t.TryTake("from") ? t.Quarter() : null;
        Quarter? to = t.TryTake("to") ? t.Quarter() : null;
        return new Reach(from, to);
    }

    public static Measure Measure(Tokens t)
    {
        string metric = t.Word("a metric");
        t.Expect("of");
        return new Measure(metric, t.Text("a segment"));
    }

    public static ImmutableArray<Measure> Measures(Tokens t)
    {
        var measures = ImmutableArray.CreateBuilder<Measure>();
        do measures.Add(Measure(t)); while (t.TryTake(","));
        return measures.ToImmutable();
    }

    /// <summary>Sum, Sum / Sum, or Sum / Sum - 1.</summary>
    public static ModelQuantity Quantity(Tokens t)
    {
        ModelForm numerator = Form(t);
        if (!t.TryTake("/")) return new ModelQuantity(numerator, null);
        ModelForm denominator = Form(t, stopAtMinusOne: true);
        if (!t.TryTake("-")) return new ModelQuantity(numerator, denominator);
        if (t.Number("1") != 1) throw t.WrongBefore("cannot be taken from a quotient: only 1 can, for a growth rate");
        return new ModelQuantity(numerator.Minus(denominator), denominator);
    }

    /// <summary>One sum compared with another: as a form and the range it lies in. Strict and weak comparison have the same closure.</summary>
    public static (ModelForm Form, Interval Range) Inequality(Tokens t)
    {
        ModelForm left = Form(t);
        Token sign = t.Take();
        ModelForm form = left.Minus(Form(t));
        return sign.Text switch
        {
            ">" or ">=" => (form, Interval.AtLeast(0)),
            "<" or "<=" => (form, Interval.AtMost(0)),
            _ => throw t.Fail($"column {sign.Column}: <, <=, > or >= was expected, not '{sign.Text}'."),
        };
    }

    public static ModelForm Form(Tokens t, bool stopAtMinusOne = false)
    {
        ModelForm form = Term(t, t.TryTake("-") ? -1 : 1);
        while (t.Peek.Kind == TokenKind.Symbol && t.Peek.Text is "+" or "-")
        {
            if (stopAtMinusOne && t.Peek.Text == "-" && t.PeekSecond is { Kind: TokenKind.Number, Value: 1 }) break;
            double sign = t.Take().Text == "-" ? -1 : 1;
            form = form.Minus(Term(t, sign), -1);
        }
        return form;
    }

    private static ModelForm Term(Tokens t, double sign)
    {
        if (t.TryTake("("))
        {
            ModelForm inner = Form(t);
            t.Expect(")");
            return new ModelForm([], 0).Minus(inner, -sign);
        }
        if (t.Peek.Kind is TokenKind.Number or TokenKind.Percent)
        {
            Token number = t.Take();
            if (t.TryTake("*")) return Term(t, sign * number.Value);
            return number.Kind == TokenKind.Number
                ? new ModelForm([], sign * number.Value)
                : throw t.WrongBefore("mixes units: a percentage can only multiply a line");
        }
        string name = t.Word("a line");
        if (name == "year" && t.TryTake("("))
        {
            ModelForm inner = Form(t);
            t.Expect(")");
            return new ModelForm([], 0).Minus(inner.OverQuarters(4), -sign);
        }
        if (name.Contains('@', StringComparison.Ordinal))
            throw t.WrongBefore("splices segment definitions: a statement speaks of one definition at a time; declare a recast and let the comparatives be published on it");
        return new ModelForm([new ModelTerm(sign, new LineReference(name, Lag(t)))], 0);
    }

    private static int Lag(Tokens t)
    {
        if (!t.TryTake("[")) return 0;
        double lag = t.Number("quarters back, such as -4");
        t.Expect("]");
        return lag is <= 0 and >= -LagMax && lag == Math.Floor(lag) ? (int)lag : throw t.Fail($"a lag of {lag} quarters: write whole quarters back, 0 to -{LagMax}.");
    }

    /// <summary>payback revenue NAME capital NAME quarters 8 share 60%..90% cash 30%..60% reinvested 0..1 years 3</summary>
    public static PaybackSetting Payback(Tokens t)
    {
        t.Expect("revenue");
        string revenue = t.Word("a line");
        t.Expect("capital");
        string capital = t.Word("a line");
        t.Expect("quarters");
        double quarters = t.Number("how many quarters of capital");
        t.Expect("share");
        Interval share = t.Range("the share of it that is AI");
        t.Expect("cash");
        Interval cash = t.Range("cash per unit of revenue");
        t.Expect("reinvested");
        Interval reinvested = t.Range("capital per unit of yearly revenue added");
        t.Expect("years");
        double years = t.Number("the payback asked for");
        if (quarters is < 1 or > 40 || years is <= 0 or > 50) throw t.Fail("a payback needs 1 to 40 quarters of capital and a period of at most 50 years.");
        return new PaybackSetting(t.Place, revenue, capital, (int)quarters, share, cash, reinvested, years, Because(t));
    }

    /// <summary>glide capital NAME depreciation NAME life 4..6 lag 1..3 depreciable 80%..100%</summary>
    public static GlideSetting Glide(Tokens t)
    {
        t.Expect("capital");
        string capital = t.Word("a line");
        t.Expect("depreciation");
        string depreciation = t.Word("a line");
        t.Expect("life");
        Interval life = t.Range("the useful life in years");
        t.Expect("lag");
        Interval lag = t.Range("quarters until in service");
        t.Expect("depreciable");
        Interval depreciable = t.Range("the share that depreciates");
        if (life.Low <= 0 || lag.Low < 0) throw t.Fail("a useful life is positive and a lag is not negative.");
        return new GlideSetting(t.Place, capital, depreciation, life, lag, depreciable, Because(t));
    }

    /// <summary>A number, or uniform a, b; triangular a, b, c; pert a, b, c; normal mean, deviation; lognormal median, factor.</summary>
    public static DriverDistribution Distribution(Tokens t)
    {
        if (t.Peek.Kind != TokenKind.Word) return new FixedValue(t.Number("a number or a distribution"));
        string kind = t.Word("a distribution");
        double a = t.Number("a number");
        t.Expect(",");
        double b = t.Number("a number");
        if (kind is "triangular" or "pert")
        {
            t.Expect(",");
            double c = t.Number("a number");
            if (!(a <= b && b <= c)) throw t.Fail($"{kind} needs its low end, its most likely value and its high end in this order.");
            return kind == "pert" ? new PertRange(a, b, c) : new TriangularRange(a, b, c);
        }
        return kind switch
        {
            "uniform" when a <= b => new UniformRange(a, b),
            "normal" when b >= 0 => new NormalSpread(a, b),
            "lognormal" when a > 0 && b >= 1 => new LogNormalSpread(a, b),
            "uniform" or "normal" or "lognormal" => throw t.Fail($"{kind} {a}, {b} is no distribution: uniform low, high; normal mean, deviation; lognormal median, factor of at least 1."),
            _ => throw t.Fail($"'{kind}' is not a distribution: use a number, uniform a, b; triangular a, b, c; pert a, b, c; normal mean, deviation; lognormal median, factor."),
        };
    }
}
