using System.Text.Json;

namespace Qanat.Gateway;

/// <summary>Anthropic's errors: {"type":"error","error":{type,message}}; our code and field stand beside them.</summary>
internal sealed class AnthropicErrors : ErrorWords
{
    protected override string? OwnIdHeader => "request-id";

    public override void Write(Utf8JsonWriter json, ApiException error, string? requestId = null)
    {
        json.WriteStartObject();
        WriteFields(json, error);
        if (requestId is not null) json.WriteString("request_id", requestId);
        json.WriteEndObject();
    }

    public static void WriteFields(Utf8JsonWriter json, ApiException error)
    {
        json.WriteString("type", "error");
        json.WriteStartObject("error");
        json.WriteString("type", TypeOf(error.Status));
        json.WriteString("message", error.Message);
        json.WriteString("code", error.Code);
        json.WriteString("param", error.Param);
        json.WriteEndObject();
    }

    private static string TypeOf(int status) => status switch
    {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 => "overloaded_error",
        504 => "timeout_error",
        >= 500 => "api_error",
        _ => "invalid_request_error",
    };
}
