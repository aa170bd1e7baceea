using System.Text.Json;

namespace Qanat.Gateway;

/// <summary>DashScope's errors: {"request_id","code","message"}, in its own codes.</summary>
internal sealed class DashScopeErrors : ErrorWords
{
    public override void Write(Utf8JsonWriter json, ApiException error, string? requestId = null)
    {
        json.WriteStartObject();
        WriteFields(json, error);
        json.WriteString("request_id", requestId ?? "");
        json.WriteEndObject();
    }

    public static void WriteFields(Utf8JsonWriter json, ApiException error)
    {
        json.WriteString("code", CodeOf(error));
        json.WriteString("message", error.Message);
        json.WriteString("param", error.Param);
    }

    /// <summary>Model Studio knows no 402: who owes is told 400, and whose free tokens are used up 403.</summary>
    public override int StatusOf(ApiException error) => (error.Status, error.Code) switch
    {
        (402, "free_quota_exhausted") => 403,
        (402, _) => 400,
        _ => error.Status,
    };

    /// <summary>429 tells requests, which come again by themselves, from tokens and amounts that were allotted.</summary>
    public static string CodeOf(ApiException error) => (error.Status, error.Code) switch
    {
        (401, _) => "InvalidApiKey",
        (402, "free_quota_exhausted") => "AllocationQuota.FreeTierOnly",
        (402, _) => "Arrearage",
        (403, "model_not_allowed") => "Model.AccessDenied",
        (403, _) => "AccessDenied",
        (404, "model_not_found") => "ModelNotFound",
        (404, _) => "NotFound",
        (429, "queue_full") => "Throttling.BurstRate",
        (429, _) when error.Type is "tokens" or "insufficient_quota" => "Throttling.AllocationQuota",
        (429, _) => "Throttling.RateQuota",
        (503, _) => "ModelServingError",
        ( >= 500, _) => "InternalError",
        _ => "InvalidParameter",
    };
}
