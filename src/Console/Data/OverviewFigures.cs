using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Console;

/// <summary>The first page in one reading.</summary>
public sealed record OverviewFigures(ProfitAndLoss Statement, CapacityUse Capacity, ImmutableArray<BudgetUse> Budgets, ImmutableArray<AssumptionInForce> Assumptions,
    int Open, ImmutableArray<UsageRecord> Newest)
{
    private const int NewestShown = 6;

    public static async Task<OverviewFigures> ReadAsync(ConsoleData data, Period period, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(data);
        ProfitAndLoss statement = await data.GlanceAsync(period, cancel);
        RequestPage newest = await data.RequestsAsync(new UsageQuery(Period.All, Limit: NewestShown), cancel);
        return new OverviewFigures(statement, await data.CapacityAsync(period, cancel), await data.BudgetsAsync(cancel), data.Assumptions(), (await data.OpenAsync(cancel)).Length, newest.Requests);
    }
}
