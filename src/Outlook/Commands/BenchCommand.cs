using System.Collections.Immutable;
using System.Diagnostics;

namespace Qanat.Outlook;

/// <summary>One measured figure: the best and the median of some runs after a first one that is not counted.</summary>
public sealed record BenchLine(string What, double BestMs, double MedianMs, int Runs);

public static partial class OutlookCommands
{
    /// <summary>Measures what the guide promises, on this machine.</summary>
    public static ImmutableArray<BenchLine> Bench()
    {
        OutlookSession session = OutlookSession.Open("alibaba");
        Quarter last = session.Book.Model.Last;
        Investment investment = InvestmentText.Read(InvestmentTextOf("deepseek", null), "deepseek.invest");
        int move = 0;
        return
        [
            Measure("alibaba: all quarters, layers, bounds and disclosure values", 5, () =>
                CompanyAnalysis.RunAll(session.Book, LayerSystems.Build(session.Book, ImmutableDictionary<string, Interval>.Empty), AnalysisOptions.Everything with { Depth = AnalysisDepth.Values })),
            Measure("alibaba: one what-if, all layers and targets", 20, () =>
                session.WhatIf(last, ImmutableDictionary<string, Interval>.Empty.Add("other_margin_peers", new Interval(0.05, 0.2 + 0.001 * ++move)))),
            Measure("alibaba: one assumption moved on a page: bounds, certificates and drawings", 20, () =>
                CompanyReport.MovedSections(session.Move(last, ImmutableDictionary<string, Interval>.Empty.Add("other_margin_peers", new Interval(0.05, 0.2 + 0.001 * ++move))))),
            Measure("deepseek: 100,000 Monte Carlo paths of 60 months", 3, () => MonteCarlo.Run(investment, MonteCarlo.PathsDefault, 1)),
        ];
    }

    private static BenchLine Measure(string what, int runs, Action action)
    {
        action();
        var times = new double[runs];
        for (int i = 0; i < runs; i++)
        {
            long start = Stopwatch.GetTimestamp();
            action();
            times[i] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        }
        Array.Sort(times);
        return new BenchLine(what, times[0], times[runs / 2], runs);
    }
}
