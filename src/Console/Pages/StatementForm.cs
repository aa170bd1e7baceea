using System.Collections.Immutable;

namespace Qanat.Console;

/// <summary>A kind of fact with a statement to start from.</summary>
public sealed record StatementForm(string Kind, string Title, string Template, string Hint)
{
    public static readonly ImmutableArray<StatementForm> Contracts =
    [
        new("contract", "Contract: discount, commitment, free tokens", "contract NAME tenant TENANT from 2026-12-01 discount 10% [commitment 500] [free-tokens 1,000,000 free-for 90days then stop]", "What happens when free tokens are used up: stop or charge."),
        new("credit", "Credit paid in advance", "credit NAME tenant TENANT amount 1000 paid 2026-12-01 [expires 2027-12-01] then stop", "When it is used up: stop, or charge what goes beyond."),
        new("transfer", "Internal tenant: transfer price", "contract NAME tenant TENANT from 2026-12-01 transfer cost-plus margin 10%", "Policies: full-cost, cost-plus margin 10%, market, marginal part 40%."),
        new("reservation", "Reserved capacity", "reservation NAME tenant TENANT model MODEL from 2026-12-01 to 2027-01-01 units 1", "Charged by the hour at the price version's unit-hour and ptu prices, used or not."),
        new("segment", "Reportable segment", "segment NAME tenant TENANT", "Tenants without a segment are \"All other\"."),
    ];

    public static readonly ImmutableArray<StatementForm> Costs =
    [
        new("asset", "Asset: something bought and used over years", "asset NAME pool this-machine price 12000 in-service 2026-12-01 life 5years [residual 500]", "Or life-hours N: by hours of device time."),
        new("bill", "Bill: hosting, maintenance, rent, upstream, energy", "bill NAME pool this-machine for hosting amount 310 from 2026-12-01 to 2027-01-01", "Spread evenly over its time."),
        new("staff", "Staff: a part of someone's pay", "staff NAME pool this-machine amount 6200 share 10% from 2026-12-01 to 2027-01-01", "The share of it that the pool bears."),
        new("energy", "Energy: tariff and power", "tariff NAME from 2026-12-01 kwh 0.25 pue 120%\npower NAME pool this-machine from 2026-12-01 idle-watts 200 busy-watts 400", "Idle while it runs, busy besides for its device time."),
        new("meter", "Energy: what a meter showed", "energy NAME pool this-machine from 2026-12-01 to 2027-01-01 kwh 268.8", "It stands in for the model there."),
        new("training", "Training run", "training NAME model MODEL from 2026-12-01 to 2026-12-02 policy capitalise life 2years [data 275] [staff 0]", "Or policy expense. Its device time is that of its own usage records."),
        new("asset-revised", "Asset: a new estimate of its life", "asset-revised NAME at 2026-12-01 ends 2030-01-01", "What is left is spread over what is left."),
        new("asset-retired", "Asset: leaves service", "asset-retired NAME at 2026-12-01 [proceeds 400]", "The rest is written off."),
        new("payment-made", "Payment of what is owed", "payment-made NAME for hosting pool this-machine at 2026-12-15 amount 310", "For upstream: what its requests have cost. Without a nature: for assets and training."),
    ];

    public static readonly ImmutableArray<StatementForm> Books =
    [
        new("assert", "Balance assertion", "assert NAME account assets:cash at 2026-12-01 balance 2400", "What someone outside the books knows an account to stand at; checked with the identities."),
        new("capital", "Capital paid in", "capital NAME at 2026-12-01 amount 50000", "Money that owners put in."),
        new("exchange", "Exchange of currencies", "exchange NAME at 2026-12-01 sell 100 sell-currency USD buy 92 buy-currency EUR", "Both sides as the bank says."),
    ];
}
