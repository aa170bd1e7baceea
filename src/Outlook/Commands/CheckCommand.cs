using System.Collections.Immutable;

namespace Qanat.Outlook;

public enum CheckState { Holds, Noted, Refused }

/// <summary>One thing that was checked about a company's data, and what came of it.</summary>
public sealed record CheckLine(string Company, string What, CheckState State, string Details);

/// <summary>qanat outlook check: every company's data read, tied out and tested for contradictions.</summary>
public sealed record CheckCommandResult(ImmutableArray<CheckLine> Lines)
{
    public bool IsSound => Lines.All(l => l.State != CheckState.Refused);
}

public static partial class OutlookCommands
{
    /// <param name="company">Null: every company.</param>
    public static CheckCommandResult Check(string? company, string? dataFolder)
    {
        OutlookData data = DataAt(dataFolder);
        return new CheckCommandResult([.. (company is null ? data.Companies : [company]).SelectMany(c => CheckCompany(data, c))]);
    }

    private static IEnumerable<CheckLine> CheckCompany(OutlookData data, string company)
    {
        CompanyBook book;
        try
        {
            book = CompanyBook.Read(data, company);
        }
        catch (OutlookDataException e)
        {
            return e.Faults.Select(f => new CheckLine(company, f.Place.ToString(), CheckState.Refused, f.Reason));
        }
        return [new CheckLine(company, "rows read", CheckState.Holds, $"{book.Facts.Length} numbers and texts, each with a source, a unit, a tier and a basis"), .. CheckTieOuts(book), .. CheckLayers(book), .. CheckUse(book)];
    }

    private static IEnumerable<CheckLine> CheckTieOuts(CompanyBook book) => TieOutResult.Check(book).Select(t => new CheckLine(book.Model.Key, $"{t.Measure} in {t.Year}",
        t.Holds ? CheckState.Holds : CheckState.Refused,
        t.Refused ?? $"four quarters sum to {Texts.Number(t.Sum, 1)}, the year is {t.Total!.Printed}: difference {Texts.Number(t.Difference, 1)}{(t.Holds ? "" : $" ({t.Total.Place}, {string.Join(", ", t.Quarters.Select(q => q.Place))})")}"));

    private static IEnumerable<CheckLine> CheckLayers(CompanyBook book)
    {
        foreach (LayerSystem layer in LayerSystems.Build(book, ImmutableDictionary<string, Interval>.Empty).Layers)
            yield return ConflictFinder.Find(layer.System) is { } conflict
                ? new CheckLine(book.Model.Key, $"layer '{layer.Name}'", CheckState.Refused, $"contradiction ({conflict.Size}): {conflict}")
                : new CheckLine(book.Model.Key, $"layer '{layer.Name}'", CheckState.Holds, $"{layer.System.Rows.Length} restrictions on {layer.System.Variables.Length} unknowns have a common solution");
    }

    private static IEnumerable<CheckLine> CheckUse(CompanyBook book)
    {
        LinearSystem published = book.System(SystemScope.Published);
        HashSet<Place> used = [.. published.Rows.SelectMany(r => r.Facts).Select(f => f.Place)];
        Fact[] idle = [.. book.Facts.Where(f => f.Value is not null && !f.IsDerived && !used.Contains(f.Place))];
        if (idle.Length > 0)
            yield return new CheckLine(book.Model.Key, "rows outside the model", CheckState.Noted, string.Join("; ", idle.Select(f => $"{f.Place.Line} {f.Measure} {f.FiscalPeriod}")));
    }
}
