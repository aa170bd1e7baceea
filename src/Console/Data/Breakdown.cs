using System.Collections.Immutable;
using System.Globalization;
using Qanat.Books;

namespace Qanat.Console;

/// <summary>By what the profit and loss is broken down: any dimensions together, as they stand in the address (?by=tenant,model).</summary>
public sealed record Breakdown(GroupBy By)
{
    /// <summary>The dimensions there are, in the order in which a row names them.</summary>
    public static readonly ImmutableArray<BreakdownDimension> Dimensions =
    [
        new("tenant", "Tenant", GroupBy.Tenant), new("project", "Project", GroupBy.Project), new("model", "Model", GroupBy.Model), new("pool", "Pool", GroupBy.Pool),
        new("day", "Day", GroupBy.Day), new("hour", "Hour", GroupBy.Hour),
    ];

    /// <summary>What the text means; by tenant when it means nothing.</summary>
    public static Breakdown Parse(string? text)
    {
        string[] asked = (text ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        GroupBy by = Dimensions.Where(each => asked.Contains(each.Text, StringComparer.Ordinal)).Aggregate(GroupBy.None, (all, each) => all | each.By);
        return new Breakdown(by == GroupBy.None ? GroupBy.Tenant : by);
    }

    public string Text => string.Join(',', Chosen.Select(each => each.Text));

    /// <summary>Such as "Tenant and model".</summary>
    public string Label => Chosen switch
    {
        [var only] => only.Label,
        [.. var first, var last] => Sentence($"{string.Join(", ", first.Select(each => each.Label))} and {last.Label}"),
        _ => "",
    };

    public bool Has(BreakdownDimension dimension) => By.HasFlag(dimension.By);

    /// <summary>This breakdown with a dimension taken in or left out; the last one stays. An hour knows its day: one of the two is enough.</summary>
    public Breakdown Toggle(BreakdownDimension dimension)
    {
        GroupBy toggled = By ^ dimension.By;
        if (toggled.HasFlag(GroupBy.Day | GroupBy.Hour)) toggled &= ~(GroupBy.Day | GroupBy.Hour) | dimension.By;
        return toggled == GroupBy.None ? this : new Breakdown(toggled);
    }

    /// <summary>What a row of it is called.</summary>
    public string LabelOf(GroupKey key, Names names)
    {
        ArgumentNullException.ThrowIfNull(key);
        ArgumentNullException.ThrowIfNull(names);
        // A project's name carries its tenant's.
        var parts = new List<string>();
        if (By.HasFlag(GroupBy.Project) && key.Project is { } project) parts.Add(names.Full(project));
        else if (By.HasFlag(GroupBy.Tenant)) parts.Add(key.Tenant is { } tenant ? names.Of(tenant) : "no tenant");
        else if (By.HasFlag(GroupBy.Project)) parts.Add("no project");
        if (By.HasFlag(GroupBy.Model)) parts.Add(key.Model?.Value ?? "no model");
        if (By.HasFlag(GroupBy.Pool)) parts.Add(key.Pool?.Value ?? "no pool");
        if (By.HasFlag(GroupBy.Hour)) parts.Add(key.Start is { } hour ? Show.Hour(hour) : "no hour");
        else if (By.HasFlag(GroupBy.Day)) parts.Add(key.Start is { } day ? Show.Date(day) : "no day");
        string label = string.Join(" · ", parts);
        return label.StartsWith("no ", StringComparison.Ordinal) ? $"N{label[1..]}" : label;
    }

    /// <summary>The part of a period that a row is about.</summary>
    public PeriodChoice PeriodOf(GroupKey key, PeriodChoice period)
    {
        ArgumentNullException.ThrowIfNull(key);
        return key.Start is not { } start ? period : By.HasFlag(GroupBy.Hour) ? PeriodChoice.OfHour(start) : PeriodChoice.OfDay(start);
    }

    /// <summary>The journal page with the entries behind a figure.</summary>
    public static string EntriesHref(GroupKey key, PeriodChoice period, Account account) => $"/journal?{Filter(key, period)}&account={Uri.EscapeDataString(account.Path)}";

    /// <summary>The list of the requests behind a figure.</summary>
    public static string RequestsHref(GroupKey key, PeriodChoice period) => $"/requests?{Filter(key, period)}";

    private static string Filter(GroupKey key, PeriodChoice period)
    {
        ArgumentNullException.ThrowIfNull(key);
        ArgumentNullException.ThrowIfNull(period);
        string query = $"period={period.Text}";
        if (key.Tenant is { } tenant) query += $"&tenant={tenant}";
        if (key.Project is { } project) query += $"&project={project}";
        if (key.Model is { } model) query += $"&model={Uri.EscapeDataString(model.Value)}";
        if (key.Pool is { } pool) query += $"&pool={Uri.EscapeDataString(pool.Value)}";
        return query;
    }

    private ImmutableArray<BreakdownDimension> Chosen => [.. Dimensions.Where(Has)];

    private static string Sentence(string text) => text[..1] + text[1..].ToLower(CultureInfo.InvariantCulture);
}

/// <param name="Text">As it stands in an address.</param>
public sealed record BreakdownDimension(string Text, string Label, GroupBy By);
