using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>Sums of usage over a period: whole days and hours of it from the rollups, the edges and the newest from the records.</summary>
internal static class UsageSums
{
    private const long Hour = Instant.NanosecondsPerHour;
    private const long Day = 24 * Hour;

    public static ImmutableArray<UsageSum> Sum(Reader reader, SumQuery query, Currency home)
    {
        string sql = Compose(reader, query.Period, GroupColumns.Of(query.By), GroupColumns.Keys(query.By), query, out Filter values);
        Statement rows = values.Bind(reader.Database[sql].Add(home.Code));
        ImmutableArray<UsageSum>.Builder sums = ImmutableArray.CreateBuilder<UsageSum>();
        while (rows.Step())
        {
            GroupKey key = GroupColumns.Read(rows, reader.Identities);
            Currency currency = rows.Currency();
            sums.Add(new UsageSum(key, rows.Long(), rows.Long(), rows.Long(), rows.Tokens(), rows.Device(), new Money(rows.Picos(), currency), new Money(rows.Picos(), currency)));
        }
        rows.Reset();
        return sums.ToImmutable();
    }

    public static ImmutableArray<SpendRow> Spend(Reader reader, Period period, Currency home)
    {
        string sql = Compose(reader, period, "tenant, project, key", "tenant, project, key, ", new SumQuery(period, GroupBy.None), out Filter values);
        Statement rows = values.Bind(reader.Database[sql].Add(home.Code));
        ImmutableArray<SpendRow>.Builder spend = ImmutableArray.CreateBuilder<SpendRow>();
        while (rows.Step())
        {
            TenantId tenant = reader.Identities.Tenant(rows.Long());
            ProjectId project = reader.Identities.Project(rows.Long());
            KeyId key = reader.Identities.Key(rows.Long());
            Currency currency = rows.Currency();
            rows.Skip(10); // requests, unpriced, uncosted, five token classes, two device times
            Money charge = new(rows.Picos(), currency);
            if (!charge.IsZero) spend.Add(new SpendRow(tenant, project, key, charge));
        }
        rows.Reset();
        return spend.ToImmutable();
    }

    /// <summary>The statement; its first value is the currency of what has none.</summary>
    private static string Compose(Reader reader, Period period, string groups, string keys, SumQuery query, out Filter values)
    {
        values = new Filter();
        long grain = query.By.HasFlag(GroupBy.Hour) ? Hour : query.By.HasFlag(GroupBy.Day) ? Day : 1;
        List<PeriodSegment> segments = grain == Hour ? PeriodSegments.Of(period, Hour) : PeriodSegments.Of(period, Day, Hour);
        StringBuilder lines = new();
        foreach (PeriodSegment segment in segments)
        {
            string table = segment.Grain switch { Day => "usage_days", Hour => "usage_hours", _ => "usage_lines" };
            Add(lines, values, grain, table, new Filter().Within("start", segment.Period).About(query.Tenant, query.Project, query.Model));
        }
        if (segments.FindAll(segment => segment.Grain != 0) is [var first, ..] whole)
        {
            // The newest records are not in the tables yet. The plus keeps the planner from indexes that lead to more than those.
            long through = UsageRollups.ThroughIn(reader.Database);
            Period within = new(first.Period.From, whole[^1].Period.To);
            Add(lines, values, grain, "usage_lines", new Filter().And("no > ?", through).Within("+start", within).About(query.Tenant, query.Project, query.Model, plus: "+"));
        }
        if (lines.Length == 0) lines.Append($"SELECT start, tenant, project, key, model, pool, currency, {Figures} FROM usage_days WHERE 1 = 0");
        return $"SELECT {groups}, CASE currency WHEN '{StoredMoney.NoCurrency}' THEN ? ELSE currency END AS money, {FigureSums} FROM ({lines}) AS lines GROUP BY {keys}money";
    }

    private static void Add(StringBuilder lines, Filter values, long grain, string table, Filter filter)
    {
        if (lines.Length > 0) lines.Append(" UNION ALL ");
        lines.Append(CultureInfo.InvariantCulture, $"SELECT start - start % {grain} AS start, tenant, project, key, model, pool, currency, {Figures} FROM {table}{filter.Sql}");
        values.Take(filter);
    }

    private const string Figures = """
        requests, unpriced, uncosted, input, cache_read, cache_write, output, reasoning, prefill_ns, decode_ns,
        charge_milli, charge_pico, cost_milli, cost_pico
        """;

    private const string FigureSums = """
        sum(requests), sum(unpriced), sum(uncosted), sum(input), sum(cache_read), sum(cache_write), sum(output), sum(reasoning),
        sum(prefill_ns), sum(decode_ns), sum(charge_milli), sum(charge_pico), sum(cost_milli), sum(cost_pico)
        """;
}

/// <summary>The five group columns of every sum, null where a dimension is not asked for.</summary>
internal static class GroupColumns
{
    public static string Of(GroupBy by)
    {
        string start = ByTime(by) ? "start" : "NULL";
        return string.Join(", ", Column(by, GroupBy.Tenant, "tenant"), Column(by, GroupBy.Project, "project"), Column(by, GroupBy.Model, "model"), Column(by, GroupBy.Pool, "pool"), start);
    }

    /// <summary>Those of the five that are asked for, each followed by a comma.</summary>
    public static string Keys(GroupBy by) => string.Concat(Of(by).Split(", ").Where(column => column != "NULL").Select(column => column + ", "));

    public static GroupKey Read(Statement row, RowIdentities identities) => new(
        identities.Tenant(row.LongOrNull()), identities.Project(row.LongOrNull()), identities.Model(row.LongOrNull()), identities.Pool(row.LongOrNull()), row.InstantOrNull());

    private static bool ByTime(GroupBy by) => by.HasFlag(GroupBy.Hour) || by.HasFlag(GroupBy.Day);

    private static string Column(GroupBy by, GroupBy dimension, string column) => by.HasFlag(dimension) ? column : "NULL";
}
