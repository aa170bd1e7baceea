using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>What the rows of a batch used and cost together, as their answers say it.</summary>
internal sealed class BatchUsage
{
    private long input, cached, output, reasoning;
    private Money? charge, cost;

    /// <summary>What was charged for a row that has no line.</summary>
    public void Add(Money? charged) => charge = Sum(charge, charged);

    /// <summary>All of them; null: nothing was charged.</summary>
    public static Money? SumOf(IEnumerable<Money?> charges) => charges.Aggregate((Money?)null, Sum);

    /// <param name="result">The line of a row.</param>
    /// <param name="chargedBefore">What was charged for answers to it that were lost.</param>
    public void Add(JsonObject result, Money? chargedBefore)
    {
        Add(chargedBefore);
        if (result["response"]?["body"]?["usage"] is not JsonObject usage) return;
        input += Count(usage["prompt_tokens"]);
        output += Count(usage["completion_tokens"]);
        cached += Count(usage["prompt_tokens_details"]?["cached_tokens"]);
        reasoning += Count(usage["completion_tokens_details"]?["reasoning_tokens"]);
        if (usage["x_qanat"] is not { } bill || (string?)bill["currency"] is not { } code) return;
        Currency currency = new Currency(code);
        charge = Sum(charge, Amount(bill["charge"], currency));
        cost = Sum(cost, Amount(bill["cost"], currency));
    }

    /// <summary>In the words of OpenAI's batches, with the bill beside them.</summary>
    public JsonObject ToJson() => new()
    {
        ["input_tokens"] = input,
        ["input_tokens_details"] = new JsonObject { ["cached_tokens"] = cached },
        ["output_tokens"] = output,
        ["output_tokens_details"] = new JsonObject { ["reasoning_tokens"] = reasoning },
        ["total_tokens"] = input + output,
        ["x_qanat"] = new JsonObject { ["charge"] = charge?.ToDecimalText(), ["cost"] = cost?.ToDecimalText(), ["currency"] = (charge ?? cost)?.Currency.Code },
    };

    private static long Count(JsonNode? count) => count is null ? 0 : (long)count;
    private static Money? Amount(JsonNode? text, Currency currency) => text is null ? null : Money.Parse((string)text!, currency);

    /// <summary>A price that changed its currency while the batch ran leaves the sum in that of the rows before.</summary>
    private static Money? Sum(Money? sum, Money? more) => sum is not { } so ? more : more is { } also && also.Currency == so.Currency ? so + also : so;
}
