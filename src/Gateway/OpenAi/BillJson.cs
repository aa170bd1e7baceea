using System.Globalization;
using System.Text.Json;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Writes usage as OpenAI does, and beside it the "x_qanat" object: whose it is, what it cost and what it earned. Amounts are exact decimal strings.</summary>
internal static class BillJson
{
    public static void WriteUsage(Utf8JsonWriter json, Bill bill)
    {
        TokenCounts tokens = bill.Tokens;
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", tokens.Input);
        json.WriteNumber("completion_tokens", tokens.Output);
        json.WriteNumber("total_tokens", tokens.Input + tokens.Output);
        json.WriteStartObject("prompt_tokens_details");
        WriteCached(json, bill);
        json.WriteEndObject();
        json.WriteStartObject("completion_tokens_details");
        json.WriteNumber("reasoning_tokens", tokens.Reasoning);
        json.WriteEndObject();
        WriteQanat(json, bill);
        json.WriteEndObject();
    }

    /// <summary>What the cache had, and when the request asked for caching what was kept for it, in Model Studio's fields.</summary>
    public static void WriteCached(Utf8JsonWriter json, Bill bill)
    {
        json.WriteNumber("cached_tokens", bill.Tokens.CacheRead);
        if (!bill.AsksForCache) return;
        json.WriteNumber("cache_creation_input_tokens", bill.Tokens.CacheWrite);
        json.WriteStartObject("cache_creation");
        json.WriteNumber("ephemeral_5m_input_tokens", bill.Tokens.CacheWrite);
        json.WriteEndObject();
        json.WriteString("cache_type", "ephemeral");
    }

    /// <summary>The "x_qanat" object alone, for APIs with another usage object.</summary>
    public static void WriteQanat(Utf8JsonWriter json, Bill bill)
    {
        json.WriteStartObject("x_qanat");
        json.WriteString("request_id", bill.Records[0].Id.Value);
        if (bill.Records.Count > 1)
        {
            json.WriteStartArray("request_ids");
            foreach (UsageRecord record in bill.Records)
                json.WriteStringValue(record.Id.Value);
            json.WriteEndArray();
        }
        json.WriteString("tenant", bill.Caller.Tenant.Name);
        json.WriteString("project", bill.Caller.Project.Name);
        if (bill.ServedModel is { } served) json.WriteString("served_model", served.Value);
        WriteMoney(json, "charge", bill.Charge);
        WriteMoney(json, "cost", bill.Cost);
        json.WriteString("currency", (bill.Charge ?? bill.Cost)?.Currency.Code);
        json.WriteNumber("device_ns", bill.DeviceNanoseconds);
        WritePrice(json, bill);
        WriteCostBasis(json, bill);
        json.WriteStartArray("states");
        foreach (string state in bill.States)
            json.WriteStringValue(state);
        json.WriteEndArray();
        if (bill.EndedByBudget) json.WriteString("stop_reason", "budget");
        else if (bill.EndedByLoop) json.WriteString("stop_reason", "loop");
        if (bill.Notice is { } notice) json.WriteString("notice", notice);
        json.WriteEndObject();
    }

    private static void WritePrice(Utf8JsonWriter json, Bill bill)
    {
        if (bill.Rates is not { } rates)
        {
            json.WriteNull("price");
            return;
        }
        json.WriteStartObject("price");
        WriteRates(json, rates);
        if (bill.Price is { } price)
        {
            json.WriteString("version", price.Id.Value);
            json.WriteString("source", price.Source);
            json.WriteBoolean("assumed", price.IsAssumption);
        }
        json.WriteEndObject();
    }

    /// <summary>What the device time was costed at.</summary>
    private static void WriteCostBasis(Utf8JsonWriter json, Bill bill)
    {
        if (bill.PoolRate is not { } rate)
        {
            json.WriteNull("cost_basis");
            return;
        }
        json.WriteStartObject("cost_basis");
        json.WriteString("pool", rate.Pool.Value);
        json.WriteString("hourly_cost", rate.HourlyCost.ToDecimalText());
        json.WriteString("currency", rate.HourlyCost.Currency.Code);
        json.WriteString("practical_capacity_percent", PercentText(rate.PracticalCapacityPermille));
        json.WriteString("version", rate.Id.Value);
        json.WriteBoolean("assumed", rate.IsAssumption);
        json.WriteEndObject();
    }

    /// <summary>Rates per million tokens; a class without a rate of its own is left out.</summary>
    public static void WriteRates(Utf8JsonWriter json, TokenRates rates)
    {
        json.WriteString("currency", rates.Currency.Code);
        json.WriteString("input_per_million", PerMillion(rates.InputPerToken));
        json.WriteString("output_per_million", PerMillion(rates.OutputPerToken));
        if (rates.CacheReadPerToken is { } cacheRead) json.WriteString("cache_read_per_million", PerMillion(cacheRead));
        if (rates.CacheWritePerToken is { } cacheWrite) json.WriteString("cache_write_per_million", PerMillion(cacheWrite));
        if (rates.ExplicitCacheReadPerToken is { } explicitRead) json.WriteString("explicit_cache_read_per_million", PerMillion(explicitRead));
        if (rates.ReasoningPerToken is { } reasoning) json.WriteString("reasoning_per_million", PerMillion(reasoning));
    }

    public static string PerMillion(Money perToken) => (perToken * 1_000_000).ToDecimalText();

    public static string PercentText(int permille) => permille % 10 == 0
        ? (permille / 10).ToString(CultureInfo.InvariantCulture)
        : string.Create(CultureInfo.InvariantCulture, $"{permille / 10}.{permille % 10}");

    private static void WriteMoney(Utf8JsonWriter json, string name, Money? money) => json.WriteString(name, money?.ToDecimalText());
}
