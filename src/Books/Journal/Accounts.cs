using System.Collections.Immutable;

namespace Qanat.Books;

public enum AccountKind { Asset, Liability, Equity, Revenue, Expense }

/// <summary>An account of the chart: what kind it is and what stands on it.</summary>
public sealed record ChartLine(Account Account, AccountKind Kind, string Meaning);

/// <summary>The chart of accounts. Statements read the kind from an account's first word, so that an account below one of these needs no further entry.</summary>
public static class Accounts
{
    public static readonly Account Receivables = new("assets:receivables");
    public static readonly Account CapacityClearing = new("assets:capacity clearing");
    public static readonly Account AccruedCapacity = new("liabilities:accrued capacity");
    public static readonly Account Revenue = new("revenue");
    public static readonly Account UsageRevenue = new("revenue:usage");
    public static readonly Account ComputeCost = new("cost of revenue:compute");
    public static readonly Account UpstreamCost = new("cost of revenue:compute:upstream");
    public static readonly Account AccruedUpstream = new("liabilities:accrued upstream");
    public static readonly Account UnusedCapacity = new("cost of revenue:unused capacity");
    public static readonly Account Cash = new("assets:cash");
    public static readonly Account CustomerCredits = new("liabilities:customer credits");
    public static readonly Account CreditsDrawn = new("liabilities:customer credits:drawn");
    public static readonly Account CreditsExpired = new("liabilities:customer credits:expired");
    public static readonly Account Discounts = new("revenue:discounts");
    public static readonly Account FreeUsage = new("revenue:free quota");
    public static readonly Account CommitmentRevenue = new("revenue:commitment");
    public static readonly Account ReservedRevenue = new("revenue:reserved capacity");
    public static readonly Account ExpiredCreditRevenue = new("revenue:expired credit");
    public static readonly Account Equipment = new("assets:equipment");
    public static readonly Account Payables = new("liabilities:payables");
    public static readonly Account ActualCapacityCost = new("liabilities:accrued capacity:actual cost");
    public static readonly Account AccruedCapacityVariance = new("liabilities:accrued capacity:variance");
    public static readonly Account RateVariance = new("cost of revenue:rate variance");
    public static readonly Account AccruedCapacityCutOff = new("liabilities:accrued capacity:cut-off");
    public static readonly Account CapacityClearingCutOff = new("assets:capacity clearing:cut-off");
    public static readonly Account UnusedCapacityCutOff = new("cost of revenue:unused capacity:cut-off");
    public static readonly Account ReratedRevenue = new("revenue:re-rated");
    public static readonly Account CurrencyExchange = new("equity:exchange");
    public static readonly Account CapitalisedModels = new("assets:capitalised models");
    public static readonly Account Training = new("expenses:training");
    public static readonly Account Amortisation = new("cost of revenue:amortisation");
    public static readonly Account WrittenOffModels = new("expenses:written-off models");
    public static readonly Account Invoiced = new("assets:receivables:invoiced");
    public static readonly Account CreditNotes = new("revenue:credit notes");
    public static readonly Account Rounding = new("expenses:rounding");
    public static readonly Account Capital = new("equity:capital");
    public static readonly Account RetiredEquipment = new("expenses:retired equipment");
    public static readonly Account InternalUse = new("expenses:internal use");
    public static readonly Account Demonstration = new("expenses:demonstration");

    /// <summary>Every account that a template posts to.</summary>
    public static readonly ImmutableArray<ChartLine> Chart =
    [
        new(Receivables, AccountKind.Asset, "Charges for usage not yet paid, by tenant and project."),
        new(CapacityClearing, AccountKind.Asset, "Pool cost accrued and not yet assigned to usage or to unused capacity: the cost of work in progress, by pool."),
        new(AccruedCapacity, AccountKind.Liability, "Cost of pools for the time they ran, by pool."),
        new(AccruedUpstream, AccountKind.Liability, "What is owed to upstreams for the requests they served, by upstream (as pool)."),
        new(Invoiced, AccountKind.Asset, "Final invoices, each on an account of its own; below it credit notes and payments, by tenant."),
        new(Cash, AccountKind.Asset, "Money received and paid."),
        new(Equipment, AccountKind.Asset, "Assets at their price, each on an account of its own; below it accumulated depreciation and what was written off, by pool."),
        new(Payables, AccountKind.Liability, "Assets bought; below it what is owed for energy, hosting, staff and the like, by pool."),
        new(ActualCapacityCost, AccountKind.Liability, "What pools really cost: takes the place of their accrued cost, by pool."),
        new(AccruedCapacityVariance, AccountKind.Liability, "What really was above or below the accrued cost, by pool."),
        new(CapacityClearingCutOff, AccountKind.Asset, "The part of the cut-off that usage has already taken, by pool."),
        new(AccruedCapacityCutOff, AccountKind.Liability, "Cost of a period that is posted in the next one only; taken back as the next one begins, by pool."),
        new(CapitalisedModels, AccountKind.Asset, "Training that is capitalised, each run on accounts of its own: cost, amortisation, what was written off."),
        new(CurrencyExchange, AccountKind.Equity, "The other side of money exchanged for that of another currency."),
        new(Capital, AccountKind.Equity, "Money that owners put in."),
        new(CustomerCredits, AccountKind.Liability, "Paid in advance by tenants; with the accounts below it, what is left of it."),
        new(CreditsDrawn, AccountKind.Liability, "The part of customer credits that paid for charges."),
        new(CreditsExpired, AccountKind.Liability, "The part of customer credits that expired unused."),
        new(UsageRevenue, AccountKind.Revenue, "Charges for tokens at list price, by tenant, project and model."),
        new(Discounts, AccountKind.Revenue, "Taken off the list price by contract (a debit)."),
        new(FreeUsage, AccountKind.Revenue, "List price of tokens from a free quota (a debit)."),
        new(CommitmentRevenue, AccountKind.Revenue, "What usage fell short of a commitment."),
        new(ReservedRevenue, AccountKind.Revenue, "Reserved model units and throughput, used or not."),
        new(ExpiredCreditRevenue, AccountKind.Revenue, "Customer credits that expired unused."),
        new(ComputeCost, AccountKind.Expense, "Cost of the device time of requests, by tenant, project, model and pool."),
        new(UpstreamCost, AccountKind.Expense, "What upstreams ask for the requests they served, by tenant, project, model and upstream (as pool)."),
        new(UnusedCapacity, AccountKind.Expense, "Pool cost that no request used, by pool. Negative while a pool works beyond its practical capacity."),
        new(UnusedCapacityCutOff, AccountKind.Expense, "The unused part of the cut-off, by pool."),
        new(ReratedRevenue, AccountKind.Revenue, "By how much re-rating changed the charges of past requests."),
        new(CreditNotes, AccountKind.Revenue, "Parts of invoices that were forgiven (a debit)."),
        new(Rounding, AccountKind.Expense, "What rounding took from invoices; negative: added."),
        new(Amortisation, AccountKind.Expense, "Amortisation of capitalised training, by model; below it what moved from a base model to those made from it."),
        new(Training, AccountKind.Expense, "Training that is expensed: device time, data and staff, by model."),
        new(WrittenOffModels, AccountKind.Expense, "Capitalised training not yet amortised when its model was retired."),
        new(RateVariance, AccountKind.Expense, "What a pool really cost above its hourly rate; negative: below."),
        new(RetiredEquipment, AccountKind.Expense, "Value of assets not yet depreciated when they left service; below it what they were sold for, by pool."),
        new(InternalUse, AccountKind.Expense, "Charges of internal tenants, as expense of those who used the capacity; eliminated on consolidation."),
        new(Demonstration, AccountKind.Expense, "Cost of the device time of demo requests after their removal, by pool."),
    ];

    /// <exception cref="ArgumentException">The first word is none of the chart's.</exception>
    public static AccountKind KindOf(Account account) => account.Path.Split(':')[0] switch
    {
        "assets" => AccountKind.Asset,
        "liabilities" => AccountKind.Liability,
        "equity" => AccountKind.Equity,
        "revenue" => AccountKind.Revenue,
        "cost of revenue" or "expenses" => AccountKind.Expense,
        _ => throw new ArgumentException($"'{account}' is not on the chart of accounts.", nameof(account)),
    };
}
