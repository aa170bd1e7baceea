using Qanat.Books;

namespace Qanat.Store.Bench;

/// <summary>Usage of 100 tenants with a key each on 5 models, spread over time as a busy server would see it. Seeded: every run makes the same.</summary>
internal sealed class Workload
{
    private const int Tenants = 100;
    private const int Models = 5;

    public static PoolName Pool => s_pool;
    private static readonly PoolName s_pool = new("this-machine");
    private readonly Random _random = new(1);
    private readonly Party[] _parties;
    private readonly PriceVersion _price;
    private readonly PoolRate _rate;
    private readonly ModelName[] _models = [.. Enumerable.Range(0, Models).Select(index => new ModelName("qwen3-" + index))];

    private Workload(Party[] parties, PriceVersion price, PoolRate rate)
    {
        _parties = parties;
        _price = price;
        _rate = rate;
    }

    /// <summary>Saves tenants, keys and prices unless the store has them from an earlier run.</summary>
    public static async Task<Workload> PrepareAsync(IBookStore store)
    {
        DirectorySnapshot known = await store.ReadDirectoryAsync();
        if (known.Keys.Length == 0)
        {
            Instant now = Instant.Now(TimeProvider.System);
            for (int index = 0; index < Tenants; index++)
            {
                Tenant tenant = new(TenantId.New(TimeProvider.System), "tenant " + index, now, null, IsDemo: false);
                Project project = new(ProjectId.New(TimeProvider.System), tenant.Id, "project", now, null);
                KeyId key = KeyId.New(TimeProvider.System);
                await store.AppendAsync(new Together([new TenantSaved(tenant), new ProjectSaved(project),
                    new KeySaved(new ApiKey(key, tenant.Id, project.Id, "key", "sk-", [.. key.Value.ToByteArray()], KeyRole.Inference, now, null, null))]));
            }
            TokenRates rates = new(new Money(50_000, Currency.Usd), new Money(200_000, Currency.Usd), null, null, null);
            await store.AppendAsync(new PriceAdded(new PriceVersion(PriceVersionId.New(TimeProvider.System), now, null, null, rates, false, "bench", now)));
            await store.AppendAsync(new PoolRateAdded(new PoolRate(PoolRateId.New(TimeProvider.System), s_pool, now, new Money(Money.PicosPerUnit, Currency.Usd), 850, true, "bench", now)));
            known = await store.ReadDirectoryAsync();
        }
        Party[] parties = [.. known.Keys.Select(key => new Party(key.Tenant, key.Project, key.Id, "user"))];
        return new Workload(parties, (await store.ReadPricesAsync())[0], (await store.ReadPoolRatesAsync())[0]);
    }

    public Hold NextHold(Instant at)
    {
        RequestId id = new(Guid.CreateVersion7(at.ToDateTimeOffset()));
        ModelName model = _models[_random.Next(Models)];
        return new Hold(id, at, _parties[_random.Next(_parties.Length)], model, new DeploymentName("builtin/" + model), Operation.Chat, _price.Id, new Money(500_000_000, Currency.Usd), s_pool);
    }

    public UsageRecord RecordOf(Hold hold)
    {
        TokenCounts tokens = new(_random.Next(10, 4_000), 0, 0, _random.Next(1, 800), 0);
        DeviceTime device = new(tokens.Input * 1_000, tokens.Output * 20_000);
        return new UsageRecord(hold.Id, hold.PlacedAt, hold.PlacedAt, hold.PlacedAt, hold.Party, hold.Model, hold.Deployment, s_pool, hold.Operation, Outcome.Completed, tokens,
            device, hold.Price, new Money(tokens.Input * 50_000 + tokens.Output * 200_000, Currency.Usd),
            _rate.Id, CostBook.Cost(_rate, device));
    }

    public UsageRecord NextRecord(Instant at) => RecordOf(NextHold(at));
}
