using System.Collections.Immutable;
using Qanat.Outlook;

namespace Qanat.Console;

/// <summary>A company on a page while its assumptions are moved: what is moved, what follows at once, and what follows when the hand rests.</summary>
public sealed class OutlookWork(OutlookSession session, Quarter quarter)
{
    private ImmutableArray<ReportSection> whole = [];
    private ImmutableArray<ReportSection> moved = [];
    private ImmutableDictionary<string, Interval> asked = ImmutableDictionary<string, Interval>.Empty;

    public CompanyModel Model => session.Book.Model;
    public Quarter Quarter { get; } = quarter;

    /// <summary>Other ranges for assumptions, by name.</summary>
    public ImmutableDictionary<string, Interval> Moved => asked;

    /// <summary>What the last move contradicts, in words; null when all is well. The figures then stay those of the last ranges that could be true.</summary>
    public string? Refused { get; private set; }

    /// <summary>Everything follows the moves, also what takes longer.</summary>
    public bool IsWhole { get; private set; }

    /// <summary>The report: sections that follow at once as they are now, the others as they were last worked out.</summary>
    public IEnumerable<ReportSection> Sections => whole.IsEmpty ? moved : whole.Select(section => moved.FirstOrDefault(each => each.Id == section.Id) ?? section);

    /// <summary>Whether a section still shows the figures of earlier assumptions.</summary>
    public bool IsBehind(ReportSection section) => !IsWhole && moved.All(each => each.Id != section?.Id);

    /// <summary>The assumptions that hold in the quarter, by layer; those that bind a headline first.</summary>
    public ImmutableArray<AssumptionChoice> Assumptions { get; private set; } = [];

    public Interval RangeOf(Assumption assumption)
    {
        ArgumentNullException.ThrowIfNull(assumption);
        return asked.GetValueOrDefault(assumption.Name, assumption.Range);
    }

    /// <summary>Takes a range; <see cref="Follow"/> works out what follows. An end that was pushed past the other takes it along.</summary>
    public void Move(Assumption assumption, Interval range)
    {
        ArgumentNullException.ThrowIfNull(assumption);
        asked = range == assumption.Range ? asked.Remove(assumption.Name) : asked.SetItem(assumption.Name, range);
        IsWhole = false;
    }

    public void Reset()
    {
        asked = ImmutableDictionary<string, Interval>.Empty;
        IsWhole = false;
    }

    /// <summary>Bounds, certificates and their drawings.</summary>
    public void Follow() => Try(() =>
    {
        CompanyAnalysis analysis = session.Move(Quarter, asked);
        moved = CompanyReport.MovedSections(analysis);
        if (Assumptions.IsEmpty) Assumptions = Choices(analysis);
    });

    /// <summary>Everything: disclosure values, sensitivities, distributions, capital, history.</summary>
    public void Complete()
    {
        ImmutableDictionary<string, Interval> these = asked;
        Try(() =>
        {
            CompanyAnalysis analysis = session.Analyse(Quarter, these);
            ImmutableArray<ReportSection> sections = CompanyReport.Sections(analysis);
            if (!ReferenceEquals(these, asked)) return;
            whole = moved = sections;
            if (Assumptions.IsEmpty) Assumptions = Choices(analysis);
            IsWhole = true;
        });
    }

    private void Try(Action work)
    {
        try
        {
            work();
            Refused = null;
        }
        catch (OutlookDataException refusal)
        {
            Refused = refusal.Message;
        }
    }

    private ImmutableArray<AssumptionChoice> Choices(CompanyAnalysis analysis)
    {
        HashSet<Place> binding = [.. analysis.Bounds.Where(bound => analysis.Headlines.Contains(bound.Target)).SelectMany(bound => bound.Bindings).Select(bound => bound.Row).Where(row => row.Kind == RowKind.Assumption).Select(row => row.Place)];
        return [.. Model.Layers.SelectMany(layer => layer.Assumptions.Where(each => each.Reach.Covers(Quarter)).Select(each => new AssumptionChoice(layer, each, binding.Contains(each.Place))))];
    }
}

/// <param name="Binds">It holds an end of one of the headline ranges as the model stands.</param>
public sealed record AssumptionChoice(Layer Layer, Assumption Assumption, bool Binds);
