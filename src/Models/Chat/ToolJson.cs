using System.Text;

namespace Qanat.Models;

/// <summary>Tools as models are shown them: {"type": "function", "function": {...}} with a space behind every colon and comma, as Python's json.dumps writes it and as they were trained.</summary>
internal static class ToolJson
{
    public static string Of(ToolDefinition tool) => Spaced(tool.Json ?? Plain(tool));

    private static string Plain(ToolDefinition tool)
    {
        StringBuilder json = new("{\"type\":\"function\",\"function\":{\"name\":");
        json.Append('"').Append(ParameterSchemas.Escape(tool.Name)).Append('"');
        if (tool.Description is { } description) json.Append(",\"description\":\"").Append(ParameterSchemas.Escape(description)).Append('"');
        json.Append(",\"parameters\":").Append(tool.ParametersJson ?? "{\"type\":\"object\",\"properties\":{}}");
        return json.Append("}}").ToString();
    }

    /// <summary>JSON on one line with one space behind every colon and comma outside of strings; strings stay as they are.</summary>
    public static string Spaced(string json)
    {
        StringBuilder spaced = new(json.Length + 32);
        bool inString = false;
        for (int at = 0; at < json.Length; at++)
        {
            char unit = json[at];
            if (inString)
            {
                spaced.Append(unit);
                if (unit == '\\' && at + 1 < json.Length) spaced.Append(json[++at]);
                inString = unit != '"';
                continue;
            }
            if (unit is ' ' or '\t' or '\r' or '\n') continue;
            inString = unit == '"';
            spaced.Append(unit);
            if (unit is ':' or ',') spaced.Append(' ');
        }
        return spaced.ToString();
    }
}
