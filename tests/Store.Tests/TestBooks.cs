using System.Collections.Immutable;
using System.Security.Cryptography;
using Qanat.Books;

namespace Qanat.Store.Tests;

/// <summary>Makes facts for tests: ids from a counter, times from a fixed day, so that every run sees the same.</summary>
public sealed class TestBooks
{
    /// <summary>2026-01-01T00:00:00Z.</summary>
    public static readonly Instant Day = new(1_767_225_600_000_000_000);
    public static readonly Currency Eur = new("EUR");
    public static readonly PoolName Pool = new("this-machine");
    public static readonly PoolName[] Pools = [Pool, new("gpu"), new("p0"), new("p1")];
    public static readonly ModelName Model = new("qwen3-0.6b");
    public static readonly DeploymentName Deployment = new("builtin/qwen3-0.6b");

    private readonly int _seed;
    private int _last;

    public TestBooks(int seed = 0)
    {
        _seed = seed;
        Tenant = NewTenant("Acme");
        Project = NewProject(Tenant);
        Key = NewKey(Project);
        Price = NewPrice();
        Rate = NewRate();
    }

    public Tenant Tenant { get; }
    public Project Project { get; }
    public ApiKey Key { get; }
    public PriceVersion Price { get; }
    public PoolRate Rate { get; }
    public Party Party => PartyOf(Key);

    /// <summary>What every hold and record refers to.</summary>
    public IEnumerable<Fact> Directory => [new TenantSaved(Tenant), new ProjectSaved(Project), new KeySaved(Key), new PriceAdded(Price), new PoolRateAdded(Rate)];

    public static Instant At(long seconds) => new(Day.UnixNanoseconds + seconds * 1_000_000_000);
    public static Money Usd(long picos) => new(picos, Currency.Usd);
    public static Party PartyOf(ApiKey key) => new(key.Tenant, key.Project, key.Id, null);

    public Guid NewId()
    {
        Span<byte> bytes = stackalloc byte[16];
        BitConverter.TryWriteBytes(bytes, _seed);
        BitConverter.TryWriteBytes(bytes[12..], System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(++_last));
        return new Guid(bytes, bigEndian: true);
    }

    public Tenant NewTenant(string name, bool isDemo = false) => new(new TenantId(NewId()), name, Day, Usd(5_000_000_000_001), isDemo);
    public Project NewProject(Tenant tenant) => new(new ProjectId(NewId()), tenant.Id, "Search", Day, null);

    public ApiKey NewKey(Project project)
    {
        KeyId id = new(NewId());
        return new ApiKey(id, project.Tenant, project.Id, "laptop", "sk-ab12", [.. SHA256.HashData(id.Value.ToByteArray())], KeyRole.Inference, Day, null, null);
    }

    public PriceVersion NewPrice(TenantId? tenant = null) => new(new PriceVersionId(NewId()), Day, Model, tenant, new TokenRates(Usd(50_000), Usd(200_000), Usd(10_000), null, Usd(300_000)),
        IsAssumption: false, "list price", Day);

    public PoolRate NewRate() => new(new PoolRateId(NewId()), Pool, Day, Usd(120_000_000_000), 850, IsAssumption: true, "default", Day);

    public Hold NewHold(Instant? at = null, ApiKey? key = null) =>
        new(new RequestId(NewId()), at ?? At(0), PartyOf(key ?? Key) with { UserTag = "user-7" }, Model, Deployment, Operation.Chat, Price.Id, Usd(1_000_000));

    /// <summary>The record that settles a hold.</summary>
    public UsageRecord RecordOf(Hold hold, long output = 10, Money? charge = null) => new(hold.Id, hold.PlacedAt, hold.PlacedAt, hold.PlacedAt, hold.Party, hold.Model, hold.Deployment, Pool,
        hold.Operation, Outcome.Completed, new TokenCounts(100, 20, 0, output, 3), new DeviceTime(5_000, 7_000), hold.Price, charge ?? Usd(123_456_789), Rate.Id, Usd(-7));

    public UsageRecord NewRecord(Instant? at = null, ApiKey? key = null, Money? charge = null) => RecordOf(NewHold(at, key), charge: charge);

    public static UsageProgress ProgressOf(Hold hold, long output) => new(hold.Id, new TokenCounts(100, 20, 0, output, 0), new DeviceTime(5_000, output * 700));

    /// <summary>A first upstream refused, a second served; their prices are in one currency.</summary>
    public static UpstreamUse Bought { get; } = new(
    [
        new UpstreamAttempt("gpu-1", AttemptEnd.Refused, default, null),
        new UpstreamAttempt("gpu 2", AttemptEnd.Served, new TokenCounts(100, 20, 3, 40, 7), TokenRates.PerMillion(Eur, "0.05", "0.40", cacheRead: "0.01")),
    ], UsageCheckState.Differs, new TokenCounts(99, 0, 0, 41, 0));

    public static CapacityRecord Stretch(long fromSeconds, long toSeconds, CapacityState state = CapacityState.Serving, long busy = 0) =>
        new(Pool, At(fromSeconds), At(toSeconds), state, busy);

    /// <summary>A balanced transaction: receivable against revenue.</summary>
    public Transaction NewTransaction(Instant? at = null, Money? amount = null, TenantId? tenant = null, ModelName? model = null)
    {
        Money money = amount ?? Usd(123_456_789);
        Dimensions dimensions = new(tenant ?? Tenant.Id, Model: model ?? Model, Pool: Pool);
        return new Transaction(new TransactionId(NewId()), at ?? At(0), "usage revenue", "hour 0",
            [new Entry(new Account("assets:receivables"), money, dimensions), new Entry(new Account("revenue:usage"), -money, dimensions)]);
    }

    public static StepsMetered Steps(ImmutableArray<UsageProgress> progress, params ImmutableArray<CapacityRecord> capacity) => new(progress, capacity);
}
