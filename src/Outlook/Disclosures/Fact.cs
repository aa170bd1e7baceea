using System.Collections.Immutable;

namespace Qanat.Outlook;

/// <summary>How near a number is to its issuer, best first. A result carries the worst tier it rests on.</summary>
public enum Tier
{
    /// <summary>The issuer's own text.</summary>
    T1 = 1,
    /// <summary>A secondary text that quotes a named filing.</summary>
    T2 = 2,
    /// <summary>Press, a broker, words on a call.</summary>
    T3 = 3,
}

/// <summary>How long the period is to which a number belongs.</summary>
public enum Span { Quarter, Half, Year, Moment }

/// <summary>A place in a text file: what an error, a certificate or a click leads to.</summary>
public readonly record struct Place(string File, int Line)
{
    public override string ToString() => $"{File}:{Line}";
}

/// <summary>What is wrong with an input, and where.</summary>
public sealed record Fault(Place Place, string Reason)
{
    public override string ToString() => $"{Place}: {Reason}";
}

/// <summary>Which number: what is measured, of which part of the company.</summary>
public readonly record struct Measure(string Metric, string Segment)
{
    public override string ToString() => $"{Metric} of {Segment}";
}

/// <summary>One number as a source prints it.</summary>
public sealed record Fact
{
    public required Place Place { get; init; }
    public required string Company { get; init; }
    /// <summary>As the issuer names it, e.g. FY2027Q1.</summary>
    public required string FiscalPeriod { get; init; }
    public required DateOnly PeriodEnd { get; init; }
    public required Span Span { get; init; }
    public required Measure Measure { get; init; }
    /// <summary>The version of the segment definition under which it was published; empty for what no definition touches.</summary>
    public required string Definition { get; init; }
    /// <summary>As printed: "12376", ">20", "2..6", or words.</summary>
    public required string Printed { get; init; }
    public required string Unit { get; init; }
    /// <summary>What a percentage is a percentage of.</summary>
    public required string Of { get; init; }
    public required Tier Tier { get; init; }
    public required Uri Source { get; init; }
    public required string Note { get; init; }
    /// <summary>How it was derived from other rows; empty for what a source prints.</summary>
    public required string Formula { get; init; }
    /// <summary>All that the printed number can mean, in its unit; percentages as fractions. Null for words.</summary>
    public Interval? Value { get; init; }
    /// <summary>The rows that a derived number was computed from.</summary>
    public ImmutableArray<Fact> Inputs { get; init; } = [];

    public Quarter Quarter => Quarter.Of(PeriodEnd);
    public bool IsDerived => Formula.Length > 0;
    public bool IsPercent => Unit == "percent";

    /// <summary>The anchor of this row in reports: unique within a company.</summary>
    public string Id => $"f{Place.Line}";

    /// <summary>The same row, or one it was derived from.</summary>
    public bool RestsOn(Fact other) => ReferenceEquals(this, other) || Place == other.Place || Inputs.Any(i => i.RestsOn(other));
}

/// <summary>An input that is refused: every fault with its line and its reason.</summary>
public sealed class OutlookDataException : Exception
{
    public OutlookDataException(ImmutableArray<Fault> faults)
        : base(string.Join('\n', faults.Select(f => f.ToString()))) => Faults = faults;

    public OutlookDataException(Fault fault) : this([fault]) { }
    public OutlookDataException() : this([]) { }
    public OutlookDataException(string message) : base(message) { }
    public OutlookDataException(string message, Exception inner) : base(message, inner) { }

    public ImmutableArray<Fault> Faults { get; } = [];
}
