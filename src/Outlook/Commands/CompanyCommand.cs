using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>qanat outlook company: what is asked, as the command line gives it.</summary>
/// <param name="Quarter">Such as 2026Q2; null: the last one.</param> <param name="Sets">Assumptions moved: "other_margin_peers=5%..20%".</param>
/// <param name="DataFolder">Null: the data that comes with Qanat.</param>
public sealed record CompanyCommandOptions(string Company, string? Quarter, string? Layer, ImmutableArray<string> Sets, string? DataFolder, ulong Seed = 1);

/// <summary>What can be handed out about a company: tables for a terminal, JSON, a page that stands alone, a workbook with live formulas.</summary>
public sealed record CompanyCommandResult(CompanyAnalysis Analysis)
{
    public ImmutableArray<ReportTable> Tables => AnalysisTables.Of(Analysis);
    public string Json => AnalysisJson.Write(Analysis);
    public string Html => CompanyReport.Write(Analysis);
    /// <summary>The bytes of an XLSX file.</summary>
    public byte[] Workbook => CompanyWorkbook.Write(Analysis);
}

/// <summary>The entry points of qanat outlook: plain functions from options to results. Refusals are <see cref="OutlookDataException"/> with file, line and reason.</summary>
public static partial class OutlookCommands
{
    public static CompanyCommandResult Company(CompanyCommandOptions options) => Company(CompanyBook.Read(DataAt(options.DataFolder), options.Company), options);

    /// <summary>The same for a company that was read already.</summary>
    public static CompanyCommandResult Company(CompanyBook book, CompanyCommandOptions options) => new(CompanyAnalysis.Run(book, Analysis(options, AnalysisDepth.Full)));

    /// <summary>Bounds and certificates only, with assumptions moved.</summary>
    public static CompanyCommandResult WhatIf(CompanyCommandOptions options) =>
        new(CompanyAnalysis.Run(CompanyBook.Read(DataAt(options.DataFolder), options.Company), Analysis(options, AnalysisDepth.Bounds)));

    public static ImmutableArray<string> Companies(string? dataFolder) => DataAt(dataFolder).Companies;

    private static OutlookData DataAt(string? folder) => folder is null ? OutlookData.BuiltIn : OutlookData.Folder(folder);

    private static AnalysisOptions Analysis(CompanyCommandOptions options, AnalysisDepth depth)
    {
        Quarter? quarter = options.Quarter is null ? null : ReadQuarter(options.Quarter);
        return new AnalysisOptions(quarter, options.Layer, ImmutableDictionary.CreateRange(options.Sets.Select(ReadSet)), depth, options.Seed);
    }

    private static Quarter ReadQuarter(string text) => Quarter.TryParse(text, out Quarter quarter)
        ? quarter
        : throw new OutlookDataException(new Fault(new Place("--quarter", 0), $"'{text}' is not a calendar quarter: write 2026Q2 for the quarter that ended 30 June 2026."));

    /// <summary>Reads "name=low..high", each end a number or a percentage.</summary>
    private static KeyValuePair<string, Interval> ReadSet(string text)
    {
        var place = new Place("--set", 0);
        if (text.Split('=') is not [var name, var range])
            throw new OutlookDataException(new Fault(place, $"'{text}' sets nothing: write an assumption's name, =, and its range, e.g. other_margin_peers=5%..20%."));
        var tokens = new Tokens(range, place);
        Interval value = tokens.Range("a number or a percentage");
        tokens.End();
        return new KeyValuePair<string, Interval>(name.Trim(), value);
    }
}
