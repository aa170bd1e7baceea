using System.Diagnostics;
using System.Globalization;
using System.IO.Compression;
using System.Text.RegularExpressions;

namespace Qanat.Outlook.Tests;

/// <summary>A program that nobody here wrote (LibreOffice) computes a workbook afresh, with no cached value to lean on.</summary>
internal static partial class Spreadsheet
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    /// <summary>The rows of one sheet after a recalculation; skips the test when LibreOffice is missing.</summary>
    /// <param name="sheet">Its number, from 1.</param>
    public static CsvRow[] Recompute(InputTests.Folder folder, byte[] workbook, string name, int sheet, string sheetName)
    {
        string office = new[] { "/usr/bin/soffice", "/usr/local/bin/soffice" }.FirstOrDefault(File.Exists) ?? "";
        if (office.Length == 0)
        {
            if (Environment.GetEnvironmentVariable("QANAT_CI") == "1") Assert.Fail("LibreOffice is not installed: the workbook cannot be recomputed independently.");
            Assert.Skip("LibreOffice is not installed: the workbook cannot be recomputed independently.");
        }
        string file = Path.Combine(folder.Path, name + ".xlsx");
        File.WriteAllBytes(file, Rewrite(workbook, "xl/worksheets/", xml => CachedValue().Replace(xml, "</f></c>")));
        var start = new ProcessStartInfo(office, ["--headless", $"-env:UserInstallation=file://{folder.Path}/profile", "--convert-to", $"csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,false,false,false,{sheet}", "--outdir", folder.Path, file]) { RedirectStandardOutput = true, UseShellExecute = false };
        using Process process = Process.Start(start)!;
        process.BeginOutputReadLine();
        if (!process.WaitForExit(Patience))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"LibreOffice did not end within {Patience}.");
        }
        return [.. Csv.Read(File.ReadAllText(Path.Combine(folder.Path, $"{name}-{sheetName}.csv")), name)];
    }

    public static double Value(string cell) => cell.EndsWith('%') ? double.Parse(cell[..^1], CultureInfo.InvariantCulture) / 100 : double.Parse(cell, CultureInfo.InvariantCulture);

    /// <summary>The workbook with some of its parts changed.</summary>
    public static byte[] Rewrite(byte[] workbook, string prefix, Func<string, string> change)
    {
        using var target = new MemoryStream();
        using (var source = new ZipArchive(new MemoryStream(workbook)))
        using (var zip = new ZipArchive(target, ZipArchiveMode.Create, leaveOpen: true))
            foreach (ZipArchiveEntry entry in source.Entries)
            {
                using var reader = new StreamReader(entry.Open());
                string xml = reader.ReadToEnd();
                using var writer = new StreamWriter(zip.CreateEntry(entry.FullName).Open());
                writer.Write(entry.FullName.StartsWith(prefix, StringComparison.Ordinal) ? change(xml) : xml);
            }
        return target.ToArray();
    }

    [GeneratedRegex("</f><v>[^<]*</v></c>", RegexOptions.None, 5000)]
    private static partial Regex CachedValue();
}
