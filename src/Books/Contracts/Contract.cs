using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>What happens to requests when what was free, or paid in advance, is used up.</summary>
public enum WhenExhausted { Stop, Charge }

/// <summary>Tokens that cost nothing, until they are used up or their time is.</summary>
public sealed record FreeQuota(long Tokens, Instant Until, WhenExhausted Then);

/// <summary>What a tenant has agreed on besides the price list.</summary>
/// <param name="Model">Null: for all models that no contract of the tenant names.</param>
/// <param name="DiscountPermille">Off the list charge; 100 = 10 %.</param>
/// <param name="MonthlyCommitment">What the tenant pays at least for usage in each calendar month (UTC) that lies in the contract's period.</param>
/// <param name="Transfer">Set for an internal tenant: how its charges are made.</param>
public sealed record Contract(string Name, TenantId Tenant, ModelName? Model, Period Period, int DiscountPermille, Money? MonthlyCommitment, FreeQuota? Free, TransferPolicy? Transfer)
{
    /// <summary>The contract that holds for a request: one for its model before one for all, the one that began last before others.</summary>
    public static Contract? Find(ImmutableArray<Contract> contracts, TenantId tenant, ModelName model, Instant placedAt) =>
        contracts.Where(c => c.Tenant == tenant && (c.Model is null || c.Model == model) && c.Period.Contains(placedAt))
            .OrderByDescending(c => c.Model is not null).ThenByDescending(c => c.Period.From).ThenBy(c => c.Name, StringComparer.Ordinal).FirstOrDefault();

    internal static Contract Read(FactLine line)
    {
        string name = line.Word(1, "The contract's name");
        Currency currency = line.Currency();
        Instant from = line.Time("from");
        var period = new Period(from, line.FindTime("to") ?? Period.All.To);
        int discount = line.Find("discount", FactValue.Permille) ?? 0;
        if (discount > 1000) throw line.Wrong("discount: at most 100%.");
        FreeQuota? free = line.Find("free-tokens", FactValue.Count) is { } tokens ? new FreeQuota(tokens, line.Need("free-for", span => FactValue.After(from, span)), ReadThen(line)) : null;
        return new Contract(name, line.FindTenant() ?? throw line.Wrong("'tenant' is missing."), line.FindModel(), period, discount, line.FindMoney("commitment", currency), free,
            line.Find("transfer") is { } policy ? TransferPolicy.Read(policy, line) : null);
    }

    internal static WhenExhausted ReadThen(FactLine line) => line.Need("then") switch
    {
        "stop" => WhenExhausted.Stop,
        "charge" => WhenExhausted.Charge,
        _ => throw line.Wrong("then: write stop or charge."),
    };
}

/// <summary>Money a tenant paid in advance.</summary>
public sealed record Credit(string Name, TenantId Tenant, Money Amount, Instant PaidAt, Instant? ExpiresAt, WhenExhausted Then)
{
    internal static Credit Read(FactLine line) => new(line.Word(1, "The credit's name"), line.FindTenant() ?? throw line.Wrong("'tenant' is missing."),
        line.Money("amount", line.Currency()), line.Time("paid"), line.FindTime("expires"), Contract.ReadThen(line));
}
