using Qanat.Books;

namespace Qanat.Store;

/// <summary>Price versions and pool rates: immutable once added.</summary>
internal sealed class PriceFacts(SqlDatabase database, RowNumbers numbers, RowIdentities identities)
{
    public void Add(PriceVersion version)
    {
        int added = database["""
            INSERT INTO price_versions (id, effective_from, model, tenant, rates, currency, is_assumption, source, added_at, terms)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
            """].Add(version.Id.Value).Add(version.EffectiveFrom).Add(numbers.Of(version.Model)).Add(numbers.Of(version.Tenant))
            .Add(version.Rates.ToString()).Add(version.Rates.Currency.Code)
            .Add(version.IsAssumption).Add(version.Source).Add(version.AddedAt).Add(version.Terms?.ToString()).Run();
        if (added == 1) return;
        Statement rows = database[PriceRows.SelectById].Add(version.Id.Value);
        PriceVersion known = rows.Step() ? PriceRows.ReadPrice(rows, identities) : throw new InvalidOperationException("A conflicting row exists.");
        rows.Reset();
        if (known != version) throw new StoreException($"The price version {version.Id} is there already with other content: add a new version.");
    }

    public void Add(PoolRate rate)
    {
        int added = database["""
            INSERT INTO pool_rates (id, pool, effective_from, hourly_milli, hourly_pico, hourly_currency, practical_capacity_permille, is_assumption, source, added_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING
            """].Add(rate.Id.Value).Add(numbers.Of(rate.Pool.Value)).Add(rate.EffectiveFrom).Add(rate.HourlyCost).Add(rate.PracticalCapacityPermille)
            .Add(rate.IsAssumption).Add(rate.Source).Add(rate.AddedAt).Run();
        if (added == 1) return;
        Statement rows = database[PriceRows.SelectRateById].Add(rate.Id.Value);
        PoolRate known = rows.Step() ? PriceRows.ReadRate(rows, identities) : throw new InvalidOperationException("A conflicting row exists.");
        rows.Reset();
        if (known != rate) throw new StoreException($"The pool rate {rate.Id} is there already with other content: add a new rate.");
    }
}

/// <summary>Rows of price versions and pool rates as the domain's records.</summary>
internal static class PriceRows
{
    private const string Columns = """
        SELECT id, effective_from, model, tenant, rates, currency, is_assumption, source, added_at, terms
        FROM price_versions
        """;
    private const string RateColumns = """
        SELECT id, pool, effective_from, hourly_milli, hourly_pico, hourly_currency, practical_capacity_permille, is_assumption, source, added_at
        FROM pool_rates
        """;
    public const string SelectAll = Columns + " ORDER BY no";
    public const string SelectById = Columns + " WHERE id = ?";
    public const string SelectAllRates = RateColumns + " ORDER BY no";
    public const string SelectRateById = RateColumns + " WHERE id = ?";

    public static PriceVersion ReadPrice(Statement row, RowIdentities identities)
    {
        PriceVersionId id = new(row.Guid());
        Instant from = row.Instant();
        ModelName? model = identities.Model(row.LongOrNull());
        TenantId? tenant = identities.Tenant(row.LongOrNull());
        string rates = row.Text();
        Currency currency = row.Currency();
        PriceVersion version = new(id, from, model, tenant, TokenRates.Parse(rates, currency), row.Bool(), row.Text(), row.Instant());
        return row.TextOrNull() is string terms ? version with { Terms = PriceTerms.Parse(terms, currency) } : version;
    }

    public static PoolRate ReadRate(Statement row, RowIdentities identities) => new(
        new PoolRateId(row.Guid()), identities.Pool(row.Long()), row.Instant(), row.Money(), row.Int(), row.Bool(), row.Text(), row.Instant());
}
