using System.Collections.Immutable;

namespace Qanat.Books;

public enum TransferBasis { FullCost, CostPlus, Market, Marginal }

/// <summary>How an internal tenant is charged: at cost of the capacity used, at cost and a margin, at the price list, or at the part of the cost that its use alone caused.</summary>
/// <param name="Permille">Cost-plus: the margin on cost. Marginal: the part of cost that is marginal (<see cref="PoolCostStatement"/> shows it).</param>
public sealed record TransferPolicy(TransferBasis Basis, int Permille)
{
    /// <summary>The charge of one request, to the nearest pico.</summary>
    /// <param name="market">At the price list. Null: unpriced.</param> <param name="cost">Null: uncosted.</param>
    /// <returns>Null: what the policy needs is not known; the request is unpriced.</returns>
    public Money? Charge(Money? market, Money? cost) => Basis switch
    {
        TransferBasis.Market => market,
        TransferBasis.CostPlus => cost is { } full ? full + Part(full) : null,
        TransferBasis.Marginal => cost is { } full ? Part(full) : null,
        _ => cost,
    };

    internal static TransferPolicy Read(string text, FactLine line) => text switch
    {
        "full-cost" => new(TransferBasis.FullCost, 0),
        "cost-plus" => new(TransferBasis.CostPlus, line.Need("margin", FactValue.Permille)),
        "market" => new(TransferBasis.Market, 0),
        "marginal" => new(TransferBasis.Marginal, line.Need("part", FactValue.Permille)),
        _ => throw line.Wrong($"transfer: '{text}' is not a policy; write full-cost, cost-plus, market or marginal."),
    };

    private Money Part(Money cost) => Allocation.Part(cost * Permille, 1, 999);
}
