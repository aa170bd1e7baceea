using System.Diagnostics;
using System.Globalization;
using System.Text;
using Qanat.Books;

namespace Qanat.Store.Bench;

/// <summary>How fast a filled store answers: each question three times, the median.</summary>
internal static class Summing
{
    public static async Task<string> RunAsync(SqlStore store)
    {
        UsageRecord newest = (await store.ReadUsageAsync(new UsageQuery(Period.All, Limit: 1)))[0];
        Instant end = newest.CompletedAt.DayStart;
        Period month = new(new Instant(end.UnixNanoseconds - 30 * 24 * Instant.NanosecondsPerHour), end);
        Period odd = new(new Instant(month.From.UnixNanoseconds + 1_234_567), new Instant(month.To.UnixNanoseconds - 7_654_321));
        TenantId tenant = newest.Party.Tenant;
        StringBuilder line = new("{\"mode\":\"sums\"");
        await Time("total_all", () => store.SumUsageAsync(new SumQuery(Period.All, GroupBy.None)));
        await Time("month_tenant_model_day", () => store.SumUsageAsync(new SumQuery(month, GroupBy.Tenant | GroupBy.Model | GroupBy.Day)));
        await Time("all_tenant_model_day", () => store.SumUsageAsync(new SumQuery(Period.All, GroupBy.Tenant | GroupBy.Model | GroupBy.Day)));
        await Time("odd_month_tenant_model", () => store.SumUsageAsync(new SumQuery(odd, GroupBy.Tenant | GroupBy.Model)));
        await Time("tenant_all_day", () => store.SumUsageAsync(new SumQuery(Period.All, GroupBy.Day, tenant)));
        await Time("spend_month", () => store.ReadSpendAsync(month));
        await Time("page_newest", () => store.ReadUsageAsync(new UsageQuery(Period.All)));
        await Time("page_month", () => store.ReadUsageAsync(new UsageQuery(month)));
        await Time("page_tenant_month", () => store.ReadUsageAsync(new UsageQuery(month, tenant)));
        await Time("page_model_all", () => store.ReadUsageAsync(new UsageQuery(Period.All, Model: newest.Model)));
        await Time("entries_month_tenant_model_day", () => store.SumEntriesAsync(new SumQuery(month, GroupBy.Tenant | GroupBy.Model | GroupBy.Day)));
        await Time("stream_month", async () =>
        {
            int count = 0;
            await foreach (UsageRecord record in store.StreamUsageAsync(new UsageQuery(month))) count++;
            return count;
        });
        return line.Append('}').ToString();

        async Task Time<T>(string name, Func<Task<T>> question)
        {
            double[] milliseconds = new double[3];
            for (int round = 0; round < milliseconds.Length; round++)
            {
                long start = Stopwatch.GetTimestamp();
                _ = await question();
                milliseconds[round] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            }
            Array.Sort(milliseconds);
            line.Append(CultureInfo.InvariantCulture, $",\"{name}_ms\":{milliseconds[1]:F1}");
        }
    }
}
