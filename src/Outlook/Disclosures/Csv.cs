using System.Text;

namespace Qanat.Outlook;

/// <summary>One record of a CSV file and the line it starts on.</summary>
public sealed record CsvRow(int Line, IReadOnlyList<string> Cells);

/// <summary>Comma-separated values as RFC 4180 has them: quoted cells may hold commas, doubled quotes and line ends.</summary>
public static class Csv
{
    /// <exception cref="OutlookDataException">A quote is left open, or text follows a closing quote.</exception>
    public static IEnumerable<CsvRow> Read(string text, string file)
    {
        int at = 0, line = 1;
        while (at < text.Length)
        {
            int start = line;
            var cells = new List<string>();
            while (true)
            {
                cells.Add(ReadCell(text, file, ref at, ref line));
                if (at >= text.Length || text[at] != ',') break;
                at++;
            }
            if (at < text.Length && text[at] == '\r') at++;
            if (at < text.Length && text[at] == '\n') { at++; line++; }
            if (cells.Count > 1 || cells[0].Length > 0) yield return new CsvRow(start, cells);
        }
    }

    public static string Write(IEnumerable<IEnumerable<string>> rows)
    {
        var text = new StringBuilder();
        foreach (IEnumerable<string> row in rows)
            text.AppendJoin(',', row.Select(Quote)).Append('\n');
        return text.ToString();
    }

    private static string Quote(string cell) => cell.AsSpan().ContainsAny(",\"\r\n") ? $"\"{cell.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : cell;

    private static string ReadCell(string text, string file, ref int at, ref int line)
    {
        if (at >= text.Length || text[at] != '"')
        {
            int end = text.AsSpan(at).IndexOfAny(",\r\n");
            string plain = end < 0 ? text[at..] : text.Substring(at, end);
            at += plain.Length;
            return plain.Trim();
        }
        int opened = line;
        var cell = new StringBuilder();
        for (at++; ; at++)
        {
            if (at >= text.Length) throw new OutlookDataException(new Fault(new Place(file, opened), "the quote that opens here is never closed."));
            if (text[at] == '\n') line++;
            if (text[at] != '"') { cell.Append(text[at]); continue; }
            at++;
            if (at >= text.Length || text[at] != '"') break;
            cell.Append('"');
        }
        if (at < text.Length && !",\r\n".Contains(text[at], StringComparison.Ordinal))
            throw new OutlookDataException(new Fault(new Place(file, line), "text follows a closing quote: double a quote inside a cell."));
        return cell.ToString();
    }
}
