using System.Collections.Immutable;
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json.Serialization;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>How much may be asked at one level (a tenant, a project, a key, a user tag, a model). Null: no limit there. What each limit means is said in the OpenAPI document too.</summary>
public record RateTerms
{
    public const int RequestsPerMinuteMax = 10_000_000;
    public const long TokensPerMinuteMax = 10_000_000_000;
    public const int ConcurrentMax = 1_000_000;
    public const int WaitSecondsMax = 3_600;
    public const int LineMax = 1_000_000;

    [Description("Requests in a minute")]
    [Range(1, RequestsPerMinuteMax)]
    public int? RequestsPerMinute { get; init; }

    [Description("How many of them may come at once after a pause; null: a minute's worth")]
    [Range(1, RequestsPerMinuteMax)]
    public int? RequestsBurst { get; init; }

    [Description("Tokens in a minute, prompt and answer together")]
    [Range(1, TokensPerMinuteMax)]
    public long? TokensPerMinute { get; init; }

    [Description("Requests under way at the same time; more wait in line")]
    [Range(1, ConcurrentMax)]
    public int? Concurrent { get; init; }

    [Description("How long a request that finds a limit here used up may wait in line for it; 0: it is refused at once; null: as the server says for rates and for concurrency")]
    [Range(0, WaitSecondsMax)]
    public int? WaitSeconds { get; init; }

    [Description("How many may wait here at the same time; null: as the server says")]
    [Range(0, LineMax)]
    public int? WaitingMax { get; init; }

    [JsonIgnore]
    public bool IsEmpty => (RequestsPerMinute, TokensPerMinute, Concurrent) == default;
}

/// <summary>The same for a part of a tenant's requests, each user's or a model's, with money.</summary>
public sealed record PartTerms : RateTerms
{
    [Description("What may be spent in a UTC calendar day, such as \"0.50 USD\"; null: no limit")]
    public string? DailyBudget { get; init; }

    [Description("What may be spent in a UTC calendar month; null: no limit")]
    public string? MonthlyBudget { get; init; }

    [JsonIgnore]
    public Money? DailyLimit => DailyBudget is { } text ? AdminRequest.ParseMoney(text, "daily_budget") : null;

    [JsonIgnore]
    public Money? MonthlyLimit => MonthlyBudget is { } text ? AdminRequest.ParseMoney(text, "monthly_budget") : null;

    [JsonIgnore]
    public bool HasBudget => (DailyBudget ?? MonthlyBudget) is not null;
}

/// <summary>What is agreed with a tenant beyond its monthly budget; how the directory keeps it.</summary>
public sealed record TenantTerms
{
    public RateTerms Rates { get; init; } = new();

    [Description("For every user tag by itself")]
    public PartTerms EachUser { get; init; } = new();

    [Description("For all of the tenant's requests to a model, by the model's name")]
    public ImmutableDictionary<string, PartTerms> Models { get; init; } = ImmutableDictionary<string, PartTerms>.Empty;

    [Description("What may be spent in a UTC calendar day, such as \"5 USD\"; null: no limit")]
    public string? DailyBudget { get; init; }

    /// <summary>Where it is told that a budget nears its end; null: nowhere.</summary>
    public WebhookTerms? Webhook { get; init; }

    [Description("Whom it is told by mail that a budget nears its end")]
    public ImmutableArray<string> AlertMail { get => field.IsDefault ? [] : field; init; } = [];

    /// <summary>As people, the audit log and the API may see it: without the webhook's secret.</summary>
    public string ToShownText() => SettingsText.Write(Webhook is null ? this : this with { Webhook = Webhook with { Secret = "" } }, TermsJson.Default.TenantTerms);

    /// <summary>For how many days its prompts and answers are kept; null: they are not.</summary>
    public int? KeepDays { get; init; }

    /// <summary>Which of its responses are stored.</summary>
    public ResponseStoring Responses { get; init; }

    /// <summary>For how many days they are; null: <see cref="StoringTerms.DaysStandard"/>.</summary>
    public int? ResponseDays { get; init; }

    [Description("Nothing is served to it")]
    public bool Stopped { get; init; }

    [JsonIgnore]
    public Money? DailyLimit => DailyBudget is { } text ? AdminRequest.ParseMoney(text, "daily_budget") : null;

    /// <summary>What bounds its requests to a model; names are told apart without regard to case. Null: nothing does.</summary>
    public PartTerms? OfModel(ModelName model)
    {
        if (Models.IsEmpty) return null;
        foreach ((string name, PartTerms terms) in Models)
        {
            if (name.Equals(model.Value, StringComparison.OrdinalIgnoreCase)) return terms;
        }
        return null;
    }

    public static TenantTerms Of(Tenant tenant) => SettingsText.Read(tenant, static each => each.Settings, TermsJson.Default.TenantTerms, static _ => new TenantTerms());
    public string ToSettings() => SettingsText.Write(this, TermsJson.Default.TenantTerms);
}

/// <summary>What bounds a project beyond its monthly budget.</summary>
public sealed record ProjectTerms
{
    public RateTerms Rates { get; init; } = new();

    [Description("What may be spent in a UTC calendar day; null: no limit")]
    public string? DailyBudget { get; init; }

    [JsonIgnore]
    public Money? DailyLimit => DailyBudget is { } text ? AdminRequest.ParseMoney(text, "daily_budget") : null;

    public static ProjectTerms Of(Project project) => SettingsText.Read(project, static each => each.Settings, TermsJson.Default.ProjectTerms, static _ => new ProjectTerms());
    public string ToSettings() => SettingsText.Write(this, TermsJson.Default.ProjectTerms);
}
