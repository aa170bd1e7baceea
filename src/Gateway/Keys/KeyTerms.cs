using System.Collections.Immutable;
using System.ComponentModel;
using System.Net;
using System.Text.Json.Serialization;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>What an identity's settings say: how far it reaches and what bounds it. Empty lists bound nothing.</summary>
public sealed record KeyTerms
{
    public const int ScopesMax = 100;

    public Reach Reach { get; init; }

    [Description("Models it may ask, by name; none named: all")]
    public ImmutableArray<string> Models { get; init; } = [];

    [Description("Beginnings of the paths it may call, such as \"/v1/chat\"; none named: all")]
    public ImmutableArray<string> Endpoints { get; init; } = [];

    [Description("Networks it may be shown from, such as \"10.1.0.0/16\"; none named: all")]
    public ImmutableArray<string> Networks { get; init; } = [];

    [Description("From then on it no longer works")]
    public DateTimeOffset? ExpiresAt { get; init; }

    public RateTerms Rates { get; init; } = new();

    [Description("What may be spent in a UTC calendar day; null: no limit")]
    public string? DailyBudget { get; init; }

    [JsonIgnore]
    public Money? DailyLimit => DailyBudget is { } text ? AdminRequest.ParseMoney(text, "daily_budget") : null;

    /// <summary>The first of the keys that this one was rotated from, one after the other; null: it was not.</summary>
    public Guid? RotatedFrom { get; init; }

    [Description("Set: a person signs in with this identity by name and password; it has no secret that an API takes")]
    public AccountTerms? Account { get; init; }

    [Description("Set: an OpenID provider vouches for whoever signs in with this identity")]
    public OutsideTerms? Outside { get; init; }

    /// <summary>The terms of a key. Keys from before there were terms: an owner's reaches everything.</summary>
    public static KeyTerms Of(ApiKey key)
    {
        ArgumentNullException.ThrowIfNull(key);
        return SettingsText.Read(key, static each => each.Settings, TermsJson.Default.KeyTerms, static each => new KeyTerms { Reach = each.Role == KeyRole.Owner ? Reach.Cloud : Reach.Tenant });
    }

    /// <summary>The key under which its budgets and rates are counted: all that were rotated from one another use them together (ADR 77).</summary>
    public static KeyId CountedAs(ApiKey key)
    {
        ArgumentNullException.ThrowIfNull(key);
        return Of(key).RotatedFrom is { } first ? new KeyId(first) : key.Id;
    }

    /// <summary>As the directory stores it.</summary>
    public string ToSettings() => SettingsText.Write(this, TermsJson.Default.KeyTerms);

    /// <summary>As people, the audit log and the API may see it: without the hash of a password.</summary>
    public string ToShownText() => SettingsText.Write(Account is null ? this : this with { Account = Account with { PasswordHash = "" } }, TermsJson.Default.KeyTerms);

    public bool AllowsModel(ModelName model) => Models.IsEmpty || Models.Any(each => each.Equals(model.Value, StringComparison.OrdinalIgnoreCase));

    public bool AllowsPath(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        return Endpoints.IsEmpty || Endpoints.Any(each => path.StartsWith(each, StringComparison.Ordinal) && (path.Length == each.Length || each.EndsWith('/') || path[each.Length] == '/'));
    }

    /// <param name="address">Null: not known, which no bound allows.</param>
    public bool AllowsAddress(IPAddress? address)
    {
        if (Networks.IsEmpty) return true;
        IPAddress? plain = address is { IsIPv4MappedToIPv6: true } ? address.MapToIPv4() : address;
        return plain is not null && Networks.Any(each => IPNetwork.TryParse(each, out IPNetwork network) && network.Contains(plain));
    }
}

/// <param name="Login">What a person calls themselves when signing in; told apart without regard to case.</param>
/// <param name="PasswordHash">Salted and slow, by ASP.NET Core Identity's hasher.</param>
public sealed record AccountTerms(string Login, string PasswordHash);

/// <param name="Issuer">The provider, as its tokens name it.</param>
/// <param name="Subject">The person, as the provider names them for good.</param>
public sealed record OutsideTerms(string Issuer, string Subject);

/// <summary>JSON metadata of the settings that the directory keeps.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, UseStringEnumConverter = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(KeyTerms))]
[JsonSerializable(typeof(PartTerms))]
[JsonSerializable(typeof(ProjectTerms))]
[JsonSerializable(typeof(RateTerms))]
[JsonSerializable(typeof(TenantTerms))]
internal sealed partial class TermsJson : JsonSerializerContext;
