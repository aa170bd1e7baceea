using System.Collections.Immutable;
using System.Text.Json;

namespace Qanat.Gateway;

/// <summary>Reads limits and scopes. What is not named stays as it was; null takes a limit away.</summary>
internal static class TermsFields
{
    private const int ModelsMax = 200;

    /// <summary>The fields of <see cref="ReadKey"/>, as they are kept.</summary>
    public static Schema OfKey => Limited(Schema.Of(TermsJson.Default.RateTerms)).With([.. from name in (string[])["models", "endpoints", "networks"] select Field.May(name, Schema.Of(TermsJson.Default.KeyTerms).FieldOf(name).Schema.OrNull())])
        .With(Field.May("expires_at", Schema.Time("From then on it no longer works").OrNull()));

    /// <summary>The fields of <see cref="ReadTenant"/>.</summary>
    public static Schema OfTenant => Limited(Schema.Of(TermsJson.Default.RateTerms)).With(Field.May("each_user", OfPart), Field.May("models", Schema.Map(OfPart, "For all of the tenant's requests to a model, by the model's name; those that are not named are limited no more").OrNull()));

    public static Schema OfProject => Limited(Schema.Of(TermsJson.Default.RateTerms));

    private static Schema OfPart => Limited(Schema.Of(TermsJson.Default.PartTerms)).With(Field.May("monthly_budget", Schema.Amount("What may be spent in a UTC calendar month; null: no limit").OrNull())).Called("PartLimits");

    /// <summary>An amount is kept as text, and read as a number too.</summary>
    private static Schema Limited(Schema rates) => rates.With(Field.May("daily_budget", Schema.Amount("What may be spent in a UTC calendar day; null: no limit").OrNull()));

    public static RateTerms ReadRates(JsonFields fields, RateTerms before) => Read(fields, before);

    /// <summary>Rates and money of each user, or of a model.</summary>
    private static PartTerms ReadPart(JsonFields fields, PartTerms before) => Read(fields, before) with
    {
        DailyBudget = ReadBudget(fields, "daily_budget", before.DailyBudget),
        MonthlyBudget = ReadBudget(fields, "monthly_budget", before.MonthlyBudget),
    };

    /// <summary>An amount as text or number, as it is kept; null takes it away.</summary>
    public static string? ReadBudget(JsonFields fields, string name, string? before) => fields.Says(name) ? Money(fields, name) : before;

    private static T Read<T>(JsonFields fields, T before) where T : RateTerms => (T)((RateTerms)before with
    {
        RequestsPerMinute = fields.Says("requests_per_minute") ? (int?)fields.Integer("requests_per_minute", 1, RateTerms.RequestsPerMinuteMax) : before.RequestsPerMinute,
        RequestsBurst = fields.Says("requests_burst") ? (int?)fields.Integer("requests_burst", 1, RateTerms.RequestsPerMinuteMax) : before.RequestsBurst,
        TokensPerMinute = fields.Says("tokens_per_minute") ? fields.Integer("tokens_per_minute", 1, RateTerms.TokensPerMinuteMax) : before.TokensPerMinute,
        Concurrent = fields.Says("concurrent") ? (int?)fields.Integer("concurrent", 1, RateTerms.ConcurrentMax) : before.Concurrent,
        WaitSeconds = fields.Says("wait_seconds") ? (int?)fields.Integer("wait_seconds", 0, RateTerms.WaitSecondsMax) : before.WaitSeconds,
        WaitingMax = fields.Says("waiting_max") ? (int?)fields.Integer("waiting_max", 0, RateTerms.LineMax) : before.WaitingMax,
    });

    public static KeyTerms ReadKey(JsonFields fields, KeyTerms before) => before with
    {
        Models = fields.Says("models") ? KeyScope.CheckedModels(Texts(fields, "models")) : before.Models,
        Endpoints = fields.Says("endpoints") ? KeyScope.CheckedEndpoints(Texts(fields, "endpoints")) : before.Endpoints,
        Networks = fields.Says("networks") ? KeyScope.CheckedNetworks(Texts(fields, "networks")) : before.Networks,
        ExpiresAt = !fields.Says("expires_at") ? before.ExpiresAt : fields.Text("expires_at") is { } text ? AdminRequest.ParseTime(text, "expires_at").ToDateTimeOffset() : null,
        Rates = ReadRates(fields, before.Rates),
        DailyBudget = ReadBudget(fields, "daily_budget", before.DailyBudget),
    };

    public static TenantTerms ReadTenant(JsonFields fields, TenantTerms before) => before with
    {
        Rates = ReadRates(fields, before.Rates),
        EachUser = fields.Object("each_user") is { } user ? ReadPart(user, before.EachUser) : before.EachUser,
        Models = fields.Says("models") ? ReadModels(fields) : before.Models,
        DailyBudget = ReadBudget(fields, "daily_budget", before.DailyBudget),
    };

    private static ImmutableDictionary<string, PartTerms> ReadModels(JsonFields fields)
    {
        ImmutableDictionary<string, PartTerms> models = ImmutableDictionary<string, PartTerms>.Empty;
        if (!fields.TryGet("models", out JsonElement value)) return models;
        if (value.ValueKind != JsonValueKind.Object) throw Refusal.Type("models", "an object of model names and limits", JsonFields.Kind(value));
        foreach (JsonProperty model in value.EnumerateObject())
        {
            if (model.Value.ValueKind != JsonValueKind.Object) throw Refusal.Type("models." + model.Name, "an object", JsonFields.Kind(model.Value));
            models = models.SetItem(model.Name, ReadPart(new JsonFields(model.Value, "models." + model.Name), new PartTerms()));
            Check(models.Count <= ModelsMax, "models", $"at most {ModelsMax} are allowed.");
        }
        return models;
    }

    private static string? Money(JsonFields fields, string name) =>
        fields.TextOrNumber(name) is { } text && AdminRequest.ParseMoney(text, name) is var money ? $"{money.ToDecimalText()} {money.Currency.Code}" : null;

    private static IReadOnlyList<string> Texts(JsonFields fields, string name)
    {
        if (!fields.TryGet(name, out JsonElement value)) return [];
        if (value.ValueKind != JsonValueKind.Array) throw Refusal.Type(name, "an array of strings", JsonFields.Kind(value));
        return [.. value.EnumerateArray().Select((item, index) => JsonFields.TextOf(item, $"{name}[{index}]"))];
    }

    private static void Check(bool good, string param, string complaint)
    {
        if (!good) throw Refusal.Value(param, complaint);
    }
}
