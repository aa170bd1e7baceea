using System.Collections.Immutable;
using System.Net;
using System.Reflection;
using System.Text;

namespace Qanat.Outlook;

/// <summary>A page that stands alone: text, tables and drawings in one file, nothing loaded from anywhere; readable on a phone, on paper and in the dark.</summary>
internal sealed class Page
{
    private readonly StringBuilder _body = new();
    private readonly string _title;
    private readonly List<(string Id, string Title, int Start)> _sections = [];
    private readonly List<Fold> _folds = [];

    public Page(string title) => _title = title;

    public static string Text(string text) => WebUtility.HtmlEncode(text);

    public void Raw(string html) => _body.Append(html);

    public void Section(string id, string title, string lead = "")
    {
        _sections.Add((id, Short(title), _body.Length));
        _body.Append($"<h2 id=\"{id}\">{Text(title)}</h2>");
        if (lead.Length > 0) _body.Append($"<p class=\"lead\">{Text(lead)}</p>");
    }

    /// <summary>The page cut at its headings, for whoever shows parts of it among others; what stands above the first heading is left out.</summary>
    public ImmutableArray<ReportSection> Sections
    {
        get
        {
            string body = _body.ToString();
            return [.. _sections.Select((s, i) => new ReportSection(s.Id, s.Title, Parts(body, s.Start, i + 1 < _sections.Count ? _sections[i + 1].Start : body.Length)))];
        }
    }

    private ImmutableArray<ReportPart> Parts(string body, int start, int end)
    {
        var parts = ImmutableArray.CreateBuilder<ReportPart>();
        foreach (Fold fold in _folds.Where(f => f.Start >= start && f.End <= end))
        {
            if (fold.Start > start) parts.Add(new ReportPart(null, FoldState.Open, body[start..fold.Start]));
            parts.Add(new ReportPart(fold.Summary, fold.State, body[fold.BodyStart..fold.BodyEnd]));
            start = fold.End;
        }
        if (end > start) parts.Add(new ReportPart(null, FoldState.Open, body[start..end]));
        return parts.ToImmutable();
    }

    /// <summary>Begins a part that can be folded away; folds do not hold folds.</summary>
    public void OpenFold(string summary, FoldState state = FoldState.Closed)
    {
        int start = _body.Length;
        _body.Append($"<details{(state == FoldState.Open ? " open" : "")}><summary>{Text(summary)}</summary>");
        _folds.Add(new Fold(summary, state, start, _body.Length, 0, 0));
    }

    public void CloseFold()
    {
        int end = _body.Length;
        _body.Append("</details>");
        _folds[^1] = _folds[^1] with { BodyEnd = end, End = _body.Length };
    }

    private readonly record struct Fold(string Summary, FoldState State, int Start, int BodyStart, int BodyEnd, int End);

    private static string Short(string title) => title.Split(':')[0];

    public void Paragraph(string text, string style = "") => _body.Append(style.Length == 0 ? $"<p>{Text(text)}</p>" : $"<p class=\"{style}\">{Text(text)}</p>");

    public void Chart(string title, string basis, string svg) =>
        _body.Append($"<figure><figcaption><b>{Text(title)}</b><span>{Text(basis)}</span></figcaption><div class=\"scroll\">{svg}</div></figure>");

    /// <param name="rows">Cells are HTML already.</param>
    public void Table(string caption, IEnumerable<string> headers, IEnumerable<IEnumerable<string>> rows)
    {
        _body.Append("<div class=\"scroll\"><table>");
        if (caption.Length > 0) _body.Append($"<caption>{Text(caption)}</caption>");
        _body.Append($"<thead><tr>{string.Concat(headers.Select(h => $"<th>{Text(h)}</th>"))}</tr></thead><tbody>");
        foreach (IEnumerable<string> row in rows) _body.Append($"<tr>{string.Concat(row.Select(c => c.StartsWith('<') && c.StartsWith("<td", StringComparison.Ordinal) ? c : $"<td>{c}</td>"))}</tr>");
        _body.Append("</tbody></table></div>");
    }

    /// <summary>A cell of figures, aligned to the right.</summary>
    public static string Figure(string text) => $"<td class=\"n\">{Text(text)}</td>";

    public override string ToString() => $"""
        <!DOCTYPE html>
        <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{Text(_title)}</title><style>{ReportStyles.Parts}{ReportStyles.Page}</style></head>
        <body><nav>{string.Concat(_sections.Select(s => $"<a href=\"#{s.Id}\">{Text(s.Title)}</a>"))}</nav><main>{_body}</main></body></html>
        """;
}

public enum FoldState { Open, Closed }

/// <summary>A stretch of a section.</summary>
/// <param name="Summary">What it is called while it is folded away; null for what cannot be folded.</param> <param name="State">How it stands at first.</param>
public sealed record ReportPart(string? Summary, FoldState State, string Html);

/// <summary>A section of a report: HTML that starts with its heading.</summary>
public sealed record ReportSection(string Id, string Title, ImmutableArray<ReportPart> Parts);

/// <summary>How reports look. Parts (drawings, tables, cards) look alike wherever they stand; the frame is that of a page of its own.</summary>
public static class ReportStyles
{
    /// <summary>Drawings, tables, cards and certificates. Colours are the variables --ink, --quiet, --line, --paper, --wash, --blue1 to --blue3, --bad, --good, --ochre.</summary>
    public static string Parts { get; } = Read("parts.css");

    internal static string Page { get; } = Read("page.css");

    private static string Read(string name)
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream("report/" + name) ?? throw new InvalidOperationException($"The style sheet {name} was not built in.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
