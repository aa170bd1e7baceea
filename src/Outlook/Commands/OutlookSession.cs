using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>A company kept open while assumptions are moved: the texts are read once, each move only builds and solves.</summary>
public sealed class OutlookSession
{
    private OutlookSession(CompanyBook book) => Book = book;

    public CompanyBook Book { get; }

    public static OutlookSession Open(CompanyBook book) => new(book);

    public static OutlookSession Open(string company, string? dataFolder = null) => new(CompanyBook.Read(dataFolder is null ? OutlookData.BuiltIn : OutlookData.Folder(dataFolder), company));

    /// <summary>Bounds and certificates of a quarter with some assumptions moved.</summary>
    /// <exception cref="OutlookDataException">The moved assumptions contradict what is published: the smallest conflicting set is named.</exception>
    public CompanyAnalysis WhatIf(Quarter quarter, ImmutableDictionary<string, Interval> overrides) =>
        CompanyAnalysis.Run(Book, AnalysisOptions.Everything with { Quarter = quarter, Overrides = overrides, Depth = AnalysisDepth.Bounds });

    /// <summary>The same with the certificates in words: what a page shows while an assumption is moved.</summary>
    /// <exception cref="OutlookDataException">The moved assumptions contradict what is published: the smallest conflicting set is named.</exception>
    public CompanyAnalysis Move(Quarter quarter, ImmutableDictionary<string, Interval> overrides) =>
        CompanyAnalysis.Run(Book, AnalysisOptions.Everything with { Quarter = quarter, Overrides = overrides, Depth = AnalysisDepth.Certificates });

    /// <summary>Everything about a quarter.</summary>
    public CompanyAnalysis Analyse(Quarter quarter, ImmutableDictionary<string, Interval> overrides) =>
        CompanyAnalysis.Run(Book, AnalysisOptions.Everything with { Quarter = quarter, Overrides = overrides });
}
