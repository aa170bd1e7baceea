using System.Text.Json.Nodes;
using Spectre.Console;

namespace Qanat.Cli;

/// <summary>Profit and loss as a table: groups, then unused capacity and everything else as lines of their own, then the result.</summary>
internal static class ProfitTable
{
    public static void Print(JsonNode statement)
    {
        Table table = new() { Border = TableBorder.Rounded };
        table.AddColumn(new TableColumn("") { NoWrap = true });
        foreach (string title in (string[])["requests", "revenue", "compute cost", "gross margin", "of revenue"])
            table.AddColumn(new TableColumn(title) { Alignment = Justify.Right, NoWrap = true });
        foreach (JsonNode? row in statement["rows"]!.AsArray()) AddRow(table, Name(row!), row!);
        foreach (JsonNode? total in statement["totals"]!.AsArray())
        {
            table.AddEmptyRow();
            AddRow(table, "[bold]total[/]", total!);
            AddLine(table, "unused capacity", total!["unused_capacity"]!.ToString());
            if (total["other"]!.ToString() != "0") AddLine(table, "other", total["other"]!.ToString());
            table.AddRow(new Markup($"[bold]result, {total["currency"]}[/]"), Text(""), Text(""), Text(""), Text(total["result"]!.ToString()), Text(total["result_of_revenue"]?.ToString() ?? ""));
        }
        AnsiConsole.Write(table);
        long unposted = statement["unposted"]!.GetValue<long>();
        if (unposted > 0) AnsiConsole.MarkupLine($"[yellow]{unposted} requests are settled but not posted yet.[/]");
    }

    private static void AddRow(Table table, string name, JsonNode row) => table.AddRow(new Markup(name), Text(row["requests"]!.ToString()), Text(row["revenue"]!.ToString()),
        Text(row["compute_cost"]!.ToString()), Text(row["gross_margin"]!.ToString()), Text(row["gross_margin_of_revenue"]?.ToString() ?? ""));

    private static void AddLine(Table table, string name, string cost) => table.AddRow(new Markup(name), Text(""), Text(""), Text(cost), Text(""), Text(""));

    private static string Name(JsonNode row)
    {
        string[] parts = [.. ((string[])["tenant", "project", "model", "start"]).Select(part => row[part] switch
        {
            JsonObject named => named["name"]?.ToString() ?? "",
            JsonNode plain => plain.ToString(),
            null => "",
        }).Where(part => part.Length > 0)];
        return parts.Length == 0 ? "[grey]nobody's[/]" : Markup.Escape(string.Join(" / ", parts));
    }

    private static Markup Text(string text) => new(Markup.Escape(text));
}
