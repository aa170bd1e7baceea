using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>What pools really cost, what training cost, and what of it is still an assumption.</summary>
internal sealed class CostApi(IBookStore store, TariffState tariffs, AdminJson json, TimeProvider clock)
{
    public void Map(AdminRoutes routes)
    {
        routes.Get("/api/costs/pools", Permission.SeeCosts, PoolsAsync, new(Tags.Costs, "What pools really cost in a period, and how that differs from their standard") { Query = [Asked.From, Asked.To], Answer = Schema.Rows("Pools") });
        routes.Get("/api/costs/training", Permission.SeeCosts, TrainingAsync, new(Tags.Costs, "What training cost, and what of it is left to write off") { Query = [Asked.At], Answer = Schema.Rows("Runs") });
        routes.Get("/api/costs/assumptions", Permission.SeeCosts, Assumptions, new(Tags.Costs, "Prices and rates in force that were assumed and nobody has confirmed") { Answer = Schema.Rows("Assumptions") });
    }

    public async Task<JsonObject> PoolsAsync(AdminRequest request) =>
        AdminJson.List((await PoolCostStatement.ReadAsync(store, Until(request.Period), request.Cancel)).Select(Of));

    public async Task<JsonObject> TrainingAsync(AdminRequest request) =>
        AdminJson.List((await TrainingCosts.ReadAsync(store, tariffs.Declared, request.Time("at") ?? Instant.Now(clock), request.Cancel)).Select(Of));

    public JsonObject Assumptions(AdminRequest request) => AdminJson.List(AssumedFigure.InForce(tariffs.Prices, tariffs.Costs, Instant.Now(clock)).Select(assumption => new JsonObject
    {
        ["what"] = assumption.What,
        ["subject"] = assumption.Subject,
        ["tenant"] = json.Of(assumption.Tenant),
        ["figure"] = assumption.Figure,
        ["source"] = assumption.Source,
    }));

    /// <summary>Costs accrue up to now, not to the end of time.</summary>
    private Period Until(Period period) => period.To < Instant.Now(clock) ? period : new Period(period.From, Instant.Now(clock));

    private static JsonObject Of(PoolCostStatement pool) => new()
    {
        ["pool"] = pool.Pool.Value,
        ["currency"] = pool.Full.Currency.Code,
        ["full"] = pool.Full.ToDecimalText(),
        ["marginal"] = pool.Marginal.ToDecimalText(),
        ["standard"] = pool.Standard.ToDecimalText(),
        ["variance"] = pool.Variance.ToDecimalText(),
        ["running_ns"] = pool.RunningNanoseconds,
        ["busy_ns"] = pool.BusyNanoseconds,
        ["practical_capacity_permille"] = pool.PracticalCapacityPermille,
        ["lines"] = new JsonArray([.. pool.Lines.Select(line => new JsonObject
        {
            ["nature"] = AdminJson.Text(line.Nature),
            ["name"] = line.Name,
            ["full"] = line.Full.ToDecimalText(),
            ["marginal"] = line.Marginal.ToDecimalText(),
        })]),
    };

    private static JsonObject Of(TrainingView view) => new()
    {
        ["name"] = view.Run.Name,
        ["model"] = view.Run.Model.Value,
        ["policy"] = AdminJson.Text(view.Run.Policy),
        ["compute"] = view.Compute.ToDecimalText(),
        ["direct"] = view.Direct.ToDecimalText(),
        ["cost"] = view.Cost.ToDecimalText(),
        ["amortised"] = AdminJson.Text(view.Amortised),
        ["written_off"] = view.WrittenOff.ToDecimalText(),
        ["left"] = AdminJson.Text(view.Left),
        ["currency"] = view.Cost.Currency.Code,
    };
}
