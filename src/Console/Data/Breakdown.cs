using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Console;

/// <summary>By what the profit and loss is broken down, as it stands in the address (?by=).</summary>
public sealed record Breakdown(string Text, string Label, GroupBy By)
{
    public static readonly ImmutableArray<Breakdown> All =
    [
        new("tenant", "Tenant", GroupBy.Tenant), new("project", "Project", GroupBy.Tenant | GroupBy.Project), new("model", "Model", GroupBy.Model), new("day", "Day", GroupBy.Day),
        new("tenant-model", "Tenant and model", GroupBy.Tenant | GroupBy.Model), new("model-day", "Model and day", GroupBy.Model | GroupBy.Day),
    ];

    public static Breakdown Parse(string? text) => All.FirstOrDefault(each => each.Text == text) ?? All[0];

    /// <summary>What a row of it is called.</summary>
    public string LabelOf(GroupKey key, Names names)
    {
        ArgumentNullException.ThrowIfNull(key);
        ArgumentNullException.ThrowIfNull(names);
        return Text switch
        {
            "tenant" => key.Tenant is { } tenant ? names.Of(tenant) : "No tenant",
            "project" => key.Project is { } project ? names.Full(project) : "No project",
            "model" => key.Model?.Value ?? "No model",
            "tenant-model" => $"{(key.Tenant is { } tenant ? names.Of(tenant) : "No tenant")} · {key.Model?.Value ?? "no model"}",
            "model-day" => $"{key.Model?.Value ?? "No model"} · {(key.Start is { } day ? Show.Date(day) : "no day")}",
            _ => key.Start is { } start ? Show.Date(start) : "No day",
        };
    }

    /// <summary>The journal page with the entries behind a figure of a row.</summary>
    public static string EntriesHref(GroupKey key, PeriodChoice period, Account account)
    {
        ArgumentNullException.ThrowIfNull(key);
        ArgumentNullException.ThrowIfNull(period);
        string text = key.Start is { } day ? PeriodChoice.OfDay(day).Text : period.Text;
        string href = $"/journal?period={text}&account={Uri.EscapeDataString(account.Path)}";
        if (key.Tenant is { } tenant) href += $"&tenant={tenant}";
        if (key.Project is { } project) href += $"&project={project}";
        if (key.Model is { } model) href += $"&model={Uri.EscapeDataString(model.Value)}";
        return href;
    }

    /// <summary>The list of the requests behind a row.</summary>
    public static string RequestsHref(GroupKey key, PeriodChoice period)
    {
        ArgumentNullException.ThrowIfNull(key);
        ArgumentNullException.ThrowIfNull(period);
        string href = $"/requests?period={(key.Start is { } day ? PeriodChoice.OfDay(day).Text : period.Text)}";
        if (key.Tenant is { } tenant) href += $"&tenant={tenant}";
        if (key.Project is { } project) href += $"&project={project}";
        if (key.Model is { } model) href += $"&model={Uri.EscapeDataString(model.Value)}";
        return href;
    }
}
