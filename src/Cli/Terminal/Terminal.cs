using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;

namespace Qanat.Cli;

/// <summary>What a command prints: a table for people, or the same data as JSON for programs. Messages go to standard error, so that standard output can be piped.</summary>
internal sealed class Terminal(OutputFormat format)
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    /// <summary>Columns when the output is a file or a pipe, which have no width of their own.</summary>
    private const int PipedWidth = 240;
    private readonly IAnsiConsole output = AnsiConsole.Console;

    /// <summary>Call once at start.</summary>
    public static void FitToOutput()
    {
        if (System.Console.IsOutputRedirected) AnsiConsole.Profile.Width = PipedWidth;
    }

    public OutputFormat Format => format;

    /// <summary>Prints JSON, or else the sentence.</summary>
    public void Say(JsonNode data, string sentence)
    {
        if (format == OutputFormat.Json) PrintJson(data);
        else System.Console.WriteLine(sentence);
    }

    /// <summary>Prints JSON, or else a table with a row for each element of <paramref name="rows"/>.</summary>
    public void Table(JsonNode data, JsonNode? rows, params Column[] columns)
    {
        if (format == OutputFormat.Json)
        {
            PrintJson(data);
            return;
        }
        Table table = new() { Border = TableBorder.Rounded };
        foreach (Column column in columns)
            table.AddColumn(new TableColumn(Markup.Escape(column.Title)) { Alignment = column.Align == Align.Right ? Justify.Right : Justify.Left, NoWrap = column.Align == Align.Right || column == columns[0] });
        JsonArray items = rows as JsonArray ?? [];
        foreach (JsonNode? item in items)
            table.AddRow([.. columns.Select(column => new Markup(Markup.Escape(item is null ? "" : column.Text(item))))]);
        output.Write(table);
        if (items.Count == 0) output.MarkupLine("[grey]Nothing here yet.[/]");
    }

    public static void PrintJson(JsonNode data) => System.Console.WriteLine(data.ToJsonString(Indented));
}

internal enum OutputFormat { Text, Json }

internal enum Align { Left, Right }

/// <param name="Path">Property names from the row down, separated by dots.</param>
internal sealed record Column(string Title, string Path, Align Align = Align.Left, Func<string, string>? Show = null)
{
    public string Text(JsonNode row)
    {
        JsonNode? node = row;
        foreach (string name in Path.Split('.')) node = node is JsonObject fields ? fields[name] : null;
        if (node is null) return "";
        string text = node is JsonValue value && value.TryGetValue(out string? said) ? said : node.ToJsonString();
        return Show is null ? text : Show(text);
    }

    /// <summary>An ISO 8601 time to the second, for people: "2026-11-22 23:48:51".</summary>
    public static string Second(string time) => time.Length < 19 ? time : time[..19].Replace('T', ' ');

    /// <summary>The day of an ISO 8601 time, and the time of day unless it is midnight.</summary>
    public static string Day(string time) => time.Length < 19 ? time : time[10..19] == "T00:00:00" ? time[..10] : Second(time);

    /// <summary>true as a word, false as nothing.</summary>
    public static Func<string, string> Flag(string word) => text => text == "true" ? word : "";
}

/// <summary>Nobody watches.</summary>
internal sealed class SilentProgress : IProgress<string>
{
    public void Report(string value) { }
}

/// <summary>Each message on a line of standard error, at once and in order.</summary>
internal sealed class LineProgress : IProgress<string>
{
    public void Report(string value) => System.Console.Error.WriteLine(value);
}
