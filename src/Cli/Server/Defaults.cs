using Qanat.Books;
using Qanat.Gateway;

namespace Qanat.Cli;

/// <summary>What stands in for facts that nobody has given yet. Each is an assumption, and shown as one until it is confirmed or replaced.</summary>
public static class Defaults
{
    /// <summary>The pool of the machine that this process runs on.</summary>
    public static readonly PoolName Pool = new("this-machine");

    /// <summary>Written at the first start, effective from the beginning of time so that nothing is ever without a price or a cost basis unnoticed.</summary>
    public static async Task EnsureAsync(TariffState tariffs, TimeProvider clock, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(tariffs);
        Instant now = Instant.Now(clock);
        if (tariffs.Costs.Rates.Length == 0)
        {
            PoolRate rate = new(PoolRateId.New(clock), Pool, new Instant(0), Money.Parse("0.10", Currency.Usd), 850, IsAssumption: true,
                "default: a small cloud server with 2 to 4 cores rents for about USD 0.10 an hour", now);
            await tariffs.AddPoolRateAsync(rate, Audit(now, "pool.rate", Pool.Value, $"{rate.HourlyCost} an hour (assumed)"), cancel);
        }
        if (tariffs.Prices.Versions.Length == 0)
        {
            TokenRates rates = TokenRates.PerMillion(Currency.Usd, "0.05", "0.40");
            PriceVersion price = new(PriceVersionId.New(clock), new Instant(0), null, null, rates, IsAssumption: true, "default: Model Studio's international list price of qwen-flash", now);
            await tariffs.AddPriceAsync(price, Audit(now, "price.add", "any model", $"{rates} per million tokens (assumed)"), cancel);
        }
    }

    private static AuditEntry Audit(Instant at, string action, string subject, string after) => new(at, "first start", action, subject, null, after);
}
