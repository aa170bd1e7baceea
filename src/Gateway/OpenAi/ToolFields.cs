using System.Collections.Immutable;
using System.Text.Json;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Reads what the model may call, and whether it must.</summary>
internal static class ToolFields
{
    private const int NameLengthMax = 128;

    public static ImmutableArray<ToolDefinition> Read(JsonFields fields, int toolsMax)
    {
        if (!fields.TryGet("tools", out JsonElement value)) return [];
        string param = fields.PathOf("tools");
        if (value.ValueKind != JsonValueKind.Array) throw Refusal.Type(param, "an array of tools", JsonFields.Kind(value));
        if (value.GetArrayLength() > toolsMax) throw Refusal.Value(param, FormattableString.Invariant($"at most {toolsMax} tools are allowed."));
        ImmutableArray<ToolDefinition>.Builder tools = ImmutableArray.CreateBuilder<ToolDefinition>(value.GetArrayLength());
        foreach (JsonElement item in value.EnumerateArray())
        {
            string itemParam = FormattableString.Invariant($"{param}[{tools.Count}]");
            if (item.ValueKind != JsonValueKind.Object) throw Refusal.Type(itemParam, "a tool object", JsonFields.Kind(item));
            ToolDefinition tool = ReadTool(item, itemParam);
            if (tools.Any(other => other.Name == tool.Name)) throw Refusal.Value($"{itemParam}.function.name", $"'{tool.Name}' is the name of another tool already.");
            tools.Add(tool);
        }
        return tools.MoveToImmutable();
    }

    /// <summary>"auto", "none", "required", or the function that must be called.</summary>
    public static ToolChoice ReadChoice(JsonFields fields, ImmutableArray<ToolDefinition> tools)
    {
        if (!fields.TryGet("tool_choice", out JsonElement value)) return ToolChoice.Auto;
        string param = fields.PathOf("tool_choice");
        ToolChoice choice = value.ValueKind == JsonValueKind.Object ? ToolChoice.Named(NameOf(new JsonFields(value, param))) : JsonFields.TextOf(value, param) switch
        {
            "auto" => ToolChoice.Auto,
            "none" => ToolChoice.None,
            "required" or "any" => ToolChoice.Required,
            _ => throw Refusal.Value(param, "it must be 'auto', 'none', 'required' or a function by its name."),
        };
        if (choice.IsForced && tools.IsEmpty) throw Refusal.Value(param, "there are no 'tools' to choose from.");
        if (choice.Name is { } name && !tools.Any(tool => tool.Name == name)) throw Refusal.Value(param, "it names a function that is not among the 'tools'.");
        return choice;
    }

    private static string NameOf(JsonFields choice)
    {
        if (choice.RequiredText("type") != "function") throw Refusal.Value(choice.PathOf("type"), "it must be 'function'.");
        return choice.Object("function")?.RequiredText("name") ?? throw Refusal.Missing(choice.PathOf("function"));
    }

    private static ToolDefinition ReadTool(JsonElement item, string param)
    {
        JsonFields tool = new(item, param);
        if (tool.Text("type") is { } type && type != "function") throw Refusal.Unsupported(tool.PathOf("type"), "only tools of type 'function' can be offered to the models served here.");
        JsonFields function = tool.Object("function") ?? throw Refusal.Missing(tool.PathOf("function"));
        string name = function.RequiredText("name");
        if (name.Length is 0 or > NameLengthMax || !name.All(IsNameCharacter))
            throw Refusal.Value(function.PathOf("name"), FormattableString.Invariant($"it needs 1 to {NameLengthMax} letters, digits, dots, colons, hyphens and underscores."));
        string? parameters = null;
        if (function.TryGet("parameters", out JsonElement schema))
        {
            if (schema.ValueKind != JsonValueKind.Object) throw Refusal.Type(function.PathOf("parameters"), "a JSON Schema object", JsonFields.Kind(schema));
            parameters = schema.GetRawText();
        }
        return new ToolDefinition(name, function.Text("description"), parameters, function.Flag("strict") ?? false) { Json = item.GetRawText() };
    }

    private static bool IsNameCharacter(char unit) => char.IsAsciiLetterOrDigit(unit) || unit is '_' or '-' or '.' or ':';
}
