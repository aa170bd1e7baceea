using System.Collections.Immutable;
using System.Globalization;

namespace Qanat.Books.Tests;

/// <summary>The "expect" statements of a ledger case.</summary>
internal static class LedgerExpectation
{
    public static async Task CheckAsync(LedgerLine line, LedgerBook book)
    {
        switch (line.Word(1))
        {
            case "charge": Equal(line, line.After("="), Text((await RecordAsync(line, book)).Charge, book, "unpriced")); break;
            case "cost": Equal(line, line.After("="), Text((await RecordAsync(line, book)).Cost, book, "uncosted")); break;
            case "price": Equal(line, line.After("="), (await RecordAsync(line, book)).Price is { } id ? book.NameOf(id.ToString()) : "none"); break;
            case "outcome": Equal(line, line.After("="), (await RecordAsync(line, book)).Outcome.ToString().ToLowerInvariant()); break;
            case "balance": await BalanceAsync(line, book); break;
            case "profit": await ProfitAsync(line, book); break;
            case "total": await TotalAsync(line, book); break;
            case "pool": await PoolAsync(line, book); break;
            case "postings": await PostingsAsync(line, book); break;
            case "actual": await ActualAsync(line, book); break;
            case "invoice": await LedgerReports.InvoiceAsync(line, book); break;
            case "cash": await LedgerReports.CashAsync(line, book); break;
            case "attributed": await LedgerReports.AttributedAsync(line, book); break;
            case "segment": await LedgerReports.SegmentAsync(line, book); break;
            case "training": await TrainingAsync(line, book); break;
            case "consolidated": await ConsolidatedAsync(line, book); break;
            default: throw line.Wrong($"'{line.Word(1)}' cannot be expected");
        }
    }

    /// <summary>Money in the case's own currency without its code, e.g. "0.5"; in another one with it.</summary>
    public static string Text(Money? money, LedgerBook book, string absent = "none") => money is not { } amount ? absent
        : amount.Currency == book.Currency ? amount.ToDecimalText() : amount.ToString();

    private static async Task<UsageRecord> RecordAsync(LedgerLine line, LedgerBook book) =>
        (await book.Store.ReadUsageAsync(new UsageQuery(Period.All, Id: LedgerBook.Request(line.Word(2))))).SingleOrDefault() ?? throw line.Wrong("there is no such settled request");

    private static async Task BalanceAsync(LedgerLine line, LedgerBook book)
    {
        var account = new Account(line.Span(2, "="));
        ImmutableArray<EntrySum> sums = await book.Store.SumEntriesAsync(new SumQuery(Period.All, GroupBy.None));
        Money expected = book.Amount(line.After("="));
        Int128 picos = sums.Where(s => s.Account == account && s.Amount.Currency == expected.Currency).Aggregate(Int128.Zero, (sum, s) => sum + s.Amount.Picos);
        Equal(line, expected.ToString(), new Money(picos, expected.Currency).ToString());
    }

    private static async Task ProfitAsync(LedgerLine line, LedgerBook book)
    {
        string? tenant = line.Find("tenant"), project = line.Find("project"), model = line.Find("model");
        Instant? day = line.FindTime("day");
        GroupBy by = (tenant is null ? GroupBy.None : GroupBy.Tenant) | (project is null ? GroupBy.None : GroupBy.Project) | (model is null ? GroupBy.None : GroupBy.Model) | (day is null ? GroupBy.None : GroupBy.Day);
        ProfitAndLoss statement = await Statements.ProfitAndLossAsync(book.Store, Period.All, by);
        var key = new GroupKey(tenant is null ? null : LedgerBook.Tenant(tenant), project is null ? null : LedgerBook.Project(tenant ?? throw line.Wrong("a project needs its tenant"), project),
            model is null ? null : new ModelName(model), null, day);
        ProfitRow row = statement.Rows.FirstOrDefault(r => r.Key == key && r.Revenue.Currency == book.Currency) ?? throw line.Wrong("there is no such row");
        foreach ((string name, string expected) in Figures(line))
        {
            Equal(line, name + " " + expected, name + " " + name switch
            {
                "revenue" => Text(row.Revenue, book),
                "cost" => Text(row.ComputeCost, book),
                "margin" => Text(row.GrossMargin, book),
                "training" => Text(row.TrainingCost, book),
                "contribution" => Text(row.Contribution, book),
                "margin%" => row.GrossMarginOfRevenue.ToPercentText(1),
                "requests" => Number(row.Requests),
                "unpriced" => Number(row.Unpriced),
                "uncosted" => Number(row.Uncosted),
                "input" => Number(row.Tokens.Input),
                "output" => Number(row.Tokens.Output),
                _ => throw line.Wrong($"'{name}' is not a figure of a profit row"),
            });
        }
    }

    private static async Task TotalAsync(LedgerLine line, LedgerBook book)
    {
        var period = new Period(line.FindTime("from") ?? Period.All.From, line.FindTime("to") ?? Period.All.To);
        string? currency = line.Find("currency");
        ProfitAndLoss statement = await Statements.ProfitAndLossAsync(book.Store, period, GroupBy.None);
        ProfitTotal total = statement.Totals.FirstOrDefault(t => string.Equals(t.Revenue.Currency.Code, currency ?? book.Currency.Code, StringComparison.Ordinal)) ?? throw line.Wrong("there is no such total");
        foreach ((string name, string expected) in Figures(line))
        {
            Equal(line, name + " " + expected, name + " " + name switch
            {
                "revenue" => total.Revenue.ToDecimalText(),
                "cost" => total.ComputeCost.ToDecimalText(),
                "margin" => total.GrossMargin.ToDecimalText(),
                "unused" => total.UnusedCapacity.ToDecimalText(),
                "other" => total.Other.ToDecimalText(),
                "result" => total.Result.ToDecimalText(),
                "requests" => Number(total.Requests),
                "unpriced" => Number(total.Unpriced),
                "uncosted" => Number(total.Uncosted),
                "unposted" => Number(statement.Unposted),
                _ => throw line.Wrong($"'{name}' is not a figure of a total"),
            });
        }
    }

    private static async Task PoolAsync(LedgerLine line, LedgerBook book)
    {
        var pool = new PoolName(line.Word(2));
        ImmutableArray<EntrySum> sums = await book.Store.SumEntriesAsync(new SumQuery(Period.All, GroupBy.Pool));
        Money Of(Account account) => sums.Where(s => s.Account == account && s.Key.Pool == pool && s.Amount.Currency == book.Currency).Aggregate(Money.Zero(book.Currency), (sum, s) => sum + s.Amount);
        foreach ((string name, string expected) in Figures(line))
        {
            Equal(line, name + " " + expected, name + " " + name switch
            {
                "cost" => Text(-Of(Accounts.AccruedCapacity), book),
                "used" => Text(Of(Accounts.ComputeCost), book),
                "unused" => Text(Of(Accounts.UnusedCapacity), book),
                "in-progress" => Text(Of(Accounts.CapacityClearing), book),
                _ => throw line.Wrong($"'{name}' is not a figure of a pool"),
            });
        }
    }

    private static async Task ActualAsync(LedgerLine line, LedgerBook book)
    {
        var period = new Period(line.NeedTime("from"), line.NeedTime("to"));
        PoolCostStatement statement = (await PoolCostStatement.ReadAsync(book.Store, period)).SingleOrDefault(s => s.Pool.Value == line.Word(2)) ?? throw line.Wrong("there is no such pool");
        foreach ((string name, string expected) in Figures(line))
        {
            Equal(line, name + " " + expected, name + " " + name switch
            {
                "full" => Text(statement.Full, book),
                "marginal" => Text(statement.Marginal, book),
                "standard" => Text(statement.Standard, book),
                "variance" => Text(statement.Variance, book),
                "per-hour" => statement.FullPerHour.ToDecimalText(4),
                "per-practical-hour" => statement.FullPerPracticalHour.ToDecimalText(4),
                _ => Text(statement.Lines.Where(l => l.Nature == Enum.Parse<CostNature>(name, ignoreCase: true)).Aggregate(Money.Zero(statement.Full.Currency), (sum, l) => sum + l.Full), book),
            });
        }
    }

    private static async Task TrainingAsync(LedgerLine line, LedgerBook book)
    {
        TrainingView view = (await TrainingCosts.ReadAsync(book.Store, await Declarations.ReadAsync(book.Store), line.NeedTime("at"))).Single(v => v.Run.Name == line.Word(2));
        foreach ((string name, string expected) in Figures(line))
        {
            Equal(line, name + " " + expected, name + " " + name switch
            {
                "cost" => Text(view.Cost, book),
                "expensed" => Text(view.Expensed, book),
                "amortised" => Text(view.Amortised, book),
                "left" => Text(view.Left, book),
                _ => throw line.Wrong($"'{name}' is not a figure of a training run"),
            });
        }
    }

    private static async Task ConsolidatedAsync(LedgerLine line, LedgerBook book)
    {
        Consolidation sums = (await Consolidation.ReadAsync(book.Store, Period.All)).Single(c => c.ExternalRevenue.Currency == book.Currency);
        foreach ((string name, string expected) in Figures(line))
        {
            Equal(line, name + " " + expected, name + " " + name switch
            {
                "external" => Text(sums.ExternalRevenue, book),
                "internal" => Text(sums.InternalRevenue, book),
                "use" => Text(sums.InternalUse, book),
                "internal-profit" => Text(sums.InternalProfit, book),
                "combined" => Text(sums.Combined, book),
                "result" => Text(sums.Consolidated, book),
                _ => throw line.Wrong($"'{name}' is not a figure of a consolidation"),
            });
        }
    }

    private static async Task PostingsAsync(LedgerLine line, LedgerBook book)
    {
        string template = line.Span(2, "=");
        long count = 0;
        await foreach (Transaction transaction in book.Store.StreamJournalAsync(new JournalQuery(Period.All)))
            if (template.Length == 0 || string.Equals(transaction.Template, template, StringComparison.Ordinal)) count++;
        Equal(line, line.After("="), Number(count));
    }

    internal static IEnumerable<(string Name, string Expected)> Figures(LedgerLine line) =>
        line.After(":").Split(',', StringSplitOptions.TrimEntries).Select(part => part.Split(' ', 2)).Select(words => (words[0], words.Length > 1 ? words[1] : throw line.Wrong($"'{words[0]}' has no figure")));

    private static string Number(long count) => count.ToString(CultureInfo.InvariantCulture);

    internal static void Equal(LedgerLine line, string expected, string actual)
    {
        if (!string.Equals(expected, actual, StringComparison.Ordinal)) Assert.Fail($"{line.Place}\n  expected {expected}\n  was      {actual}");
    }
}
