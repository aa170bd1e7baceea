using Qanat.Books;

namespace Qanat.Console;

/// <param name="Amount">What this step adds; negative when it takes away. For a total: the level reached.</param> <param name="Class">revenue, cost, unused or margin: its colour.</param>
public sealed record WaterfallStep(string Label, Money Amount, string Class, bool IsTotal);

/// <summary>One bar of a list or a column of a chart, in parts of the same unit.</summary>
public sealed record BarItem(string Label, IReadOnlyList<BarPart> Parts, string Text, string? Href = null);

/// <param name="Class">revenue, cost, unused, margin or water: its colour.</param>
public sealed record BarPart(double Value, string Class, string Meaning);
