using System.Collections.Immutable;
using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using System.Text.Json.Serialization.Metadata;

namespace Qanat.Gateway;

/// <summary>What a JSON value may be, in the words of JSON Schema 2020-12. Never changed once it is made.</summary>
internal sealed class Schema
{
    private readonly JsonObject json;
    private readonly ImmutableArray<Schema> parts;

    private Schema(JsonObject json, params ImmutableArray<Schema> parts) => (this.json, this.parts) = (json, parts);

    /// <summary>Under which it stands once in the document, among its components; null: it is written where it is used.</summary>
    public string? Name { get; private init; }

    public static Schema Any { get; } = new([]);
    public static Schema AnyObject { get; } = Typed("object", null);

    public static Schema Text(string? about = null) => Typed("string", about);
    public static Schema Binary(string about) => Typed("string", about, ("format", "binary"));
    public static Schema Id(string about) => Typed("string", about, ("format", "uuid"));
    public static Schema Flag(string about) => Typed("boolean", about);
    public static Schema Integer(string about, long min, long max = long.MaxValue) => Typed("integer", about, ("minimum", min == long.MinValue ? null : min), ("maximum", max == long.MaxValue ? null : max));
    public static Schema Number(string about, double min, double max) => Typed("number", about, ("minimum", min), ("maximum", max));

    /// <summary>A day or an instant.</summary>
    public static Schema Time(string about) => Typed("string", about + ": a time from 1970 to 2261, such as 2026-11-22 or 2026-11-22T08:00:00Z");

    /// <summary>Exact text, or a number as it is written.</summary>
    public static Schema Amount(string about) => new(new JsonObject { ["type"] = new JsonArray("string", "number"), ["description"] = about + ", such as \"12.50\" or \"12.50 EUR\"" });

    public static Schema OneOf(string about, params IEnumerable<string> words) =>
        new(new JsonObject { ["type"] = "string", ["description"] = about, ["enum"] = new JsonArray([.. words.Select(word => (JsonNode)word)]) });

    /// <summary>One of the values of an enum, as the admin API writes them.</summary>
    public static Schema OneOf<T>(string about) where T : struct, Enum => OneOf(about, Enum.GetValues<T>().Select(AdminJson.Text));

    public static Schema List(Schema of, string? about = null) => About(new(new JsonObject { ["type"] = "array", ["items"] = of.Use() }, of), about);

    /// <summary>An object with names that nobody knows before.</summary>
    public static Schema Map(Schema of, string about) => About(new(new JsonObject { ["type"] = "object", ["additionalProperties"] = of.Use() }, of), about);

    public static Schema Either(string? about, params ImmutableArray<Schema> of) => About(new(new JsonObject { ["anyOf"] = new JsonArray([.. of.Select(each => each.Use())]) }, of), about);

    public static Schema Object(params ImmutableArray<Field> fields) => AnyObject.With(fields);

    /// <summary>A list as the admin API gives it.</summary>
    public static Schema Rows(string about, Schema? row = null) => Object(Field.Needed("data", List(row ?? AnyObject, about)));

    /// <summary>As a type is written and read. What its fields mean, and from where to where they go, stands at the type (<see cref="DescriptionAttribute"/>, <see cref="RangeAttribute"/>).</summary>
    public static Schema Of<T>(JsonTypeInfo<T> type) => new(type.GetJsonSchemaAsNode(new JsonSchemaExporterOptions { TreatNullObliviousAsNonNullable = true, TransformSchemaNode = Explain }).AsObject());

    /// <summary>The same with more fields, or others in the place of its own.</summary>
    public Schema With(params ImmutableArray<Field> fields)
    {
        JsonObject with = json.DeepClone().AsObject();
        if (with["properties"] is not JsonObject properties) with["properties"] = properties = [];
        foreach (Field field in fields) properties[field.Name] = field.Schema.Use();
        string[] required = [.. (with["required"] as JsonArray ?? []).Select(name => (string)name!), .. fields.Where(field => field.IsRequired).Select(field => field.Name)];
        if (required.Length > 0) with["required"] = new JsonArray([.. required.Select(name => (JsonNode)name)]);
        return new Schema(with, [.. parts, .. fields.Select(field => field.Schema)]);
    }

    /// <summary>Those of its fields alone.</summary>
    /// <exception cref="ArgumentException">It has no such field.</exception>
    public Schema Only(params ImmutableArray<string> names) => Object([.. names.Select(FieldOf)]);

    /// <summary>A field of its own, for another to have it too.</summary>
    /// <exception cref="ArgumentException">It has no such field.</exception>
    public Field FieldOf(string name) => json["properties"]?[name] is { } found ? Field.May(name, new Schema(found.DeepClone().AsObject(), parts)) : throw new ArgumentException($"There is no field '{name}'.", nameof(name));

    public Schema OrNull() => json["type"] is { } type
        ? new Schema(Changed("type", new JsonArray([.. type is JsonArray several ? several.Select(each => each!.DeepClone()) : [type.DeepClone()], "null"])), parts)
        : Either(null, this, new Schema(new JsonObject { ["type"] = "null" }));

    public Schema Called(string name) => new(json, parts) { Name = name };

    public Schema Defaults(JsonNode standard) => new(Changed("default", standard), parts);

    /// <summary>As it stands where it is used: itself, or a reference to it.</summary>
    public JsonNode Use() => Name is null ? json.DeepClone() : new JsonObject { ["$ref"] = "#/components/schemas/" + Name };

    /// <summary>Itself and all that it refers to, by their names.</summary>
    public void AddTo(JsonObject components)
    {
        if (Name is not null && !components.ContainsKey(Name)) components[Name] = json.DeepClone();
        foreach (Schema part in parts) part.AddTo(components);
    }

    private JsonObject Changed(string name, JsonNode value)
    {
        JsonObject changed = json.DeepClone().AsObject();
        changed[name] = value;
        return changed;
    }

    private static Schema About(Schema of, string? about) => about is null ? of : new(of.Changed("description", about), of.parts);

    private static Schema Typed(string type, string? about, params ReadOnlySpan<(string Name, JsonNode? Value)> more)
    {
        JsonObject json = new() { ["type"] = type };
        if (about is not null) json["description"] = about;
        foreach ((string name, JsonNode? value) in more)
            if (value is not null) json[name] = value;
        return new Schema(json);
    }

    private static JsonNode Explain(JsonSchemaExporterContext context, JsonNode node)
    {
        if (node is not JsonObject schema || context.PropertyInfo?.AttributeProvider is not { } property) return node;
        if (property.GetCustomAttributes(typeof(DescriptionAttribute), inherit: true) is [DescriptionAttribute said]) schema["description"] = said.Description;
        if (property.GetCustomAttributes(typeof(RangeAttribute), inherit: true) is [RangeAttribute range])
        {
            schema["minimum"] = JsonValue.Create(Convert.ToInt64(range.Minimum, System.Globalization.CultureInfo.InvariantCulture));
            schema["maximum"] = JsonValue.Create(Convert.ToInt64(range.Maximum, System.Globalization.CultureInfo.InvariantCulture));
        }
        return schema;
    }
}

/// <summary>A field of an object, a parameter or a header.</summary>
internal sealed record Field(string Name, Schema Schema)
{
    public bool IsRequired { get; init; }

    /// <summary>Without it a request is refused; an answer always has it.</summary>
    public static Field Needed(string name, Schema schema) => new(name, schema) { IsRequired = true };

    public static Field May(string name, Schema schema) => new(name, schema);

    public Field Defaults(JsonNode standard) => this with { Schema = Schema.Defaults(standard) };
}
