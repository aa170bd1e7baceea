using System.Collections.Immutable;
using System.Globalization;
using System.IO.Compression;
using System.Net;
using System.Text;

namespace Qanat.Books;

/// <summary>A cell of a workbook: a text, a number as exact decimal text, or a formula.</summary>
internal readonly record struct Cell(string Content, CellKind Kind);

internal enum CellKind { Text, Heading, Number, Percent, Formula, PercentFormula }

/// <summary>A sheet by rows.</summary>
internal sealed record Sheet(string Name, ImmutableArray<ImmutableArray<Cell>> Rows);

/// <summary>Writes sheets as an Office Open XML workbook (ECMA-376): numbers that were put in are blue, formulas black. The same sheets always give the same bytes.</summary>
internal static class SheetWriter
{
    private const string Main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main";
    private const string Relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

    public static void Write(Stream stream, ImmutableArray<Sheet> sheets)
    {
        using var zip = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true);
        string parts = string.Concat(sheets.Select((_, i) => $"<Override PartName=\"/xl/worksheets/sheet{Number(i + 1)}.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml\"/>"));
        Add(zip, "[Content_Types].xml", "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"><Default Extension=\"rels\" ContentType=\"application/vnd.openxmlformats-package.relationships+xml\"/>"
            + "<Default Extension=\"xml\" ContentType=\"application/xml\"/><Override PartName=\"/xl/workbook.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml\"/>"
            + $"<Override PartName=\"/xl/styles.xml\" ContentType=\"application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml\"/>{parts}</Types>");
        Add(zip, "_rels/.rels", $"<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"rId1\" Type=\"{Relations}/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>");
        Add(zip, "xl/workbook.xml", $"<workbook xmlns=\"{Main}\" xmlns:r=\"{Relations}\"><sheets>{string.Concat(sheets.Select((s, i) => $"<sheet name=\"{WebUtility.HtmlEncode(s.Name)}\" sheetId=\"{Number(i + 1)}\" r:id=\"rId{Number(i + 1)}\"/>"))}</sheets></workbook>");
        Add(zip, "xl/_rels/workbook.xml.rels", "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">"
            + string.Concat(sheets.Select((_, i) => $"<Relationship Id=\"rId{Number(i + 1)}\" Type=\"{Relations}/worksheet\" Target=\"worksheets/sheet{Number(i + 1)}.xml\"/>"))
            + $"<Relationship Id=\"rId{Number(sheets.Length + 1)}\" Type=\"{Relations}/styles\" Target=\"styles.xml\"/></Relationships>");
        Add(zip, "xl/styles.xml", Styles);
        for (int i = 0; i < sheets.Length; i++)
            Add(zip, $"xl/worksheets/sheet{Number(i + 1)}.xml", Xml(sheets[i]));
    }

    /// <summary>"A1" for (0, 0).</summary>
    public static string Name(int column, int row)
    {
        string letters = "";
        for (int c = column; c >= 0; c = c / 26 - 1) letters = (char)('A' + c % 26) + letters;
        return letters + Number(row + 1);
    }

    // Formats in the order of CellKind: 4 = #,##0.00, 10 = 0.00 %. Fonts: 0 black, 1 bold, 2 blue.
    private static readonly string Styles = $"<styleSheet xmlns=\"{Main}\"><numFmts count=\"1\"><numFmt numFmtId=\"164\" formatCode=\"#,##0.000000\"/></numFmts>"
        + "<fonts count=\"3\"><font><sz val=\"11\"/><name val=\"Calibri\"/></font><font><b/><sz val=\"11\"/><name val=\"Calibri\"/></font><font><sz val=\"11\"/><color rgb=\"FF0000FF\"/><name val=\"Calibri\"/></font></fonts>"
        + "<fills count=\"2\"><fill><patternFill patternType=\"none\"/></fill><fill><patternFill patternType=\"gray125\"/></fill></fills><borders count=\"1\"><border/></borders><cellStyleXfs count=\"1\"><xf/></cellStyleXfs>"
        + "<cellXfs count=\"6\"><xf fontId=\"0\"/><xf fontId=\"1\" applyFont=\"1\"/><xf fontId=\"2\" numFmtId=\"164\" applyFont=\"1\" applyNumberFormat=\"1\"/><xf fontId=\"2\" numFmtId=\"10\" applyFont=\"1\" applyNumberFormat=\"1\"/>"
        + "<xf fontId=\"0\" numFmtId=\"164\" applyNumberFormat=\"1\"/><xf fontId=\"0\" numFmtId=\"10\" applyNumberFormat=\"1\"/></cellXfs></styleSheet>";

    private static string Xml(Sheet sheet)
    {
        var text = new StringBuilder($"<worksheet xmlns=\"{Main}\"><sheetData>");
        for (int r = 0; r < sheet.Rows.Length; r++)
        {
            text.Append(CultureInfo.InvariantCulture, $"<row r=\"{r + 1}\">");
            for (int c = 0; c < sheet.Rows[r].Length; c++)
            {
                Cell cell = sheet.Rows[r][c];
                if (cell.Content is null or "") continue;
                string content = WebUtility.HtmlEncode(cell.Content);
                text.Append(CultureInfo.InvariantCulture, $"<c r=\"{Name(c, r)}\" s=\"{(int)cell.Kind}\"");
                text.Append(cell.Kind switch
                {
                    CellKind.Text or CellKind.Heading => $" t=\"inlineStr\"><is><t xml:space=\"preserve\">{content}</t></is></c>",
                    CellKind.Formula or CellKind.PercentFormula => $"><f>{content}</f></c>",
                    _ => $"><v>{content}</v></c>",
                });
            }
            text.Append("</row>");
        }
        return text.Append("</sheetData></worksheet>").ToString();
    }

    private static void Add(ZipArchive zip, string name, string xml)
    {
        ZipArchiveEntry entry = zip.CreateEntry(name, CompressionLevel.Fastest);
        entry.LastWriteTime = new DateTimeOffset(1980, 1, 1, 0, 0, 0, TimeSpan.Zero);
        using var writer = new StreamWriter(entry.Open(), new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
        writer.Write("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>");
        writer.Write(xml);
    }

    private static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);
}
