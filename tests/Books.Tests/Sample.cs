namespace Qanat.Books.Tests;

/// <summary>Short ways to make facts whose details do not matter to a test.</summary>
internal static class Sample
{
    public static readonly ModelName Model = new("qwen3-0.6b");
    public static readonly DeploymentName Deployment = new("builtin/qwen3-0.6b");
    public static readonly PoolName Pool = new("this-machine");
    public static readonly Instant Start = At("2026-11-01");

    public static Instant At(string text) => Instant.From(DateTimeOffset.Parse(text, System.Globalization.CultureInfo.InvariantCulture, System.Globalization.DateTimeStyles.AssumeUniversal));
    public static Instant Plus(this Instant at, long nanoseconds) => new(at.UnixNanoseconds + nanoseconds);
    public static Money Usd(string text) => Money.Parse(text, Currency.Usd);

    /// <summary>A guid that is the same for the same name everywhere.</summary>
    public static Guid Id(string name) => TransactionId.OfContent(Start, name).Value;

    public static Party Party(string tenant = "acme", string project = "web") => new(new TenantId(Id("tenant " + tenant)), new ProjectId(Id("project " + tenant + project)), new KeyId(Id("key " + tenant + project)), null);

    public static TokenRates Rates(string text = "input 0.05 output 0.40") => TokenRates.Parse(text, Currency.Usd);

    public static PriceVersion Price(string name, Instant from, TokenRates rates, ModelName? model = null, TenantId? tenant = null, Instant? added = null) =>
        new(new PriceVersionId(Id("price " + name)), from, model, tenant, rates, IsAssumption: false, name, added ?? from);

    public static PoolRate Rate(string name, Instant from, string hourly, int permille = 850, PoolName? pool = null, Instant? added = null) =>
        new(new PoolRateId(Id("rate " + name)), pool ?? Pool, from, Usd(hourly), permille, IsAssumption: false, name, added ?? from);
}
