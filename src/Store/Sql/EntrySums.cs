using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>Sums of journal entries: over all time from the totals, over whole days from the daily sums, at the edges and by the hour from the entries.</summary>
internal static class EntrySums
{
    /// <summary>A day in nanoseconds.</summary>
    public const string Day = "86400000000000";

    private const long DayNanoseconds = 24 * Instant.NanosecondsPerHour;

    public static ImmutableArray<EntrySum> Sum(Reader reader, SumQuery query)
    {
        string lines = Compose(query, out Filter values);
        string groups = GroupColumns.Of(query.By);
        Statement rows = values.Bind(reader.Database[$"""
            SELECT {groups}, account, currency, sum(amount_milli), sum(amount_pico), sum(entries) FROM ({lines}) AS lines GROUP BY {GroupColumns.Keys(query.By)}account, currency
            """]);
        ImmutableArray<EntrySum>.Builder sums = ImmutableArray.CreateBuilder<EntrySum>();
        while (rows.Step())
        {
            GroupKey key = GroupColumns.Read(rows, reader.Identities);
            Account account = new(reader.Identities.Name(rows.Long()));
            Currency currency = rows.Currency();
            sums.Add(new EntrySum(key, account, new Money(rows.Picos(), currency), rows.Long()));
        }
        rows.Reset();
        return sums.ToImmutable();
    }

    private static string Compose(SumQuery query, out Filter values)
    {
        const string Columns = "nullif(tenant, 0) AS tenant, nullif(project, 0) AS project, nullif(model, 0) AS model, nullif(pool, 0) AS pool, account, currency, amount_milli, amount_pico, entries";
        values = new Filter();
        bool byHour = query.By.HasFlag(GroupBy.Hour), byDay = query.By.HasFlag(GroupBy.Day);
        if (query.Period == Period.All && !byHour && !byDay)
        {
            Filter all = values.About(query.Tenant, query.Project, query.Model);
            return $"SELECT {Columns} FROM entry_totals{all.Sql}";
        }
        long grain = byHour ? Instant.NanosecondsPerHour : DayNanoseconds;
        StringBuilder lines = new();
        foreach (PeriodSegment segment in byHour ? PeriodSegments.Of(query.Period) : PeriodSegments.Of(query.Period, DayNanoseconds))
        {
            string table = segment.Grain == 0 ? "entry_lines" : "entry_days";
            Filter filter = new Filter().Within("start", segment.Period).About(query.Tenant, query.Project, query.Model);
            if (lines.Length > 0) lines.Append(" UNION ALL ");
            lines.Append(CultureInfo.InvariantCulture, $"SELECT start - start % {grain} AS start, {Columns} FROM {table}{filter.Sql}");
            values.Take(filter);
        }
        if (lines.Length == 0) lines.Append(CultureInfo.InvariantCulture, $"SELECT start, {Columns} FROM entry_days WHERE 1 = 0");
        return lines.ToString();
    }
}
