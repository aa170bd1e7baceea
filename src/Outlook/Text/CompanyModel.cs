using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>A company as its model file describes it: what is published under which definition of segments, how the parts make the wholes, what is assumed, and what is asked.</summary>
public sealed record CompanyModel
{
    public required string File { get; init; }
    public required string Key { get; init; }
    public required string Title { get; init; }
    public required string FactsFile { get; init; }
    public required string Unit { get; init; }
    public required Quarter First { get; init; }
    public required Quarter Last { get; init; }
    public required ImmutableArray<SegmentDefinition> Definitions { get; init; }
    public required ImmutableArray<SegmentMember> Segments { get; init; }
    public required ImmutableArray<Recast> Recasts { get; init; }
    public required ImmutableArray<ModelLine> Lines { get; init; }
    public required ImmutableArray<Statement> Statements { get; init; }
    public required ImmutableArray<Layer> Layers { get; init; }
    public required ImmutableArray<Target> Targets { get; init; }
    public required ImmutableArray<MissingLine> MissingLines { get; init; }
    public required ImmutableArray<TieOut> TieOuts { get; init; }
    public required ImmutableArray<ModelNote> Notes { get; init; }
    public required ImmutableArray<Waterfall> Waterfalls { get; init; }
    public PaybackSetting? Payback { get; init; }
    public GlideSetting? Glide { get; init; }

    public ModelLine Line(string name) => Lines.First(l => l.Name == name);
    public Target? TargetOrNull(string name) => Targets.FirstOrDefault(t => t.Name == name);

    /// <summary>The definition in force in a quarter; empty for a company that never changed its segments.</summary>
    public string DefinitionOf(Quarter quarter) => Definitions.FirstOrDefault(d => d.Since <= quarter.End && quarter.End <= d.Until)?.Name ?? "";
}

/// <summary>A version of the division into segments and the days on which it was in force.</summary>
public sealed record SegmentDefinition(Place Place, string Name, DateOnly Since, DateOnly Until, string Because);

/// <summary>A segment belongs to one definition.</summary>
public sealed record SegmentMember(Place Place, string Segment, string Definition);

/// <summary>Comparatives that were published again on a later definition.</summary>
public sealed record Recast(Place Place, string From, string To, Quarter Quarter, string Definition, string Because);

public enum LineSign { Signed, Positive }
public enum LineKind { Flow, Stock }

/// <summary>A quantity of the model, one per quarter and definition (or one per quarter, if it means the same under every definition).</summary>
public sealed record ModelLine(Place Place, string Name, string Label, string Unit, LineSign Sign, LineKind Kind, string? SharedBecause, ImmutableArray<LineFact> Facts)
{
    public bool IsShared => SharedBecause is not null;
}

/// <summary>Where a line is published. A run rate per year is divided by four.</summary>
public sealed record LineFact(Place Place, Measure Measure, double Factor);

/// <summary>A line at this quarter, or some quarters before.</summary>
public readonly record struct LineReference(string Line, int Lag);

public readonly record struct ModelTerm(double Factor, LineReference Reference);

/// <summary>A sum of lines with factors, and a constant.</summary>
public sealed record ModelForm(ImmutableArray<ModelTerm> Terms, double Constant)
{
    public ModelForm Minus(ModelForm other, double factor = 1) => new([.. Terms, .. other.Terms.Select(t => t with { Factor = -factor * t.Factor })], Constant - factor * other.Constant);

    /// <summary>The same sum over the four quarters that end in this one.</summary>
    public ModelForm OverQuarters(int count) => new(
        [.. Enumerable.Range(0, count).SelectMany(back => Terms.Select(t => t with { Reference = t.Reference with { Lag = t.Reference.Lag - back } }))], Constant * count);
}

/// <summary>A sum of lines, or the quotient of two.</summary>
public sealed record ModelQuantity(ModelForm Numerator, ModelForm? Denominator)
{
    public bool IsRatio => Denominator is not null;
}

/// <summary>The quarters for which something is stated.</summary>
public readonly record struct Reach(Quarter? From, Quarter? To)
{
    public bool Covers(Quarter quarter) => (From is not { } from || quarter >= from) && (To is not { } to || quarter <= to);
}

/// <summary>Something that holds: an identity, a published ratio, words on a call, a product.</summary>
public abstract record Statement(Place Place, string Name, string Text, string Because, Reach Reach);

/// <summary>The form is zero.</summary>
public sealed record Identity(Place Place, string Name, string Text, string Because, Reach Reach, ModelForm Form) : Statement(Place, Name, Text, Because, Reach);

/// <summary>The quantity is what one of the measures prints.</summary>
public sealed record PublishedRatio(Place Place, string Name, string Text, string Because, Reach Reach, ModelQuantity Quantity, ImmutableArray<Measure> Measures)
    : Statement(Place, Name, Text, Because, Reach);

/// <summary>An inequality that holds in every quarter in which one of the measures is published.</summary>
public sealed record SoftStatement(Place Place, string Name, string Text, string Because, Reach Reach, ModelForm Form, Interval Range, ImmutableArray<Measure> Measures)
    : Statement(Place, Name, Text, Because, Reach);

/// <summary>One line is the product of two others: replaced by its McCormick envelope, so a bound that needs it is an outer bound.</summary>
public sealed record ProductStatement(Place Place, string Name, string Text, string Because, Reach Reach, string Product, string Left, string Right)
    : Statement(Place, Name, Text, Because, Reach);

/// <summary>A range that nobody publishes.</summary>
public sealed record Assumption(Place Place, string Name, string Label, string Text, string Because, Reach Reach, ModelQuantity Quantity, Interval Range)
    : Statement(Place, Name, Text, Because, Reach);

/// <summary>A belief about where in its range an assumption's quantity lies. It moves no bound: it only weighs the points inside the set, beside the picture in which all weigh the same.</summary>
public sealed record Prior(Place Place, string Assumption, DriverDistribution Distribution, string Because);

/// <summary>Assumptions of one credibility. A layer stands on all layers before it; results of different layers are never merged. Priors count in their own layer only.</summary>
public sealed record Layer(Place Place, string Name, string Label, string Because, ImmutableArray<Assumption> Assumptions, ImmutableArray<Prior> Priors);

/// <summary>What is asked. A ratio is a fraction of its basis.</summary>
public sealed record Target(Place Place, string Name, string Label, string Basis, ModelQuantity Quantity);

/// <summary>A line that the company could publish, and how finely it would print it.</summary>
public sealed record MissingLine(Place Place, string Name, string Label, double Rounding, ModelQuantity Quantity);

/// <summary>Quarters that must sum to their year.</summary>
public sealed record TieOut(Place Place, Measure Measure, ImmutableArray<string> Years);

/// <summary>An identity that is worth drawing: its first line as the sum of the others.</summary>
public sealed record Waterfall(Place Place, string Label, string Identity);

/// <summary>Words that a reader needs beside the figures.</summary>
public sealed record ModelNote(Place Place, string Text);

/// <summary>What the payback of the capital behind AI is computed from.</summary>
public sealed record PaybackSetting(Place Place, string Revenue, string Capital, int Quarters, Interval Share, Interval CashMargin, Interval Reinvested, double Years, string Because);

/// <summary>How capital spent becomes depreciation.</summary>
public sealed record GlideSetting(Place Place, string Capital, string Depreciation, Interval LifeYears, Interval LagQuarters, Interval Depreciable, string Because);
