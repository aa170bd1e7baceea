using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Store.Tests;

/// <summary>Two days of a small service, priced and costed as the books themselves would: sound, and the same in every run and every process.</summary>
internal sealed class MonthBooks
{
    public const int Hours = 48;
    private readonly TestBooks _facts = new();
    private readonly Random _random = new(48);
    private ApiKey? _key;

    public static Instant End => TestBooks.At(Hours * 3_600);

    /// <summary>All facts but postings.</summary>
    public async Task WriteAsync(IBookStore store, int recordsPerHour, CancellationToken cancel)
    {
        foreach (Fact fact in Before().Concat(HourByHour(recordsPerHour))) await store.AppendAsync(fact, cancel);
    }

    /// <summary>Who, prices, a bill.</summary>
    public IEnumerable<Fact> Before()
    {
        Tenant other = _facts.NewTenant("Other");
        Project project = _facts.NewProject(other);
        _key = _facts.NewKey(project);
        return [.. _facts.Directory, new Together([new TenantSaved(other), new ProjectSaved(project), new KeySaved(_key)]),
            new Declared(Declaration.Of($"bill rent pool {TestBooks.Pool} for rent amount 100 from 2026-01-01 to 2026-01-03", TestBooks.Day))];
    }

    /// <summary>The requests and the pool's time of each hour.</summary>
    public IEnumerable<Fact> HourByHour(int recordsPerHour)
    {
        for (int hour = 0; hour < Hours; hour++)
        {
            ImmutableArray<UsageRecord> records = [.. Enumerable.Range(0, recordsPerHour).Select(index => Record(TestBooks.At(hour * 3_600 + index), index % 3 == 0 ? _key! : _facts.Key))];
            CapacityRecord capacity = TestBooks.Stretch(hour * 3_600, (hour + 1) * 3_600, busy: records.Sum(record => record.Device.TotalNanoseconds));
            yield return new Together([.. records.Select(record => new HoldSettled(record)), new StepsMetered([], [capacity])]);
        }
    }

    private UsageRecord Record(Instant at, ApiKey key)
    {
        UsageRecord record = _facts.NewRecord(at, key) with { Tokens = new TokenCounts(_random.Next(1, 900), 0, 0, _random.Next(1, 90), 0), Device = new DeviceTime(_random.Next(1, 90_000), _random.Next(1, 90_000)) };
        return record with { Charge = Rating.Charge(_facts.Price, record.Rated), Cost = CostBook.Cost(_facts.Rate, record.Device) };
    }
}
