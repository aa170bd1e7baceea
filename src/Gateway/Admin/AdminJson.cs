using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>How the books' values look in the admin API: amounts as exact decimal strings, times as ISO 8601, ids as UUIDs, enums in snake case.</summary>
internal sealed class AdminJson(DirectoryState directory)
{
    public static JsonObject List(IEnumerable<JsonObject> rows) => new() { ["data"] = new JsonArray([.. rows]) };

    public JsonObject? Of(TenantId? id) => id is not { } tenant ? null : new JsonObject { ["id"] = tenant.ToString(), ["name"] = directory.Current.FindTenant(tenant)?.Name };
    public static JsonNode Of(RateTerms rates) => JsonSerializer.SerializeToNode(rates, TermsJson.Default.RateTerms)!;

    public JsonObject? Of(ProjectId? id) => id is not { } project ? null : new JsonObject { ["id"] = project.ToString(), ["name"] = directory.Current.FindProject(project)?.Name };

    public static string? Text(Money? money) => money?.ToDecimalText();
    public static string? Text(Instant? at) => at?.ToDateTimeOffset().ToString("yyyy-MM-ddTHH:mm:ss.fffffffZ", System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>"AbortedByClient" as "aborted_by_client".</summary>
    public static string Text<T>(T value) where T : struct, Enum
    {
        string name = value.ToString();
        return string.Concat(name.Select((letter, index) => char.IsAsciiLetterUpper(letter) && index > 0 ? "_" + char.ToLowerInvariant(letter) : char.ToLowerInvariant(letter).ToString()));
    }

    /// <summary>The reverse: "aborted_by_client" as AbortedByClient. Null stays null.</summary>
    /// <exception cref="ApiException">400: it is none of them; the message lists them.</exception>
    public static T? Parse<T>(string? text, string param) where T : struct, Enum
    {
        if (text is null) return null;
        foreach (T value in Enum.GetValues<T>())
        {
            if (Text(value).Equals(text, StringComparison.OrdinalIgnoreCase)) return value;
        }
        throw Refusal.Value(param, $"it must be one of {string.Join(", ", Enum.GetValues<T>().Select(Text))}.");
    }

    public static JsonObject Of(TokenCounts tokens) => new()
    {
        ["input"] = tokens.Input,
        ["cache_read"] = tokens.CacheRead,
        ["cache_write"] = tokens.CacheWrite,
        ["output"] = tokens.Output,
        ["reasoning"] = tokens.Reasoning,
    };

    public JsonObject Of(UsageRecord record) => new()
    {
        ["id"] = record.Id.ToString(),
        ["placed_at"] = Text(record.PlacedAt),
        ["first_token_at"] = Text(record.FirstTokenAt),
        ["completed_at"] = Text(record.CompletedAt),
        ["tenant"] = Of((TenantId?)record.Party.Tenant),
        ["project"] = Of((ProjectId?)record.Party.Project),
        ["key"] = record.Party.Key.ToString(),
        ["user"] = record.Party.UserTag,
        ["model"] = record.Model.Value,
        ["deployment"] = record.Deployment.Value,
        ["pool"] = record.Pool.Value,
        ["operation"] = Text(record.Operation),
        ["outcome"] = Text(record.Outcome),
        ["tokens"] = Of(record.Tokens),
        ["device_ns"] = new JsonObject { ["prefill"] = record.Device.PrefillNanoseconds, ["decode"] = record.Device.DecodeNanoseconds },
        ["price_version"] = record.Price?.ToString(),
        ["charge"] = Text(record.Charge),
        ["cost"] = Text(record.Cost),
        ["currency"] = (record.Charge ?? record.Cost)?.Currency.Code,
        ["pool_rate"] = record.PoolRate?.ToString(),
        ["states"] = new JsonArray([.. StatesOf(record).Select(state => JsonValue.Create(state))]),
    };

    public JsonObject Of(PriceVersion version) => new()
    {
        ["id"] = version.Id.ToString(),
        ["effective_from"] = Text(version.EffectiveFrom),
        ["model"] = version.Model?.Value,
        ["tenant"] = Of(version.Tenant),
        ["currency"] = version.Rates.Currency.Code,
        ["input_per_million"] = BillJson.PerMillion(version.Rates.InputPerToken),
        ["output_per_million"] = BillJson.PerMillion(version.Rates.OutputPerToken),
        ["cache_read_per_million"] = version.Rates.CacheReadPerToken is { } read ? BillJson.PerMillion(read) : null,
        ["cache_write_per_million"] = version.Rates.CacheWritePerToken is { } write ? BillJson.PerMillion(write) : null,
        ["reasoning_per_million"] = version.Rates.ReasoningPerToken is { } reasoning ? BillJson.PerMillion(reasoning) : null,
        ["assumed"] = version.IsAssumption,
        ["source"] = version.Source,
        ["added_at"] = Text(version.AddedAt),
    };

    public static JsonObject Of(PoolRate rate) => new()
    {
        ["id"] = rate.Id.ToString(),
        ["pool"] = rate.Pool.Value,
        ["effective_from"] = Text(rate.EffectiveFrom),
        ["hourly_cost"] = rate.HourlyCost.ToDecimalText(),
        ["currency"] = rate.HourlyCost.Currency.Code,
        ["practical_capacity_permille"] = rate.PracticalCapacityPermille,
        ["assumed"] = rate.IsAssumption,
        ["source"] = rate.Source,
        ["added_at"] = Text(rate.AddedAt),
    };

    public JsonObject Of(Transaction transaction) => new()
    {
        ["id"] = transaction.Id.ToString(),
        ["at"] = Text(transaction.At),
        ["template"] = transaction.Template,
        ["memo"] = transaction.Memo,
        ["entries"] = new JsonArray([.. transaction.Entries.Select(Of)]),
    };

    private JsonObject Of(Entry entry) => new()
    {
        ["account"] = entry.Account.Path,
        ["amount"] = entry.Amount.ToDecimalText(),
        ["currency"] = entry.Amount.Currency.Code,
        ["tenant"] = Of(entry.Dimensions.Tenant),
        ["project"] = Of(entry.Dimensions.Project),
        ["model"] = entry.Dimensions.Model?.Value,
        ["deployment"] = entry.Dimensions.Deployment?.Value,
        ["pool"] = entry.Dimensions.Pool?.Value,
    };

    public static IEnumerable<string> StatesOf(UsageRecord record)
    {
        if (record.IsUsageMissing) yield return "usage_missing";
        if (record.Charge is null) yield return "unpriced";
        if (record.Cost is null) yield return "uncosted";
        if (record.Upstream is { State: UsageCheckState.Missing }) yield return "usage_missing";
        if (record.Upstream is { State: UsageCheckState.Differs }) yield return "usage_differs";
    }
}
