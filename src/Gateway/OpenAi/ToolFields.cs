using System.Collections.Immutable;
using System.Text.Json;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Reads what the model may call, and whether it must.</summary>
internal static class ToolFields
{
    private const int NameLengthMax = 128;
    private const string AllowedTools = "allowed_tools";

    /// <summary>All of them, or those that "tool_choice" allows: no others are offered.</summary>
    public static ImmutableArray<ToolDefinition> Read(JsonFields fields, int toolsMax)
    {
        if (!fields.TryGet("tools", out JsonElement value)) return Allowed(fields, []);
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
        return Allowed(fields, tools.MoveToImmutable());
    }

    /// <summary>"auto", "none", "required", the function that must be called, or a mode over the tools that are allowed.</summary>
    public static ToolChoice ReadChoice(JsonFields fields, ImmutableArray<ToolDefinition> tools)
    {
        if (!fields.TryGet("tool_choice", out JsonElement value)) return ToolChoice.Auto;
        string param = fields.PathOf("tool_choice");
        ToolChoice choice = value.ValueKind == JsonValueKind.Object ? ReadChoice(new JsonFields(value, param)) : JsonFields.TextOf(value, param) switch
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

    /// <summary>Those of the tools that are named, in their own order.</summary>
    /// <param name="named">Each with a "name".</param>
    public static ImmutableArray<ToolDefinition> Only(ImmutableArray<ToolDefinition> tools, IEnumerable<JsonFields> named)
    {
        HashSet<string> names = new(StringComparer.Ordinal);
        foreach (JsonFields each in named)
        {
            string name = each.RequiredText("name");
            if (!tools.Any(tool => tool.Name == name)) throw Refusal.Value(each.PathOf("name"), "it names a function that is not among the 'tools'.");
            names.Add(name);
        }
        return tools.RemoveAll(tool => !names.Contains(tool.Name));
    }

    private static ToolChoice ReadChoice(JsonFields choice) => choice.RequiredText("type") switch
    {
        "function" => ToolChoice.Named(NameOf(choice)),
        AllowedTools => ReadMode(choice.Object(AllowedTools) ?? throw Refusal.Missing(choice.PathOf(AllowedTools))),
        _ => throw Refusal.Value(choice.PathOf("type"), "it must be 'function' or 'allowed_tools'."),
    };

    private static ToolChoice ReadMode(JsonFields allowed) => allowed.Text("mode") switch
    {
        null or "auto" => ToolChoice.Auto,
        "required" => ToolChoice.Required,
        _ => throw Refusal.Value(allowed.PathOf("mode"), "it must be 'auto' or 'required'."),
    };

    private static string NameOf(JsonFields choice) => FunctionOf(choice).RequiredText("name");

    private static JsonFields FunctionOf(JsonFields of) => of.Object("function") ?? throw Refusal.Missing(of.PathOf("function"));

    private static ImmutableArray<ToolDefinition> Allowed(JsonFields fields, ImmutableArray<ToolDefinition> tools)
    {
        if (!fields.TryGet("tool_choice", out JsonElement choice) || choice.ValueKind != JsonValueKind.Object || fields.Object("tool_choice")?.Object(AllowedTools) is not { } allowed) return tools;
        if (!allowed.TryGet("tools", out _)) throw Refusal.Missing(allowed.PathOf("tools"));
        return Only(tools, ContentText.Objects(allowed, "tools").Select(FunctionOf));
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
