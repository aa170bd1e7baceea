using System.Collections.Immutable;
using System.Text.Json;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Words the calls of an answer as "tool_calls".</summary>
internal static class ToolCallsJson
{
    public static void Write(Utf8JsonWriter json, IReadOnlyList<ToolCall> calls)
    {
        json.WriteStartArray("tool_calls");
        foreach (ToolCall call in calls)
        {
            json.WriteStartObject();
            json.WriteString("id", call.Id);
            json.WriteString("type", "function");
            WriteFunction(json, call.Name, call.ArgumentsJson);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    /// <summary>One entry per call that has something new: clients add up entries by their index.</summary>
    public static void WriteDelta(Utf8JsonWriter json, ImmutableArray<AnswerPiece> pieces)
    {
        json.WriteStartArray("tool_calls");
        foreach (IGrouping<int, AnswerPiece> call in pieces.Where(piece => piece is ToolCallStart or ToolCallArguments).GroupBy(IndexOf))
        {
            ToolCallStart? start = call.OfType<ToolCallStart>().FirstOrDefault();
            json.WriteStartObject();
            json.WriteNumber("index", call.Key);
            if (start is not null)
            {
                json.WriteString("id", start.Id);
                json.WriteString("type", "function");
            }
            WriteFunction(json, start?.Name, string.Concat(call.OfType<ToolCallArguments>().Select(piece => piece.Fragment)));
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static int IndexOf(AnswerPiece piece) => piece is ToolCallStart start ? start.Index : ((ToolCallArguments)piece).Index;

    private static void WriteFunction(Utf8JsonWriter json, string? name, string arguments)
    {
        json.WriteStartObject("function");
        if (name is not null) json.WriteString("name", name);
        json.WriteString("arguments", arguments);
        json.WriteEndObject();
    }
}
