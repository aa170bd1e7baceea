using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>Revenue, cost and margin of a period, from the journal; requests and tokens beside them, from the usage records.</summary>
/// <param name="Rows">By the dimensions asked for, in the order of their keys; one row per group and currency.</param>
/// <param name="Totals">One per currency: everything the period earned and cost, whatever it is about.</param>
/// <param name="Unposted">Requests of the period that are settled but not in the journal yet: their money is in no row.</param>
public sealed record ProfitAndLoss(Period Period, GroupBy By, ImmutableArray<ProfitRow> Rows, ImmutableArray<ProfitTotal> Totals, long Unposted)
{
    /// <summary>Requests of the period, among the unpriced, that were answered without anybody reporting what they used.</summary>
    public long UsageMissing { get; init; }
}

/// <summary>One group's part. Requests, tokens and states count once per group: they stand in the row of the group's first currency.</summary>
public sealed record ProfitRow(GroupKey Key, Money Revenue, Money ComputeCost, long Requests, long Unpriced, long Uncosted, TokenCounts Tokens, DeviceTime Device)
{
    /// <summary>Revenue less the compute cost of the requests themselves. Unused capacity is nobody's and not in it.</summary>
    public Money GrossMargin => Revenue - ComputeCost;

    /// <summary>Training of the group's models in the period: expensed, amortised or written off.</summary>
    public Money TrainingCost { get; init; }

    /// <summary>Gross margin less training.</summary>
    public Money Contribution => GrossMargin - TrainingCost;

    /// <summary>Gross margin of revenue.</summary>
    public Ratio GrossMarginOfRevenue => new(GrossMargin.Picos, Revenue.Picos);

    /// <summary>Gross margin of compute cost.</summary>
    public Ratio GrossMarginOfCost => new(GrossMargin.Picos, ComputeCost.Picos);
}

/// <summary>All revenue and expense of a period in one currency.</summary>
/// <param name="Other">Net expense on every account that has no column of its own: positive is a cost.</param>
public sealed record ProfitTotal(Money Revenue, Money ComputeCost, Money UnusedCapacity, Money Other, long Requests, long Unpriced, long Uncosted, TokenCounts Tokens, DeviceTime Device)
{
    /// <summary>Every account of revenue and expense that moved, in the order of the chart: revenue positive when earned, expense positive when spent. Revenue lines less expense lines are the result.</summary>
    public ImmutableArray<AccountBalance> Lines { get; init; } = [];

    /// <summary>Before unused capacity.</summary>
    public Money GrossMargin => Revenue - ComputeCost;
    public Ratio GrossMarginOfRevenue => new(GrossMargin.Picos, Revenue.Picos);

    /// <summary>Everything: revenue less compute cost, unused capacity and other expense.</summary>
    public Money Result => GrossMargin - UnusedCapacity - Other;
    public Ratio ResultOfRevenue => new(Result.Picos, Revenue.Picos);
}

/// <summary>Balance of one account in one currency; debits are positive.</summary>
public sealed record AccountBalance(Account Account, Money Amount, long Entries);

/// <summary>Every account's balance at an instant. Zero per currency when the books are sound.</summary>
public sealed record TrialBalance(Instant At, ImmutableArray<AccountBalance> Accounts, ImmutableArray<Money> Sums)
{
    public bool IsZero => Sums.All(sum => sum.IsZero);
}

/// <summary>What is owned and owed at an instant in one currency. Liabilities, Equity and EarningsToDate are shown positive when they are credits, as usual:
/// assets = liabilities + equity + earnings to date.</summary>
public sealed record BalanceSheet(Instant At, Currency Currency, ImmutableArray<AccountBalance> Assets, ImmutableArray<AccountBalance> Liabilities, ImmutableArray<AccountBalance> Equity, Money EarningsToDate)
{
    public Money TotalAssets => Total(Assets);
    public Money TotalLiabilities => Total(Liabilities);
    public Money TotalEquity => Total(Equity) + EarningsToDate;
    public bool IsBalanced => TotalAssets == TotalLiabilities + TotalEquity;

    private Money Total(ImmutableArray<AccountBalance> lines) => lines.Aggregate(Money.Zero(Currency), (sum, line) => sum + line.Amount);
}
