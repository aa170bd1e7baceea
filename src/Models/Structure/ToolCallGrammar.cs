using System.Text.Json;

namespace Qanat.Models;

/// <summary>Calls of tools as models write them, with arguments that match the tools' schemas.</summary>
internal sealed class ToolCallGrammar(Grammar grammar, JsonGrammar json, bool inTags)
{
    private TextGrammar Text => json.Bytes;

    /// <summary>One call or more, each on lines of its own.</summary>
    public Expression Calls(IReadOnlyCollection<ToolDefinition> tools, int callsMax)
    {
        Expression call = Call(tools);
        return grammar.Sequence(call, grammar.Repeat(grammar.Sequence(Text.Literal("\n"), call), 0, callsMax - 1));
    }

    /// <summary>Any text, in which whatever begins as a call is one.</summary>
    public Expression TextWithCalls(IReadOnlyCollection<ToolDefinition> tools, int callsMax)
    {
        Expression body = Body(tools), text = Text.Without("text", ChatMarks.CallStart), toCall = Text.Until("to-call", ChatMarks.CallStart);
        if (callsMax == 1) return grammar.Choice(text, grammar.Sequence(toCall, body));
        return grammar.Define("text-and-calls", self => grammar.Choice(text, grammar.Sequence(toCall, body, self)));
    }

    private Expression Call(IReadOnlyCollection<ToolDefinition> tools) => grammar.Sequence(Text.Literal(ChatMarks.CallStart), Body(tools));

    /// <summary>What follows the mark of a call.</summary>
    private Expression Body(IReadOnlyCollection<ToolDefinition> tools)
    {
        Expression body = grammar.Choice([.. tools.Select(tool => inTags ? Tagged(tool) : InJson(tool))]);
        return grammar.Sequence(Text.Literal("\n"), body, Text.Literal("\n" + ChatMarks.CallEnd));
    }

    private Expression InJson(ToolDefinition tool)
    {
        Expression arguments = Schema(tool) is { } schema ? SchemaGrammar.Of(grammar, json, schema) : Text.Literal("{}");
        return grammar.Sequence(Text.Literal("{\"name\": \"" + tool.Name + "\", \"arguments\": "), arguments, Text.Literal("}"));
    }

    private Expression Tagged(ToolDefinition tool)
    {
        Expression parameters = grammar.Empty;
        if (Schema(tool) is { } schema)
        {
            int index = 0;
            foreach ((string name, bool isRequired, bool isText, Expression value) in SchemaGrammar.Members(grammar, json, schema))
            {
                // Text is written as it is, up to the closing tag; anything else as JSON.
                Expression written = isText
                    ? Text.Until($"{tool.Name}-{index++}", "\n" + ChatMarks.ParameterEnd + "\n")
                    : grammar.Sequence(value, Text.Literal("\n" + ChatMarks.ParameterEnd + "\n"));
                Expression parameter = grammar.Sequence(Text.Literal(ChatMarks.ParameterStart + name + ">\n"), written);
                parameters = grammar.Sequence(parameters, isRequired ? parameter : grammar.Optional(parameter));
            }
        }
        return grammar.Sequence(Text.Literal(ChatMarks.FunctionStart + tool.Name + ">\n"), parameters, Text.Literal(ChatMarks.FunctionEnd));
    }

    private static JsonElement? Schema(ToolDefinition tool)
    {
        if (tool.ParametersJson is not { } text) return null;
        using JsonDocument document = JsonDocument.Parse(text);
        // A schema of parameters is one of an object, whether it says so or not.
        if (document.RootElement.EnumerateObject().Any()) return document.RootElement.Clone();
        using JsonDocument any = JsonDocument.Parse("""{"type":"object"}""");
        return any.RootElement.Clone();
    }
}
