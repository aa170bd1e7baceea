using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Prices and pool rates over HTTP. Both are effective-dated and never changed; what was assumed is confirmed by a new version that is not.</summary>
internal sealed class TariffApi(TariffState tariffs, DirectoryState directory, AdminJson json, TimeProvider clock)
{
    private const int DefaultPracticalCapacityPermille = 850;

    public void Map(AdminRoutes routes)
    {
        routes.Get("/api/prices", Permission.SeePrices, ListPrices, new(Tags.Prices, "Every version of the prices that hold for you") { Answer = Schema.Rows("Versions of prices") });
        routes.Post("/api/prices", Permission.ChangePrices, AddPriceAsync, new(Tags.Prices, "Add a version of a price, from a moment on; none is ever changed")
        {
            Body = Schema.Object(Field.May("tenant", Schema.Text("For whom: a tenant by its id or name; without it, for all")), Field.May("model", Schema.Text("Of which model; without it, of all that have none of their own")),
                Field.Needed("input_per_million", Schema.Amount("Of a million tokens of prompts")), Field.Needed("output_per_million", Schema.Amount("Of a million tokens of answers")),
                Rate("cache_read_per_million", "Of a million tokens found in the cache; without it, as of prompts"), Rate("cache_write_per_million", "Of a million tokens that a request asks to keep; without it, as of prompts"),
                Rate("reasoning_per_million", "Of a million tokens of thoughts; without it, as of answers"), CurrencyField, Effective, Source),
        });
        routes.Get("/api/costs", Permission.SeeCosts, ListCosts, new(Tags.Costs, "Every version of what an hour of a pool costs") { Answer = Schema.Rows("Versions of rates") });
        routes.Post("/api/costs", Permission.ChangeCosts, AddCostAsync, new(Tags.Costs, "Say what an hour of a pool costs, from a moment on")
        {
            Body = Schema.Object(Field.Needed("hourly_cost", Schema.Amount("Of the whole pool, in the currency that its cost is kept in")), CurrencyField,
                Field.May("practical_capacity_permille", Schema.Integer("How much of the time it can be busy", 1, 1000).Defaults(DefaultPracticalCapacityPermille)), Field.Needed("pool", Schema.Text("Its name")), Effective, Source),
        });
        routes.Post("/api/costs/confirm", Permission.ChangeCosts, ConfirmCostAsync, new(Tags.Costs, "Take what was assumed of a pool's cost as a fact from now on") { Body = Schema.Object(Field.Needed("pool", Schema.Text("Its name"))) });
    }

    private static Field CurrencyField => Field.May("currency", Schema.Text("Three letters").Defaults(Currency.Usd.Code));
    private static Field Effective => Field.May("effective_from", Schema.Time("From when on; without it, from now on"));
    private static Field Source => Field.May("source", Schema.Text("Where it is from").Defaults("set by the owner"));
    private static Field Rate(string name, string about) => Field.May(name, Schema.Amount(about));

    public JsonObject ListPrices(AdminRequest request) => AdminJson.List(tariffs.Prices.Versions.Where(version => version.Tenant is not { } tenant || request.Sees(tenant)).Select(json.Of));
    public JsonObject ListCosts(AdminRequest request) => AdminJson.List(tariffs.Costs.Rates.Select(AdminJson.Of));

    public async Task<JsonObject> AddPriceAsync(AdminRequest request, JsonFields fields)
    {
        Instant now = Instant.Now(clock);
        TenantId? tenant = fields.Text("tenant") is { } name ? (directory.Current.FindTenant(name) ?? throw DirectoryNames.Unknown("tenant", name)).Id : null;
        ModelName? model = Words(fields, "model") is { } named ? new ModelName(named) : null;
        PriceVersion version = new(PriceVersionId.New(clock), From(fields, now), model, tenant, Rates(fields), IsAssumption: false, Words(fields, "source") ?? "set by the owner", now);
        string subject = $"{model?.Value ?? "any model"}, {(tenant is null ? "any tenant" : directory.Current.FindTenant(tenant.Value)!.Name)}";
        await tariffs.AddPriceAsync(version, new AuditEntry(now, request.Who, "price.add", subject, null, $"{version.Rates} {version.Rates.Currency} per million tokens from {version.EffectiveFrom}"), request.Cancel);
        return json.Of(version);
    }

    public Task<JsonObject> AddCostAsync(AdminRequest request, JsonFields fields)
    {
        Money hourly = AdminRequest.ParseMoney(fields.TextOrNumber("hourly_cost") ?? throw Refusal.Missing("hourly_cost"), "hourly_cost", fields.Text("currency"));
        int practical = (int?)fields.Integer("practical_capacity_permille", 1, 1000) ?? DefaultPracticalCapacityPermille;
        return AddRateAsync(request, fields.RequiredText("pool"), hourly, practical, From(fields, Instant.Now(clock)), fields.Text("source") ?? "set by the owner");
    }

    /// <summary>The rate in force, as a fact from now on.</summary>
    public Task<JsonObject> ConfirmCostAsync(AdminRequest request, JsonFields fields)
    {
        PoolName pool = new(fields.RequiredText("pool"));
        Instant now = Instant.Now(clock);
        PoolRate rate = tariffs.Costs.RateAt(pool, now) ?? throw DirectoryNames.Unknown("pool", pool.Value);
        if (!rate.IsAssumption) throw new ApiException(400, Refusal.InvalidRequest, "not_assumed", $"The cost of {pool} is not an assumption: there is nothing to confirm.", "pool");
        return AddRateAsync(request, pool.Value, rate.HourlyCost, rate.PracticalCapacityPermille, now, $"confirmed by {request.Who}; was: {rate.Source}");
    }

    private async Task<JsonObject> AddRateAsync(AdminRequest request, string pool, Money hourly, int practical, Instant from, string source)
    {
        PoolName name = new(pool);
        Instant now = Instant.Now(clock);
        PoolRate? before = tariffs.Costs.RateAt(name, now) ?? throw DirectoryNames.Unknown("pool", pool);
        if (before.HourlyCost.Currency != hourly.Currency)
            throw Refusal.Value("currency", $"the pool's cost is kept in {before.HourlyCost.Currency}.");
        PoolRate rate = new(PoolRateId.New(clock), name, from, hourly, practical, IsAssumption: false, source, now);
        await tariffs.AddPoolRateAsync(rate, new AuditEntry(now, request.Who, "pool.rate", pool, $"{before.HourlyCost} an hour", $"{hourly} an hour from {from}"), request.Cancel);
        return AdminJson.Of(rate);
    }

    /// <summary>Text that can stand in a price file.</summary>
    private static string? Words(JsonFields fields, string name)
    {
        string? text = fields.Text(name);
        return text is null || text.Length > 0 && !text.Any(letter => letter == '"' || char.IsControl(letter)) ? text : throw Refusal.Value(name, "it must not be empty, and hold no quotation mark and no control character.");
    }

    private static TokenRates Rates(JsonFields fields)
    {
        string input = fields.TextOrNumber("input_per_million") ?? throw Refusal.Missing("input_per_million");
        string output = fields.TextOrNumber("output_per_million") ?? throw Refusal.Missing("output_per_million");
        try
        {
            return TokenRates.PerMillion(new Currency(fields.Text("currency") ?? Currency.Usd.Code), input, output, fields.TextOrNumber("cache_read_per_million"),
                fields.TextOrNumber("cache_write_per_million"), fields.TextOrNumber("reasoning_per_million"));
        }
        catch (Exception error) when (error is FormatException or ArgumentException or OverflowException)
        {
            throw new ApiException(400, Refusal.InvalidRequest, "invalid_value", error.Message, "input_per_million");
        }
    }

    private static Instant From(JsonFields fields, Instant now) => fields.Text("effective_from") is { } text ? AdminRequest.ParseTime(text, "effective_from") : now;
}
