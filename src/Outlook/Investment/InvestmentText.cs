using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Outlook;

/// <summary>Reads the text of an investment: one statement a line, # starts a comment. docs/outlook.md describes the language. Refuses with line and column.</summary>
public static class InvestmentText
{
    private const int MonthsMax = 360;
    private static readonly Dictionary<string, Driver> Names = Enum.GetValues<Driver>().ToDictionary(NameOf, d => d, StringComparer.Ordinal);

    /// <summary>The name of a driver in a text: UtilisationStart is utilisation_start.</summary>
    public static string NameOf(Driver driver) => string.Concat(driver.ToString().Select((c, i) => char.IsAsciiLetterUpper(c) && i > 0 ? $"_{char.ToLowerInvariant(c)}" : $"{char.ToLowerInvariant(c)}"));

    /// <exception cref="OutlookDataException">Every fault found in the text.</exception>
    public static Investment Read(string text, string file)
    {
        var faults = new List<Fault>();
        var draft = new Draft(file);
        string[] lines = text.TrimStart('\uFEFF').Split('\n');
        for (int i = 0; i < lines.Length; i++)
        {
            try
            {
                var tokens = new Tokens(lines[i].TrimEnd('\r'), new Place(file, i + 1));
                if (!tokens.AtEnd) draft.Read(tokens);
            }
            catch (OutlookDataException e)
            {
                faults.AddRange(e.Faults);
            }
        }
        draft.Check(faults);
        return faults.Count == 0 ? draft.Finish() : throw new OutlookDataException([.. faults]);
    }

    private sealed class Draft(string file)
    {
        private readonly List<Outlay> _outlays = [];
        private readonly List<DriverSetting> _drivers = [];
        private readonly List<Correlation> _correlations = [];
        private readonly List<(Place Place, ActualCashFlow Flow)> _actuals = [];
        private readonly List<string> _notes = [];
        private CashAttribution? _books;
        private string _key = "", _title = "";
        private Currency? _currency;
        private Month? _start;
        private int _months;
        private double _discount = double.NaN, _tax;

        public void Read(Tokens t)
        {
            string keyword = t.Word("a statement");
            switch (keyword)
            {
                case "investment": _key = t.Word("a short name"); _title = t.Text("the investment's name"); break;
                case "currency": ReadCurrency(t); break;
                case "start": _start = t.Month(); break;
                case "months": _months = Whole(t, "how many months are looked at", 1, MonthsMax); break;
                case "discount": _discount = Fraction(t, "the discount rate a year"); break;
                case "tax": _tax = Fraction(t, "the tax rate"); break;
                case "equipment": ReadOutlay(t, OutlayKind.Equipment); break;
                case "training": ReadOutlay(t, OutlayKind.Training); break;
                case "driver": ReadDriver(t); break;
                case "correlate": ReadCorrelation(t); break;
                case "actual": ReadActual(t); break;
                case "books": ReadBooks(t); break;
                case "note": _notes.Add(t.Text("a note")); break;
                default: throw t.WrongBefore("begins no statement: use investment, currency, start, months, discount, tax, equipment, training, driver, correlate, actual, books or note");
            }
            t.End();
        }

        public void Check(List<Fault> faults)
        {
            var top = new Place(file, 1);
            if (_key.Length == 0) faults.Add(new Fault(top, "the investment is not named: write investment gpu-2026 \"Sixteen nodes for Qwen\"."));
            if (_currency is null) faults.Add(new Fault(top, "the currency is missing: write currency USD."));
            if (_start is null) faults.Add(new Fault(top, "the start is missing: write start 2026-01."));
            if (_months == 0) faults.Add(new Fault(top, "the months are missing: write months 60."));
            if (double.IsNaN(_discount)) faults.Add(new Fault(top, "the discount rate is missing: write discount 10%."));
            foreach (Driver needed in new[] { Driver.Capacity, Driver.Price }.Where(d => _drivers.TrueForAll(s => s.Driver != d)))
                faults.Add(new Fault(top, $"the driver {NameOf(needed)} is missing: nothing would be sold without it."));
            if (_correlations.Count > 0 && DriverCopula.Factor(_drivers, _correlations) is null)
                faults.Add(new Fault(_correlations[^1].Place, "these correlations cannot all hold: their matrix is not positive definite."));
            foreach ((Place place, ActualCashFlow flow) in _actuals.Where(a => _start is { } start && a.Flow.Month < start))
                faults.Add(new Fault(place, $"{flow.Month} is before the start."));
        }

        public Investment Finish() => new()
        {
            File = file,
            Key = _key,
            Title = _title,
            Currency = _currency!.Value,
            Start = _start!.Value,
            Months = _months,
            DiscountRate = _discount,
            TaxRate = _tax,
            Outlays = [.. _outlays],
            Drivers = [.. _drivers],
            Correlations = [.. _correlations],
            Actuals = [.. _actuals.Select(a => a.Flow).OrderBy(a => a.Month)],
            Notes = [.. _notes],
            Books = _books,
        };

        private void ReadCurrency(Tokens t)
        {
            string code = t.Word("a currency such as USD");
            try
            {
                _currency = new Currency(code);
            }
            catch (ArgumentException)
            {
                throw t.WrongBefore("is not a currency: use three capital letters such as USD");
            }
        }

        private void ReadOutlay(Tokens t, OutlayKind kind)
        {
            string label = t.Text("what is bought");
            double amount;
            if (t.TryTake("price"))
            {
                double price = t.Number("the price of one");
                t.Expect("count");
                amount = price * t.Number("how many");
            }
            else
            {
                t.Expect("cost");
                amount = t.Number("the cost");
            }
            if (amount < 0) throw t.Fail("an outlay is a positive amount.");
            t.Expect("in");
            Month month = t.Month();
            _outlays.Add(new Outlay(t.Place, kind, label, amount, month, ModelGrammar.Because(t)));
        }

        private void ReadDriver(Tokens t)
        {
            Driver driver = ReadName(t);
            string label = t.Peek.Kind == TokenKind.Text ? t.Text("the label") : NameOf(driver).Replace('_', ' ');
            t.Expect("=");
            DriverDistribution distribution = ModelGrammar.Distribution(t);
            DriverSetting? twice = _drivers.Find(d => d.Driver == driver);
            if (twice is not null) throw t.Fail($"the driver {NameOf(driver)} is given twice: see line {twice.Place.Line}.");
            if (driver is Driver.UtilisationStart or Driver.UtilisationEnd && (distribution.Quantile(0.001) < -1e-9 || distribution.Quantile(0.999) > 1 + 1e-9))
                throw t.Fail("a utilisation lies between 0 % and 100 %.");
            if (driver == Driver.UsefulLife && distribution.Quantile(0.001) <= 0) throw t.Fail("a useful life is positive.");
            _drivers.Add(new DriverSetting(t.Place, driver, label, distribution, ModelGrammar.Because(t)));
        }

        private static Driver ReadName(Tokens t) => Names.TryGetValue(t.Word("a driver"), out Driver driver) ? driver : throw t.WrongBefore($"is not a driver: use {string.Join(", ", Names.Keys)}");

        private void ReadCorrelation(Tokens t)
        {
            Driver first = ReadName(t), second = ReadName(t);
            double coefficient = t.Number("a correlation between -1 and 1");
            if (Math.Abs(coefficient) >= 1 || first == second) throw t.Fail("a correlation joins two drivers and lies between -1 and 1.");
            foreach (Driver driver in new[] { first, second }.Where(d => _drivers.TrueForAll(s => s.Driver != d)))
                throw t.Fail($"the driver {NameOf(driver)} is not given: a correlation stands after both its drivers.");
            _correlations.Add(new Correlation(t.Place, first, second, coefficient));
        }

        private void ReadActual(Tokens t)
        {
            Month month = t.Month();
            if (_currency is not { } currency) throw t.Fail("actual amounts stand after the currency.");
            t.Expect("revenue");
            Money revenue = ReadMoney(t, currency);
            t.Expect("cost");
            Money cost = ReadMoney(t, currency);
            Money capital = t.TryTake("capital") ? ReadMoney(t, currency) : Money.Zero(currency);
            _actuals.Add((t.Place, new ActualCashFlow(month, revenue, cost, capital)));
        }

        /// <summary>books pool this-machine, "gpu-1", or books model "qwen3-0.6b".</summary>
        private void ReadBooks(Tokens t)
        {
            if (_books is not null) throw t.Fail("what the investment is in the books is said twice: name all its pools, or all its models, on one line.");
            string kind = t.Word("'pool' or 'model'");
            if (kind is not ("pool" or "model")) throw t.WrongBefore("is not known to the books: write books pool NAME, or books model NAME");
            var names = ImmutableArray.CreateBuilder<string>();
            do names.Add(t.Peek.Kind == TokenKind.Text ? t.Text("a name") : t.Word("a name")); while (t.TryTake(","));
            _books = kind == "pool" ? CashAttribution.Of([.. names.Select(n => new PoolName(n))]) : CashAttribution.Of([.. names.Select(n => new ModelName(n))]);
        }

        // Exact: the digits of the text, never a binary fraction of them.
        private static Money ReadMoney(Tokens t, Currency currency)
        {
            string sign = t.TryTake("-") ? "-" : "";
            Token token = t.Take();
            if (token.Kind != TokenKind.Number) throw t.WrongBefore("is not an amount");
            return Money.Parse(sign + token.Text.Replace("_", "", StringComparison.Ordinal), currency);
        }

        private static int Whole(Tokens t, string what, int least, int most)
        {
            double value = t.Number(what);
            return value == Math.Floor(value) && value >= least && value <= most ? (int)value : throw t.WrongBefore($"is not a whole number from {least} to {most}");
        }

        private static double Fraction(Tokens t, string what)
        {
            double value = t.Number(what);
            return value is >= 0 and < 1 ? value : throw t.WrongBefore("is not a rate: write e.g. 10%");
        }
    }
}
