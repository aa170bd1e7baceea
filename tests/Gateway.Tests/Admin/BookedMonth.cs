using Qanat.Books;

namespace Qanat.Gateway.Tests;

/// <summary>January 2026 in the books of a test gateway.</summary>
internal static class BookedMonth
{
    /// <summary>A month's usage as the meter writes it, with the wall time of the pool.</summary>
    public static async Task AddUsageAsync(TestGateway gateway, Instant at, TokenCounts tokens)
    {
        Tenant tenant = gateway.Get<DirectoryState>().Current.FindTenant("acme")!;
        Project project = gateway.Get<DirectoryState>().Current.FindProject(tenant.Id, "default")!;
        Party party = new(tenant.Id, project.Id, gateway.Get<DirectoryState>().Current.Keys.First(key => key.Tenant == tenant.Id).Id, null);
        RequestId id = new(Guid.Parse("01930b2c-7a5e-7c1d-9f5e-0123456789ab"));
        DeviceTime device = new(3_000_000_000, 0);
        Hold hold = new(id, at, party, new ModelName(ScriptedModel.Name), new DeploymentName("test/scripted-1"), Operation.Chat, TestGateway.PriceId, Money.Parse("10", Currency.Usd), TestGateway.Pool);
        await gateway.Store.AppendAsync(new HoldPlaced(hold), TestContext.Current.CancellationToken);
        await gateway.Store.AppendAsync(new StepsMetered([new UsageProgress(id, tokens, device)], [new CapacityRecord(TestGateway.Pool, Day(1), Day(32), CapacityState.Serving, device.TotalNanoseconds)]), TestContext.Current.CancellationToken);
        UsageCost cost = gateway.Get<TariffState>().Costs.Cost(TestGateway.Pool, at, device)!;
        await gateway.Store.AppendAsync(new HoldSettled(new UsageRecord(id, at, at, at, party, hold.Model, hold.Deployment, TestGateway.Pool, Operation.Chat, Outcome.Completed, tokens, device, TestGateway.PriceId,
            Rating.Charge(TestGateway.Rates, tokens), cost.Rate, cost.Amount)), TestContext.Current.CancellationToken);
    }

    /// <summary>A day of January 2026.</summary>
    public static Instant Day(int day) => new(FactValue.Time("2026-01-01").UnixNanoseconds + (day - 1) * 24 * Instant.NanosecondsPerHour);
}
