using System.Collections.Immutable;
using System.Globalization;
using Qanat.Books;

namespace Qanat.Outlook;

/// <summary>
/// The base case of an investment as a workbook with live formulas: drivers in blue, every month computed from them in black, the measures computed from the months. Months that the books have
/// closed stand beside the model in blue and replace it. What was drawn at random (ranges, probabilities) is written as it was found and marked so.
/// </summary>
internal sealed class InvestmentWorkbook
{
    private const int FirstMonthRow = 2;
    private readonly InvestmentAnalysis _analysis;
    private readonly Investment _investment;
    private readonly Sheet _about = new("About", 110);
    private readonly Sheet _inputs = new("Inputs", 7, 46, 16, 14, 14, 40, 80);
    private readonly Sheet _months = new("Months", [10, 8, .. Enumerable.Repeat(14.0, 28)]);
    private readonly Sheet _results = new("Results", 48, 20, 20, 12);
    private readonly Sheet _ranges = new("Ranges", 48, 18, 18, 18, 40);
    private readonly Dictionary<Driver, string> _drivers = [];
    private string _discount = "", _tax = "", _life = "", _count = "", _outlayAmounts = "", _outlayMonths = "", _outlayKinds = "";

    private InvestmentWorkbook(InvestmentAnalysis analysis) => (_analysis, _investment) = (analysis, analysis.Investment);

    private int Last => FirstMonthRow + _investment.Months - 1;

    public static byte[] Write(InvestmentAnalysis analysis)
    {
        var book = new InvestmentWorkbook(analysis);
        book.WriteAbout();
        book.WriteInputs();
        book.WriteMonths();
        book.WriteResults();
        book.WriteRanges();
        return XlsxFile.Write([book._about, book._inputs, book._months, book._results, book._ranges]);
    }

    private void WriteAbout()
    {
        _about.Add(Cell.Words($"{_investment.Title}: base case, {_investment.Currency.Code}", CellStyle.Title));
        foreach (string line in new[]
        {
            "Blue: inputs, assumed or closed by the books. Black: formulas. Change an input and every month and measure follows.",
            "Inputs: each driver at its median, with the range it was drawn from. Months: cash month by month. Results: the measures, beside what this program computed when the file was written.",
            "Ranges: what the drawn cases gave. They are not formulas: a spreadsheet does not draw a hundred thousand cases.",
            $"Lines are lines of {_investment.File}.",
        }) _about.Add(Cell.Words(line));
        foreach (string note in _investment.Notes) _about.Add(Cell.Words(note, CellStyle.Note));
    }

    private void WriteInputs()
    {
        _inputs.Add(Headers("Line", "Setting", "Value"));
        _discount = Setting("Discount rate a year", Cell.Figure(_investment.DiscountRate, CellStyle.InputPercent));
        _tax = Setting("Tax rate", Cell.Figure(_investment.TaxRate, CellStyle.InputPercent));
        _count = Setting($"Months looked at, from {_investment.Start}", Cell.Figure(_investment.Months, CellStyle.Number));
        _inputs.Skip();
        _inputs.Add(Headers("Line", "Driver", "Base case", "P10", "P90", "Drawn from", "Because"));
        foreach (Driver driver in Enum.GetValues<Driver>())
        {
            DriverSetting? setting = _investment.Drivers.FirstOrDefault(d => d.Driver == driver);
            double value = _investment[driver].Median;
            bool spread = setting is { Distribution.IsCertain: false };
            int row = _inputs.Add(Cell.Figure(setting?.Place.Line ?? double.NaN, CellStyle.Text), Cell.Words(setting?.Label ?? InvestmentText.NameOf(driver).Replace('_', ' ')),
                double.IsFinite(value) ? Cell.Figure(value, CellStyle.InputNumber) : Cell.Words("unlimited"),
                Cell.Figure(spread ? setting!.Distribution.Quantile(0.1) : double.NaN, CellStyle.Number), Cell.Figure(spread ? setting!.Distribution.Quantile(0.9) : double.NaN, CellStyle.Number),
                Cell.Words(setting is null ? "not given: without effect" : setting.Distribution.ToString()!), Cell.Words(setting?.Because ?? "", CellStyle.Note));
            _drivers[driver] = _inputs.Reference(row, 3);
        }
        _life = Setting("Useful life, months", Cell.Formula($"MAX(1,MIN({_count},ROUND({_drivers[Driver.UsefulLife]}*12,0)))", _analysis.Table.Life, CellStyle.Number));
        _inputs.Skip();
        _inputs.Add(Headers("Line", "Outlay", "Amount", "Month", "Kind", "", "Because"));
        int first = _inputs.NextRow;
        foreach (Outlay outlay in _investment.Outlays)
            _inputs.Add(Cell.Figure(outlay.Place.Line, CellStyle.Text), Cell.Words(outlay.Label), Cell.Figure(outlay.Amount, CellStyle.InputNumber), Cell.Figure(Math.Max(0, outlay.Month.Since(_investment.Start)), CellStyle.InputNumber),
                Cell.Words(outlay.Kind == OutlayKind.Equipment ? "equipment" : "training"), Cell.Words(outlay.Month.ToString()), Cell.Words(outlay.Because, CellStyle.Note));
        int last = Math.Max(first, _inputs.NextRow - 1);
        string Column(int column) => $"{_inputs.Reference(first, column)}:{Sheet.Address(last, column)}";
        (_outlayAmounts, _outlayMonths, _outlayKinds) = (Column(3), Column(4), Column(5));
    }

    private string Setting(string label, Cell value) => _inputs.Reference(_inputs.Add(Cell.Words(""), Cell.Words(label), value), 3);

    /// <summary>The columns of a month. Letters are used in formulas below.</summary>
    private static readonly ImmutableArray<string> MonthColumns =
    [
        "Month", "Index", "In use", "Utilisation", "Planned", "Demand", "Sold", "Price", "Revenue", "Running cost", "Equipment", "Training", "Depreciation added", "Depreciation", "Residual",
        "Profit", "Loss carried", "Tax", "Net cash", "Cumulated", "Discount factor", "Discounted", "Cumulated, discounted", "Book value", "Payback", "Discounted payback", "Economic value",
        "Books: revenue", "Books: cost", "Books: capital",
    ];

    private void WriteMonths()
    {
        _months.Add(Headers([.. MonthColumns]));
        CashTable table = _analysis.Table;
        double sum = 0, worth = 0, carried = 0;
        for (int t = 0; t < _investment.Months; t++)
        {
            double factor = Math.Pow(1 + _investment.DiscountRate, -t / 12.0);
            (sum, worth) = (sum + table.Net[t], worth + table.Net[t] * factor);
            double profit = table.Revenue[t] - table.OperatingCost[t] - table.Depreciation[t] - TrainingOf(table, t);
            carried = Math.Max(0, carried - profit);
            WriteMonth(t, [table.Revenue[t], table.OperatingCost[t], table.Depreciation[t], profit, carried, table.Tax[t], table.Net[t], sum, factor, worth, table.Book[t]]);
        }
    }

    private double TrainingOf(CashTable table, int t)
    {
        double before = t == 0 ? 0 : table.Book[t - 1], scrap = t == table.Life - 1 ? table.Scrap : 0;
        return table.Outlay[t] - (table.Book[t] - before + table.Depreciation[t] + scrap);
    }

    /// <param name="now">Revenue, cost, depreciation, profit, loss carried, tax, net, cumulated, factor, cumulated discounted, book value: as computed now.</param>
    private void WriteMonth(int t, double[] now)
    {
        int row = FirstMonthRow + t;
        string r = row.ToString(CultureInfo.InvariantCulture), p = (row - 1).ToString(CultureInfo.InvariantCulture);
        string D(Driver driver) => _drivers[driver];
        string Grown(Driver level, Driver growth) => $"{D(level)}*(1+{D(growth)})^(B{r}/12)";
        string Before(string column) => t == 0 ? "0" : column + p;
        string Bought(string kind) => $"SUMIFS({_outlayAmounts},{_outlayMonths},B{r},{_outlayKinds},\"{kind}\")";
        string power = $"{D(Driver.PowerKw)}*{D(Driver.Pue)}*{(8766.0 / 12).ToString("R", CultureInfo.InvariantCulture)}*({D(Driver.IdleShare)}+(1-{D(Driver.IdleShare)})*IF({D(Driver.Capacity)}>0,G{r}/{D(Driver.Capacity)},0))*{Grown(Driver.Tariff, Driver.TariffGrowth)}";
        ActualCashFlow? actual = _investment.Actuals.FirstOrDefault(a => a.Month == _investment.Start.Plus(t));
        Cell F(string formula, double value = double.NaN, CellStyle style = CellStyle.Number) => Cell.Formula(formula, value, style);
        Cell Closed(Func<ActualCashFlow, Money> amount) => actual is null ? Cell.Words("") : Cell.Figure((double)amount(actual).Picos / Money.PicosPerUnit, CellStyle.InputNumber);
        _months.Add(Cell.Words(_investment.Start.Plus(t).ToString()), Cell.Figure(t, CellStyle.Text), F($"IF(B{r}<{_life},1,0)"),
            F($"{D(Driver.UtilisationStart)}+({D(Driver.UtilisationEnd)}-{D(Driver.UtilisationStart)})*MIN(1,B{r}/MAX(1,{D(Driver.RampMonths)}))", double.NaN, CellStyle.Percent),
            F($"{D(Driver.Capacity)}*D{r}"), F($"IF(ISNUMBER({D(Driver.DemandStart)}),{Grown(Driver.DemandStart, Driver.DemandGrowth)},E{r})"), F($"IF(C{r}=1,MIN(E{r},F{r}),0)"),
            F($"{D(Driver.Price)}*{D(Driver.PriceRealised)}*(1-{D(Driver.PriceDecline)})^(B{r}/12)"),
            F($"IF(ISNUMBER(AB{r}),AB{r},G{r}*H{r})", now[0]), F($"IF(ISNUMBER(AC{r}),AC{r},IF(C{r}=1,G{r}*{D(Driver.UnitCost)}+{power}+{Grown(Driver.FixedCost, Driver.FixedCostGrowth)},0))", now[1]),
            F($"IF(C{r}=1,IF(ISNUMBER(AD{r}),MAX(0,AD{r}-{Bought("training")}),{Bought("equipment")}),0)"),
            F($"IF(ISNUMBER(AD{r}),MAX(0,AD{r}-K{r}),IF(C{r}=1,{Bought("training")},0))"), F($"IF(C{r}=1,K{r}*(1-{D(Driver.Residual)})/({_life}-B{r}),0)"), F($"IF(C{r}=1,SUM(M${FirstMonthRow}:M{r}),0)", now[2]),
            F($"IF(B{r}={_life}-1,SUM(K${FirstMonthRow}:K{r})*{D(Driver.Residual)},0)"), F($"I{r}-J{r}-N{r}-L{r}", now[3]), F($"MAX(0,{Before("Q")}-P{r})", now[4]), F($"MAX(0,P{r}-{Before("Q")})*{_tax}", now[5]),
            F($"I{r}-J{r}-R{r}-K{r}-L{r}+O{r}", now[6]), F($"{Before("T")}+S{r}", now[7]), F($"(1+{_discount})^(-B{r}/12)", now[8]), F($"S{r}*U{r}", now[6] * now[8]), F($"{Before("W")}+V{r}", now[9]),
            F($"IF(B{r}>={_life}-1,0,{Before("X")}+K{r}-N{r})", now[10]), F($"IF(AND({Before("T")}<0,T{r}>=0),B{r}+IF(S{r}>0,-{Before("T")}/S{r},0),0)"), F($"IF(AND({Before("W")}<0,W{r}>=0),B{r}+IF(V{r}>0,-{Before("W")}/V{r},0),0)"),
            F($"(P{r}-R{r}-((1+{_discount})^(1/12)-1)*{Before("X")})*U{r}"), Closed(a => a.Revenue), Closed(a => a.OperatingCost), Closed(a => a.CapitalSpent));
    }

    private void WriteResults()
    {
        InvestmentMeasures measures = _analysis.Base;
        string All(string column) => $"'Months'!${column}${FirstMonthRow}:${column}${Last}";
        string InLife(string column) => $"'Months'!${column}${FirstMonthRow}:INDEX({All(column)},{_life})";
        string End(string column) => $"'Months'!${column}${Last}";
        _results.Add(Headers("Measure", "Formula", "When written", "Same?"));
        Measure($"Net present value, {_investment.Currency.Code}", $"SUM({All("V")})", measures.NetPresentValue, CellStyle.Number);
        Measure("Payback, months", $"IF({End("T")}<0,\"never\",MAX({All("Y")}))", measures.PaybackMonths, CellStyle.Number);
        Measure("Discounted payback, months", $"IF({End("W")}<0,\"never\",MAX({All("Z")}))", measures.DiscountedPaybackMonths, CellStyle.Number);
        if (measures.InternalRates.Count == 1) Measure("Internal rate a year", $"(1+IRR({All("S")},{Guess(measures.InternalRates[0])}))^12-1", measures.InternalRates[0], CellStyle.Percent);
        else _results.Add(Cell.Words("Internal rate a year"), Cell.Words(measures.InternalRates.Count == 0 ? "none" : $"{measures.InternalRates.Count} roots: no meaning"));
        if (double.IsFinite(measures.ModifiedInternalRate)) Measure("Modified internal rate a year", $"(1+MIRR({InLife("S")},(1+{_discount})^(1/12)-1,(1+{_discount})^(1/12)-1))^12-1", measures.ModifiedInternalRate, CellStyle.Percent);
        Measure("Return on investment, of all outlays", $"IF(SUM({All("K")})+SUM({All("L")})>0,SUM({All("S")})/(SUM({All("K")})+SUM({All("L")})),\"n/a\")", measures.ReturnOnInvestment, CellStyle.Percent);
        Measure("Return on capital a year, of mean book value", $"IF(SUM({All("X")})>0,(SUM({All("P")})-SUM({All("R")}))/({_life}/12)/(SUM({All("X")})/{_life}),\"n/a\")", measures.ReturnOnCapital, CellStyle.Percent);
        Measure($"Economic value added, present value, {_investment.Currency.Code}", $"SUM({All("AA")})", measures.EconomicValue, CellStyle.Number);
        Measure($"Outlays, {_investment.Currency.Code}", $"SUM({All("K")})+SUM({All("L")})", measures.Outlays, CellStyle.Number);
    }

    /// <summary>Where a spreadsheet begins to look for the monthly rate: near the one found, since some give up far from it.</summary>
    private static string Guess(double ratePerYear) => Math.Round(Math.Pow(1 + ratePerYear, 1.0 / 12) - 1, 3).ToString(CultureInfo.InvariantCulture);

    private void Measure(string name, string formula, double value, CellStyle style)
    {
        int row = _results.NextRow;
        bool finite = double.IsFinite(value);
        _results.Add(Cell.Words(name), Cell.Formula(formula, value, style), finite ? Cell.Figure(value, style) : Cell.Words(double.IsNaN(value) ? "n/a" : "never"),
            Cell.Formula(finite ? $"IF(ISNUMBER(B{row}),IF(ABS(B{row}-C{row})<0.000001*MAX(1,ABS(C{row})),\"same\",\"moved\"),\"moved\")" : $"IF(B{row}=C{row},\"same\",\"moved\")", double.NaN, CellStyle.Check));
    }

    private void WriteRanges()
    {
        MonteCarloResult drawn = _analysis.MonteCarlo;
        _ranges.Add(Cell.Words($"{Texts.Number(drawn.Paths, 0)} cases drawn from the drivers, seed {drawn.Seed}. Drawn, not computed here.", CellStyle.Note));
        _ranges.Add(Headers("Over all cases", "P10", "P50", "P90"));
        void Line(string name, Percentiles p, CellStyle style) => _ranges.Add(Cell.Words(name), Cell.Figure(p.P10, style), Cell.Figure(p.P50, style), Cell.Figure(p.P90, style));
        Line($"Net present value, {_investment.Currency.Code}", drawn.NetPresentValue, CellStyle.Number);
        Line("Payback, months", drawn.PaybackMonths, CellStyle.Number);
        Line("Internal rate a year", drawn.InternalRate, CellStyle.Percent);
        Line("Return on investment, of all outlays", drawn.ReturnOnInvestment, CellStyle.Percent);
        _ranges.Add(Cell.Words("Pays back within its useful life"), Cell.Words(""), Cell.Figure(drawn.ProbabilityOfPayback, CellStyle.Percent));
        _ranges.Add(Cell.Words("Net present value above zero"), Cell.Words(""), Cell.Figure(drawn.ProbabilityOfGain, CellStyle.Percent));
        _ranges.Skip();
        _ranges.Add(Headers("Driver from its P10 to its P90", "P10", "P90", "Value at P10", "Value at P90"));
        foreach (DriverBar bar in _analysis.Tornado)
            _ranges.Add(Cell.Words($"{bar.Setting.Label} (line {bar.Setting.Place.Line})"), Cell.Figure(bar.P10, CellStyle.Number), Cell.Figure(bar.P90, CellStyle.Number), Cell.Figure(bar.ValueAtP10, CellStyle.Number), Cell.Figure(bar.ValueAtP90, CellStyle.Number));
    }

    private static Cell[] Headers(params string[] names) => [.. names.Select(n => Cell.Words(n, CellStyle.Header))];
}
