using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Unit economics as JSON: money per million tokens to nine decimals, quotients in percent.</summary>
internal static class UnitEconomicsJson
{
    private const int MoneyDecimals = 9;

    public static JsonObject Of(UnitEconomics economics) => new()
    {
        ["models"] = new JsonArray([.. economics.Models.Select(Of)]),
        ["pools"] = new JsonArray([.. economics.Pools.Select(Of)]),
        ["unpriced"] = economics.Unpriced,
        ["uncosted"] = economics.Uncosted,
    };

    private static JsonObject Of(ModelEconomics model) => new()
    {
        ["model"] = model.Model.Value,
        ["currency"] = model.All.Revenue.Currency.Code,
        ["requests"] = model.Requests,
        ["classes"] = new JsonArray([.. model.Classes.Append(model.All).Select(Of)]),
    };

    private static JsonObject Of(ClassEconomics line) => new()
    {
        ["class"] = line.Class,
        ["tokens"] = line.Tokens,
        ["revenue"] = line.Revenue.ToDecimalText(),
        ["cost"] = line.Cost.ToDecimalText(),
        ["price_per_million"] = Text(line.PricePerMillion),
        ["cost_per_million"] = Text(line.CostPerMillion),
        ["margin_per_million"] = Text(line.MarginPerMillion),
        ["margin_of_revenue"] = Percent(line.MarginOfRevenue),
    };

    private static JsonObject Of(PoolEconomics pool) => new()
    {
        ["pool"] = pool.Pool.Value,
        ["currency"] = pool.PoolCost.Currency.Code,
        ["running_ns"] = pool.RunningNanoseconds,
        ["down_ns"] = pool.DownNanoseconds,
        ["busy_ns"] = pool.BusyNanoseconds,
        ["practical_capacity_permille"] = pool.PracticalCapacityPermille,
        ["pool_cost"] = pool.PoolCost.ToDecimalText(),
        ["revenue"] = pool.Revenue.ToDecimalText(),
        ["utilisation"] = Percent(pool.Utilisation),
        ["utilisation_of_practical_capacity"] = Percent(pool.UtilisationOfPracticalCapacity),
        ["break_even_utilisation"] = Percent(pool.BreakEvenUtilisation),
        ["break_even_price_factor"] = Text(pool.BreakEvenPriceFactor),
    };

    private static string? Text(Ratio ratio) => ratio.IsDefined ? ratio.ToDecimalText(MoneyDecimals) : null;
    private static string? Percent(Ratio ratio) => ratio.IsDefined ? ratio.ToPercentText(2) + " %" : null;
}
