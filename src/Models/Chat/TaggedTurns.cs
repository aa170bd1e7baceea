using System.Text.Json;
using static Qanat.Models.ChatMarks;

namespace Qanat.Models;

/// <summary>The parts of a prompt that models from Qwen3.5 on know otherwise than Qwen3: how tools are listed and how calls were written.</summary>
internal static class TaggedTurns
{
    /// <summary>The system turn of a conversation with tools: first how hard to think, if anything is said of it, then the tools, then what the system says.</summary>
    public static void WriteTools(PromptWriter prompt, string effort, IEnumerable<ToolDefinition> tools, string system)
    {
        prompt.Mark(TurnStart).Text("system\n");
        if (effort.Length > 0) prompt.Text(effort).Text("\n\n");
        prompt.Text("# Tools\n\nYou have access to the following functions:\n\n<tools>");
        foreach (ToolDefinition tool in tools) prompt.Text("\n").Text(ToolJson.Of(tool));
        prompt.Text("\n</tools>\n\nIf you choose to call a function ONLY reply in the following format with NO suffix:\n\n").Mark(CallStart)
            .Text("\n<function=example_function_name>\n<parameter=example_parameter_1>\nvalue_1\n</parameter>\n<parameter=example_parameter_2>\nThis is the value for the second parameter\nthat can span\nmultiple lines\n</parameter>\n</function>\n")
            .Mark(CallEnd).Text("\n\n<IMPORTANT>\nReminder:\n- Function calls MUST follow the specified format: an inner <function=...></function> block must be nested within ").Mark(CallStart).Mark(CallEnd)
            .Text(" XML tags\n- Required parameters MUST be specified\n- You may provide optional reasoning for your function call in natural language BEFORE the function call, but NOT after\n- If there is no function call available, answer the question like normal with your current knowledge and do not tell the user about function calls\n</IMPORTANT>");
        if (system.Length > 0) prompt.Text("\n\n").Text(system);
        prompt.Mark(TurnEnd).Text("\n");
    }

    public static void WriteCalls(PromptWriter prompt, IReadOnlyList<ToolCall> calls, bool afterText, bool valuesInJson)
    {
        for (int i = 0; i < calls.Count; i++)
        {
            if (i > 0 || afterText) prompt.Text(i == 0 ? "\n\n" : "\n");
            prompt.Mark(CallStart).Text($"\n<function={calls[i].Name}>\n");
            WriteParameters(prompt, calls[i].ArgumentsJson, valuesInJson);
            prompt.Text("</function>\n").Mark(CallEnd);
        }
    }

    /// <summary>Arguments that are no object, as a model may have left them, are written as they are.</summary>
    private static void WriteParameters(PromptWriter prompt, string argumentsJson, bool valuesInJson)
    {
        try
        {
            using JsonDocument arguments = JsonDocument.Parse(argumentsJson);
            if (arguments.RootElement.ValueKind != JsonValueKind.Object) throw new JsonException();
            foreach (JsonProperty argument in arguments.RootElement.EnumerateObject())
                prompt.Text($"<parameter={argument.Name}>\n").Text(TextOf(argument.Value, valuesInJson)).Text("\n</parameter>\n");
        }
        catch (JsonException)
        {
            prompt.Text(argumentsJson).Text("\n");
        }
    }

    /// <summary>Texts as they are, other values in JSON or as the templates' language words them.</summary>
    private static string TextOf(JsonElement value, bool inJson) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!,
        JsonValueKind.True or JsonValueKind.False or JsonValueKind.Null when inJson => value.GetRawText(),
        JsonValueKind.True => "True",
        JsonValueKind.False => "False",
        JsonValueKind.Null => "None",
        JsonValueKind.Number => value.GetRawText(),
        _ => ToolJson.Spaced(value.GetRawText()),
    };
}
