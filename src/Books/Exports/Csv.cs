namespace Qanat.Books;

/// <summary>Cells of a CSV file (RFC 4180, lines end with LF). A text that a spreadsheet would take for a formula gets an apostrophe in front.</summary>
internal static class Csv
{
    public static string Line(params IEnumerable<string?> cells) => string.Join(',', cells.Select(c => Quote(c ?? ""))) + "\n";

    /// <summary>A text that came from outside: names, memos.</summary>
    public static string Text(string? text) => text is { Length: > 0 } && text[0] is '=' or '+' or '-' or '@' or '\t' or '\r' ? "'" + text : text ?? "";

    private static string Quote(string cell) => cell.AsSpan().ContainsAny("\",\n\r") ? "\"" + cell.Replace("\"", "\"\"", StringComparison.Ordinal) + "\"" : cell;
}
