namespace Qanat.Books.Tests;

/// <summary>The "expect" statements about invoices, cash and segments.</summary>
internal static class LedgerReports
{
    public static async Task InvoiceAsync(LedgerLine line, LedgerBook book)
    {
        Declarations declared = await Declarations.ReadAsync(book.Store);
        InvoiceStatus status = InvoiceRegister.At(declared, line.NeedTime("at")).Single(s => s.Invoice.Number == line.Word(2));
        foreach ((string name, string expected) in LedgerExpectation.Figures(line))
        {
            LedgerExpectation.Equal(line, name + " " + expected, name + " " + name switch
            {
                "exact" => status.Invoice.Exact.ToDecimalText(),
                "total" => status.Invoice.Total.ToDecimalText(),
                "rounding" => (status.Invoice.Total - status.Invoice.Exact).ToDecimalText(),
                "state" => status.State.ToString().ToLowerInvariant(),
                "credited" => status.Credited.ToDecimalText(),
                "paid" => status.Paid.ToDecimalText(),
                "open" => status.Open.ToDecimalText(),
                _ => throw line.Wrong($"'{name}' is not a figure of an invoice"),
            });
        }
    }

    public static async Task CashAsync(LedgerLine line, LedgerBook book)
    {
        var period = new Period(line.FindTime("from") ?? Period.All.From, line.FindTime("to") ?? Period.All.To);
        CashFlow flow = (await CashFlow.ReadAsync(book.Store, period)).Single(f => f.Opening.Currency == book.Currency);
        TrialBalance trial = await Statements.TrialBalanceAsync(book.Store, period.To);
        Assert.Equal(trial.Accounts.Single(a => a.Account == Accounts.Cash && a.Amount.Currency == book.Currency).Amount, flow.Closing);
        Assert.Equal(flow.Closing - flow.Opening, flow.Lines.Aggregate(Money.Zero(book.Currency), (sum, l) => sum + l.Amount));
        foreach ((string name, string expected) in LedgerExpectation.Figures(line))
        {
            LedgerExpectation.Equal(line, name + " " + expected, name + " " + (name switch
            {
                "opening" => flow.Opening,
                "operating" => flow.Operating,
                "investing" => flow.Investing,
                "financing" => flow.Financing,
                "exchange" => flow.Exchange,
                "closing" => flow.Closing,
                _ => throw line.Wrong($"'{name}' is not a figure of a cash flow"),
            }).ToDecimalText());
        }
    }

    public static async Task AttributedAsync(LedgerLine line, LedgerBook book)
    {
        CashAttribution of = line.Find("pool") is { } pool ? CashAttribution.Of([new PoolName(pool)]) : CashAttribution.Of([new ModelName(line.Find("model") ?? throw line.Wrong("a pool or a model is needed"))]);
        Instant month = line.NeedTime("month");
        AttributedMonth? found = (await AttributedCash.ReadAsync(book.Store, of, book.Currency, month)).FirstOrDefault();
        if (line.After(":").Trim() == "none")
        {
            Assert.Null(found);
            return;
        }
        AttributedMonth flow = found ?? throw line.Wrong("that month is not closed");
        foreach ((string name, string expected) in LedgerExpectation.Figures(line))
        {
            LedgerExpectation.Equal(line, name + " " + expected, name + " " + (name switch
            {
                "revenue" => flow.Revenue,
                "cost" => flow.OperatingCost,
                "capital" => flow.Capital,
                _ => throw line.Wrong($"'{name}' is not a figure of an investment's month"),
            }).ToDecimalText());
        }
    }

    public static async Task SegmentAsync(LedgerLine line, LedgerBook book)
    {
        SegmentNote note = (await SegmentNote.ReadAsync(book.Store, Period.All, SegmentStandard.Asc280)).Single(n => n.Currency == book.Currency);
        ProfitTotal result = (await Statements.ProfitAndLossAsync(book.Store, Period.All, GroupBy.None)).Totals.Single(t => t.Revenue.Currency == book.Currency);
        Assert.Equal(result.Result, note.Total);
        string segment = line.Span(2, ":");
        SegmentRow? row = note.Segments.FirstOrDefault(s => s.Segment == segment);
        Money Of(Func<SegmentRow, Money> figure) => row is null ? throw line.Wrong($"there is no segment '{segment}'") : figure(row);
        foreach ((string name, string expected) in LedgerExpectation.Figures(line))
        {
            LedgerExpectation.Equal(line, name + " " + expected, name + " " + (name switch
            {
                "external" => Of(r => r.ExternalRevenue),
                "intersegment" => Of(r => r.IntersegmentRevenue),
                "significant" => Of(r => r.Significant.Aggregate(Money.Zero(book.Currency), (sum, e) => sum + e.Amount)),
                "other" => Of(r => r.Other),
                "result" => Of(r => r.Result),
                "unallocated" => note.Unallocated.Aggregate(Money.Zero(book.Currency), (sum, e) => sum + e.Amount),
                "eliminated" => note.Eliminated,
                "total" => note.Total,
                _ => throw line.Wrong($"'{name}' is not a figure of a segment"),
            }).ToDecimalText());
        }
    }
}
