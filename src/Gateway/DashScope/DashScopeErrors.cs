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

    public static string CodeOf(ApiException error) => (error.Status, error.Code) switch
    {
        (401, _) => "InvalidApiKey",
        (402, _) => "Arrearage",
        (403, _) => "AccessDenied",
        (404, "model_not_found") => "ModelNotFound",
        (404, _) => "NotFound",
        (429, "queue_full") => "Throttling.BurstRate",
        (429, "insufficient_quota" or "tokens_limit") => "Throttling.AllocationQuota",
        (429, _) => "Throttling.RateQuota",
        (503, _) => "ModelServingError",
        ( >= 500, _) => "InternalError",
        _ => "InvalidParameter",
    };
}
