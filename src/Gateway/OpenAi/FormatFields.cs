using System.Text.Json;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Reads what an answer must be: OpenAI's "response_format", and the names other servers have for the same (guided_json, guided_regex, guided_grammar, structured_outputs, grammar).</summary>
internal static class FormatFields
{
    public static AnswerFormat Read(JsonFields fields)
    {
        if (fields.Object("response_format") is { } format) return ReadFormat(format);
        JsonFields given = fields.Object("structured_outputs") ?? fields;
        string prefix = fields.Object("structured_outputs") is null ? "guided_" : "";
        if (Schema(given, prefix + "json") is { } schema) return new JsonSchemaFormat("answer", schema);
        if (given.Text(prefix + "regex") is { } regex) return new RegexFormat(regex);
        if ((given.Text(prefix + "grammar") ?? fields.Text("grammar")) is { } grammar) return new GrammarFormat(grammar);
        return AnswerFormat.Text;
    }

    private static AnswerFormat ReadFormat(JsonFields format)
    {
        switch (format.RequiredText("type"))
        {
            case "text":
                return AnswerFormat.Text;
            case "json_object":
                // Some servers take a schema here too.
                return Schema(format, "schema") is { } plain ? new JsonSchemaFormat("answer", plain) : AnswerFormat.JsonObject;
            case "json_schema":
                JsonFields named = format.Object("json_schema") ?? throw Refusal.Missing(format.PathOf("json_schema"));
                string schema = Schema(named, "schema") ?? throw Refusal.Missing(named.PathOf("schema"));
                return new JsonSchemaFormat(named.Text("name") ?? "answer", schema) { Description = named.Text("description"), Strict = named.Flag("strict") ?? false };
            case "regex":
                return new RegexFormat(format.RequiredText("regex"));
            case "grammar":
                return new GrammarFormat(format.RequiredText("grammar"));
            default:
                throw Refusal.Value(format.PathOf("type"), "it must be 'text', 'json_object', 'json_schema', 'regex' or 'grammar'.");
        }
    }

    private static string? Schema(JsonFields fields, string name)
    {
        if (!fields.TryGet(name, out JsonElement value)) return null;
        return value.ValueKind is JsonValueKind.Object or JsonValueKind.True or JsonValueKind.False ? value.GetRawText() : throw Refusal.Type(fields.PathOf(name), "a JSON Schema", JsonFields.Kind(value));
    }
}
