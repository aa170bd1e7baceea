using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>What an identity's settings say; how the directory keeps it.</summary>
public sealed record KeyTerms
{
    private static readonly ConditionalWeakTable<ApiKey, KeyTerms> Read = [];

    public Reach Reach { get; init; }

    /// <summary>The terms of a key. Read once for each state of it. Keys from before there were terms: an owner's reaches everything.</summary>
    public static KeyTerms Of(ApiKey key)
    {
        ArgumentNullException.ThrowIfNull(key);
        return Read.GetValue(key, static each => each.Settings is { } text
            ? JsonSerializer.Deserialize(text, TermsJson.Default.KeyTerms)!
            : new KeyTerms { Reach = each.Role == KeyRole.Owner ? Reach.Cloud : Reach.Tenant });
    }

    /// <summary>As the directory stores it.</summary>
    public string ToSettings() => JsonSerializer.Serialize(this, TermsJson.Default.KeyTerms);
}

/// <summary>JSON metadata of the settings that the directory keeps.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, UseStringEnumConverter = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(KeyTerms))]
internal sealed partial class TermsJson : JsonSerializerContext;
