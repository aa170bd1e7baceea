using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>Words errors. The body carries OpenAI's nested shape and the flat one beside it, because some Qwen clients read only the latter.</summary>
internal static class ErrorBody
{
    public static void Write(Utf8JsonWriter json, ApiException error)
    {
        json.WriteStartObject();
        json.WriteStartObject("error");
        WriteFields(json, error);
        json.WriteEndObject();
        json.WriteString("object", "error");
        WriteFields(json, error);
        json.WriteEndObject();
    }

    /// <summary>Answers with an error. Waiting times are given in both units on 429 and on every 5xx, because clients without one retry at once.</summary>
    public static async Task SendAsync(HttpResponse response, ApiException error, GatewayOptions options)
    {
        response.StatusCode = error.Status;
        TimeSpan? wait = error.RetryAfter ?? (error.Status == 429 || error.Status >= 500 ? options.RetryAfterFailure : null);
        if (wait is { } pause)
        {
            response.Headers.RetryAfter = ((long)Math.Max(1, Math.Ceiling(pause.TotalSeconds))).ToString(CultureInfo.InvariantCulture);
            response.Headers["retry-after-ms"] = ((long)Math.Max(1, pause.TotalMilliseconds)).ToString(CultureInfo.InvariantCulture);
        }
        if (error.Status == 401) response.Headers.WWWAuthenticate = "Bearer";
        using JsonAnswer json = new();
        Write(json.Writer, error);
        await json.SendAsync(response);
    }

    private static void WriteFields(Utf8JsonWriter json, ApiException error)
    {
        json.WriteString("message", error.Message);
        json.WriteString("type", error.Type);
        json.WriteString("param", error.Param);
        json.WriteString("code", error.Code);
    }
}
