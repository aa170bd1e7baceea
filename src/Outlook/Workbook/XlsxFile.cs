using System.Globalization;
using System.IO.Compression;
using System.Security;
using System.Text;

namespace Qanat.Outlook;

/// <summary>Writes sheets as an Office Open XML workbook (ECMA-376): the six parts that a workbook needs and nothing else. Programs recalculate it when they open it.</summary>
internal static class XlsxFile
{
    // Fixed, so that the same analysis gives the same bytes.
    private static readonly DateTimeOffset Stamp = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public static byte[] Write(IReadOnlyList<Sheet> sheets)
    {
        using var stream = new MemoryStream();
        using (var zip = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            Part(zip, "[Content_Types].xml", $"""<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/><Override PartName="/xl/styles.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.styles+xml"/>{Each(sheets, i => $"""<Override PartName="/xl/worksheets/sheet{i}.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/>""")}</Types>""");
            Part(zip, "_rels/.rels", """<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>""");
            Part(zip, "xl/workbook.xml", $"""<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>{Each(sheets, i => $"""<sheet name="{Escape(sheets[i - 1].Name)}" sheetId="{i}" r:id="rId{i}"/>""")}</sheets><calcPr fullCalcOnLoad="1"/></workbook>""");
            Part(zip, "xl/_rels/workbook.xml.rels", $"""<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{Each(sheets, i => $"""<Relationship Id="rId{i}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet{i}.xml"/>""")}<Relationship Id="rId{sheets.Count + 1}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/styles" Target="styles.xml"/></Relationships>""");
            Part(zip, "xl/styles.xml", Styles);
            for (int i = 0; i < sheets.Count; i++) Part(zip, $"xl/worksheets/sheet{i + 1}.xml", Body(sheets[i]));
        }
        return stream.ToArray();
    }

    private static string Body(Sheet sheet)
    {
        var xml = new StringBuilder("""<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetViews><sheetView workbookViewId="0" showGridLines="0"/></sheetViews>""");
        if (sheet.ColumnWidths.Count > 0)
        {
            xml.Append("<cols>");
            for (int i = 0; i < sheet.ColumnWidths.Count; i++) xml.Append(CultureInfo.InvariantCulture, $"""<col min="{i + 1}" max="{i + 1}" width="{sheet.ColumnWidths[i]}" customWidth="1"/>""");
            xml.Append("</cols>");
        }
        xml.Append("<sheetData>");
        foreach ((int number, SortedDictionary<int, Cell> row) in sheet.Rows)
        {
            xml.Append(CultureInfo.InvariantCulture, $"""<row r="{number}">""");
            foreach ((int column, Cell cell) in row) xml.Append(CellXml(Sheet.ColumnName(column) + number.ToString(CultureInfo.InvariantCulture), cell));
            xml.Append("</row>");
        }
        return xml.Append("</sheetData></worksheet>").ToString();
    }

    private static string CellXml(string address, Cell cell) => cell.Kind switch
    {
        CellKind.Text when cell.Text.Length == 0 => "",
        CellKind.Text => $"""<c r="{address}" s="{(int)cell.Style}" t="inlineStr"><is><t xml:space="preserve">{Escape(cell.Text)}</t></is></c>""",
        CellKind.Number => $"""<c r="{address}" s="{(int)cell.Style}"><v>{Texts.Plain(cell.Value)}</v></c>""",
        _ => $"""<c r="{address}" s="{(int)cell.Style}"><f>{Escape(cell.Text)}</f>{(double.IsFinite(cell.Value) ? $"<v>{Texts.Plain(cell.Value)}</v>" : "")}</c>""",
    };

    // One format per CellStyle, in its order. Fonts: 0 plain, 1 bold, 2 grey, 3 blue, 4 title, 5 green. Numbers: 164 thousands with brackets, 165 percent.
    private const string Styles = """
        <styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><numFmts count="2"><numFmt numFmtId="164" formatCode="#,##0.0##;(#,##0.0##)"/><numFmt numFmtId="165" formatCode="0.0##%;\-0.0##%"/></numFmts><fonts count="6"><font><sz val="11"/><name val="Calibri"/></font><font><b/><sz val="11"/><name val="Calibri"/></font><font><sz val="10"/><color rgb="FF5D6B7A"/><name val="Calibri"/></font><font><sz val="11"/><color rgb="FF0000FF"/><name val="Calibri"/></font><font><b/><sz val="15"/><name val="Calibri"/></font><font><sz val="11"/><color rgb="FF2A7F62"/><name val="Calibri"/></font></fonts><fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills><borders count="2"><border><left/><right/><top/><bottom/><diagonal/></border><border><left/><right/><top/><bottom style="thin"><color rgb="FFB8C2CC"/></bottom><diagonal/></border></borders><cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs><cellXfs count="9"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/><xf numFmtId="0" fontId="1" fillId="0" borderId="1" xfId="0" applyFont="1"/><xf numFmtId="0" fontId="2" fillId="0" borderId="0" xfId="0" applyFont="1"/><xf numFmtId="164" fontId="3" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyFont="1"/><xf numFmtId="165" fontId="3" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyFont="1"/><xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/><xf numFmtId="165" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/><xf numFmtId="0" fontId="4" fillId="0" borderId="0" xfId="0" applyFont="1"/><xf numFmtId="0" fontId="5" fillId="0" borderId="0" xfId="0" applyFont="1"/></cellXfs></styleSheet>
        """;

    private static string Each(IReadOnlyList<Sheet> sheets, Func<int, string> part) => string.Concat(Enumerable.Range(1, sheets.Count).Select(part));

    private static string Escape(string text) => SecurityElement.Escape(text);

    private static void Part(ZipArchive zip, string name, string xml)
    {
        ZipArchiveEntry entry = zip.CreateEntry(name, CompressionLevel.Optimal);
        entry.LastWriteTime = Stamp;
        using var writer = new StreamWriter(entry.Open(), new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
        writer.Write("<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>" + xml.Trim());
    }
}
