namespace Qanat.Outlook;

/// <summary>The sentences of the report: what the figures say, in words.</summary>
public sealed partial class CompanyReport
{
    private sealed record SettlingLine(DisclosureValue Best, string Words);

    /// <summary>The line that removes most of the width, and the next one that is not the answer itself.</summary>
    private SettlingLine? Settling(Bound last)
    {
        DisclosureValue[] ranked = [.. _analysis.Disclosures.Where(d => d.Target == last.Target && d.Layer == last.Layer).OrderByDescending(d => d.Guaranteed)];
        if (ranked.Length == 0 || ranked[0].Guaranteed <= 0) return null;
        string Worth(DisclosureValue d) => double.IsInfinity(d.Guaranteed) ? "it makes an unlimited range finite" : $"removes {AnalysisTables.Points(last.Target, d.Guaranteed)} of {AnalysisTables.Points(last.Target, d.Before)}";
        string next = ranked.Length > 1 && ranked[1].Guaranteed > 0 ? $"; without it, {char.ToLowerInvariant(ranked[1].Line.Label[0])}{ranked[1].Line.Label[1..]} {Worth(ranked[1])}" : "";
        return new SettlingLine(ranked[0], Worth(ranked[0]) + next);
    }

    /// <summary>Why nobody can say more: how many unknowns the published figures leave.</summary>
    private string Why(Bound last)
    {
        string[] assumed = [.. last.Bindings.Where(b => b.Row.Kind == RowKind.Assumption).Select(b => b.Row.Words.Split(" is assumed")[0]).Distinct()];
        string[] published = [.. last.Bindings.Where(b => b.Row.Kind == RowKind.Reported).Select(b => b.Row.Words.Split(" is ")[0]).Distinct()];
        Bound open = _analysis.Bounds.First(b => b.Target == last.Target);
        string without = open.Layer == LayerSystems.Published ? $"Without any assumption the answer is: {Texts.Range(open.Range, last.Target.Quantity.IsRatio, 0)}. " : "";
        return assumed.Length == 0
            ? $"{without}What is published alone decides: {string.Join("; ", published.Take(4))}."
            : $"Nobody outside can say more. What is published ({string.Join("; ", published.Take(4))}) leaves the result of one whole divided among parts of which none is published. {without}The range that is left comes from {string.Join(" and ", assumed.Select(a => char.ToLowerInvariant(a[0]) + a[1..]))}, and from nothing else.";
    }

    private static string PaybackWords(PaybackResult payback)
    {
        GrowthNeed[] feasible = [.. payback.Needs.Where(n => payback.Setting.CashMargin.Contains(n.Cash, 1e-9) && !double.IsNaN(n.Growth))];
        return feasible.Length == 0
            ? "not at any growth"
            : $"needs growth of {Texts.Percent(feasible.Min(n => n.Growth))} to {Texts.Percent(feasible.Max(n => n.Growth))} a year";
    }
}
