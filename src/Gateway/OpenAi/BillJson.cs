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
        json.WriteStartObject("usage"u8);
        json.WriteNumber("prompt_tokens"u8, tokens.Input);
        json.WriteNumber("completion_tokens"u8, tokens.Output);
        json.WriteNumber("total_tokens"u8, tokens.Input + tokens.Output);
        json.WriteStartObject("prompt_tokens_details"u8);
        WriteCached(json, bill);
        json.WriteEndObject();
        json.WriteStartObject("completion_tokens_details"u8);
        json.WriteNumber("reasoning_tokens"u8, tokens.Reasoning);
        json.WriteEndObject();
        WriteQanat(json, bill);
        json.WriteEndObject();
    }

    /// <summary>What the cache had, and when the request asked for caching what was kept for it, in Model Studio's fields.</summary>
    public static void WriteCached(Utf8JsonWriter json, Bill bill)
    {
        json.WriteNumber("cached_tokens"u8, bill.Tokens.CacheRead);
        if (!bill.AsksForCache) return;
        json.WriteNumber("cache_creation_input_tokens"u8, bill.Tokens.CacheWrite);
        json.WriteStartObject("cache_creation"u8);
        json.WriteNumber("ephemeral_5m_input_tokens"u8, bill.Tokens.CacheWrite);
        json.WriteEndObject();
        json.WriteString("cache_type"u8, "ephemeral");
    }

    /// <summary>The "x_qanat" object alone, for APIs with another usage object.</summary>
    public static void WriteQanat(Utf8JsonWriter json, Bill bill)
    {
        json.WriteStartObject("x_qanat"u8);
        json.WriteString("request_id"u8, bill.Records[0].Id.Value);
        if (bill.Records.Count > 1)
        {
            json.WriteStartArray("request_ids"u8);
            foreach (UsageRecord record in bill.Records)
                json.WriteStringValue(record.Id.Value);
            json.WriteEndArray();
        }
        json.WriteString("tenant"u8, bill.Caller.Tenant.Name);
        json.WriteString("project"u8, bill.Caller.Project.Name);
        if (bill.ServedModel is { } served) json.WriteString("served_model"u8, served.Value);
        WriteMoney(json, "charge", bill.Charge);
        WriteMoney(json, "cost", bill.Cost);
        json.WriteString("currency"u8, (bill.Charge ?? bill.Cost)?.Currency.Code);
        json.WriteNumber("device_ns"u8, bill.DeviceNanoseconds);
        WritePrice(json, bill);
        WriteCostBasis(json, bill);
        json.WriteStartArray("states"u8);
        foreach (string state in bill.States)
            json.WriteStringValue(state);
        json.WriteEndArray();
        if (bill.EndedByBudget) json.WriteString("stop_reason"u8, "budget");
        else if (bill.EndedByLoop) json.WriteString("stop_reason"u8, "loop");
        if (bill.Notice is { } notice) json.WriteString("notice"u8, notice);
        json.WriteEndObject();
    }

    private static void WritePrice(Utf8JsonWriter json, Bill bill)
    {
        if (bill.Rates is not { } rates)
        {
            json.WriteNull("price"u8);
            return;
        }
        json.WriteStartObject("price"u8);
        WriteRates(json, rates);
        if (bill.Price is { } price)
        {
            json.WriteString("version"u8, price.Id.Value);
            json.WriteString("source"u8, price.Source);
            json.WriteBoolean("assumed"u8, price.IsAssumption);
        }
        json.WriteEndObject();
    }

    /// <summary>What the device time was costed at.</summary>
    private static void WriteCostBasis(Utf8JsonWriter json, Bill bill)
    {
        if (bill.PoolRate is not { } rate)
        {
            json.WriteNull("cost_basis"u8);
            return;
        }
        json.WriteStartObject("cost_basis"u8);
        json.WriteString("pool"u8, rate.Pool.Value);
        json.WriteString("hourly_cost"u8, rate.HourlyCost.ToDecimalText());
        json.WriteString("currency"u8, rate.HourlyCost.Currency.Code);
        json.WriteString("practical_capacity_percent"u8, PercentText(rate.PracticalCapacityPermille));
        json.WriteString("version"u8, rate.Id.Value);
        json.WriteBoolean("assumed"u8, rate.IsAssumption);
        json.WriteEndObject();
    }

    /// <summary>Rates per million tokens; a class without a rate of its own is left out.</summary>
    public static void WriteRates(Utf8JsonWriter json, TokenRates rates)
    {
        json.WriteString("currency"u8, rates.Currency.Code);
        json.WriteString("input_per_million"u8, PerMillion(rates.InputPerToken));
        json.WriteString("output_per_million"u8, PerMillion(rates.OutputPerToken));
        if (rates.CacheReadPerToken is { } cacheRead) json.WriteString("cache_read_per_million"u8, PerMillion(cacheRead));
        if (rates.CacheWritePerToken is { } cacheWrite) json.WriteString("cache_write_per_million"u8, PerMillion(cacheWrite));
        if (rates.ExplicitCacheReadPerToken is { } explicitRead) json.WriteString("explicit_cache_read_per_million"u8, PerMillion(explicitRead));
        if (rates.ReasoningPerToken is { } reasoning) json.WriteString("reasoning_per_million"u8, PerMillion(reasoning));
    }

    public static string PerMillion(Money perToken) => (perToken * 1_000_000).ToDecimalText();

    public static string PercentText(int permille) => permille % 10 == 0
        ? (permille / 10).ToString(CultureInfo.InvariantCulture)
        : string.Create(CultureInfo.InvariantCulture, $"{permille / 10}.{permille % 10}");

    private static void WriteMoney(Utf8JsonWriter json, string name, Money? money) => json.WriteString(name, money?.ToDecimalText());
}
