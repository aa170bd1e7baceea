using System.Text.Json;

namespace Qanat.Gateway;

/// <summary>Words errors. The body carries OpenAI's nested shape and the flat one beside it, because some Qwen clients read only the latter.</summary>
internal static class ErrorBody
{
    /// <param name="bill">What is charged nevertheless; null: nothing.</param>
    public static void Write(Utf8JsonWriter json, ApiException error, Bill? bill = null)
    {
        json.WriteStartObject();
        json.WriteStartObject("error");
        WriteFields(json, error);
        json.WriteEndObject();
        json.WriteString("object", "error");
        WriteFields(json, error);
        if (bill is not null) BillJson.WriteUsage(json, bill);
        json.WriteEndObject();
    }

    private static void WriteFields(Utf8JsonWriter json, ApiException error)
    {
        json.WriteString("message", error.Message);
        json.WriteString("type", error.Type);
        json.WriteString("param", error.Param);
        json.WriteString("code", error.Code);
    }
}
