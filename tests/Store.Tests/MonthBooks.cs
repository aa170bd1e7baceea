using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Store.Tests;

/// <summary>Two days of a small service, priced and costed as the books themselves would: sound, and the same in every run and every process.</summary>
internal sealed class MonthBooks
{
    public const int Hours = 48;
    private readonly TestBooks _facts = new();
    private readonly Random _random = new(48);

    public static Instant End => TestBooks.At(Hours * 3_600);

    /// <summary>All facts but postings: who, prices, a bill, then hour by hour the requests and the pool's time.</summary>
    public async Task WriteAsync(IBookStore store, int recordsPerHour, CancellationToken cancel)
    {
        foreach (Fact fact in _facts.Directory) await store.AppendAsync(fact, cancel);
        Tenant other = _facts.NewTenant("Other");
        Project project = _facts.NewProject(other);
        ApiKey key = _facts.NewKey(project);
        await store.AppendAsync(new Together([new TenantSaved(other), new ProjectSaved(project), new KeySaved(key)]), cancel);
        await store.AppendAsync(new Declared(Declaration.Of($"bill rent pool {TestBooks.Pool} for rent amount 100 from 2026-01-01 to 2026-01-03", TestBooks.Day)), cancel);
        for (int hour = 0; hour < Hours; hour++)
        {
            ImmutableArray<UsageRecord> records = [.. Enumerable.Range(0, recordsPerHour).Select(index => Record(TestBooks.At(hour * 3_600 + index), index % 3 == 0 ? key : _facts.Key))];
            CapacityRecord capacity = TestBooks.Stretch(hour * 3_600, (hour + 1) * 3_600, busy: records.Sum(record => record.Device.TotalNanoseconds));
            await store.AppendAsync(new Together([.. records.Select(record => new HoldSettled(record)), new StepsMetered([], [capacity])]), cancel);
        }
    }

    private UsageRecord Record(Instant at, ApiKey key)
    {
        UsageRecord record = _facts.NewRecord(at, key) with { Tokens = new TokenCounts(_random.Next(1, 900), 0, 0, _random.Next(1, 90), 0), Device = new DeviceTime(_random.Next(1, 90_000), _random.Next(1, 90_000)) };
        return record with { Charge = Rating.Charge(_facts.Price, record.Rated), Cost = CostBook.Cost(_facts.Rate, record.Device) };
    }
}
