using System.Net;
using System.Text;

namespace Qanat.Outlook;

/// <summary>A page that stands alone: text, tables and drawings in one file, nothing loaded from anywhere; readable on a phone, on paper and in the dark.</summary>
internal sealed class Page
{
    private readonly StringBuilder _body = new();
    private readonly string _title;
    private readonly List<(string Id, string Title)> _sections = [];

    public Page(string title) => _title = title;

    public static string Text(string text) => WebUtility.HtmlEncode(text);

    public void Raw(string html) => _body.Append(html);

    public void Section(string id, string title, string lead = "")
    {
        _sections.Add((id, Short(title)));
        _body.Append($"<h2 id=\"{id}\">{Text(title)}</h2>");
        if (lead.Length > 0) _body.Append($"<p class=\"lead\">{Text(lead)}</p>");
    }

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
        <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{Text(_title)}</title><style>{Style}</style></head>
        <body><nav>{string.Concat(_sections.Select(s => $"<a href=\"#{s.Id}\">{Text(s.Title)}</a>"))}</nav><main>{_body}</main></body></html>
        """;

    private const string Style = """
        :root{--ink:#1d2733;--quiet:#5d6b7a;--line:#d9dfe6;--paper:#fff;--wash:#f5f7f9;--blue1:#a9c6e3;--blue2:#5f97cc;--blue3:#1f5fa8;--bad:#c0674f;--good:#3d8a67;--ochre:#b7791f}
        @media (prefers-color-scheme:dark){:root{--ink:#e6ebf0;--quiet:#9aa8b6;--line:#36424f;--paper:#151b22;--wash:#1c242d;--blue1:#34557a;--blue2:#4d87c0;--blue3:#86b8ea;--bad:#d4836c;--good:#62b08c;--ochre:#d9a355}}
        *{box-sizing:border-box}html{scroll-behavior:smooth}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
        nav{position:sticky;top:0;z-index:2;background:var(--paper);border-bottom:1px solid var(--line);padding:8px max(16px,calc(50vw - 480px));display:flex;gap:16px;overflow-x:auto;white-space:nowrap;font-size:13px}
        nav a{color:var(--quiet);text-decoration:none}nav a:hover{color:var(--ink)}
        main{max-width:960px;margin:0 auto;padding:8px 16px 64px}
        h1{font-size:30px;line-height:1.2;margin:28px 0 4px}h2{font-size:21px;margin:44px 0 6px;scroll-margin-top:48px}h3{font-size:16px;margin:22px 0 4px}
        .sub,.lead,.note{color:var(--quiet)}.lead{margin-top:0}.note{font-size:14px}
        a{color:var(--blue3)}a.src{font-size:12px;text-decoration:none;border-bottom:1px dotted;white-space:nowrap}
        .scroll{overflow-x:auto}figure{margin:18px 0 26px}figcaption{display:flex;flex-wrap:wrap;gap:2px 10px;justify-content:space-between;margin-bottom:6px}figcaption span{color:var(--quiet);font-size:13px}
        svg{display:block;width:100%;min-width:620px;height:auto}
        .t{font:13px system-ui,"Segoe UI",Roboto,Arial,sans-serif;fill:var(--ink)}.strong{font-weight:600}.quiet{font-size:11.5px;fill:var(--quiet)}.small{font-size:12px}.value{font-variant-numeric:tabular-nums}.cell{font-size:13px;fill:#1d2733}
        .bar{rx:2}.l0{fill:var(--blue1)}.l1{fill:var(--blue2)}.l2,.l3{fill:var(--blue3)}.soft{fill:var(--line)}.bad{fill:var(--bad)}.low{fill:var(--ochre)}.high{fill:var(--blue2)}
        .grid{stroke:var(--line);stroke-width:1}.zero{stroke:var(--ink);stroke-width:1.2}.median{stroke:var(--paper);stroke-width:2.5}.known{stroke:var(--ochre);stroke-width:3}
        .band{fill:var(--blue2);opacity:.75}.quietband{fill:var(--blue1);opacity:.45}.path{fill:none;stroke:var(--blue3);stroke-width:2}.thin{fill:none;stroke:var(--ink);stroke-width:1.2;stroke-dasharray:4 3}
        table{border-collapse:collapse;width:100%;font-size:14px;margin:8px 0}caption{text-align:left;font-weight:600;padding:6px 0}th{text-align:left;color:var(--quiet);font-weight:600;font-size:12.5px;border-bottom:1.5px solid var(--line);padding:5px 10px 5px 0;vertical-align:bottom}
        td{border-bottom:1px solid var(--line);padding:5px 10px 5px 0;vertical-align:top}td:first-child{min-width:150px}td.n{font-variant-numeric:tabular-nums;white-space:nowrap}tr:target td{background:#fff3c4;color:#1d2733}
        .key{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(380px,100%),1fr));gap:12px;margin:18px 0}.key div{background:var(--wash);border:1px solid var(--line);border-radius:8px;padding:12px 14px}.key b{display:block;font-size:13px;color:var(--quiet);font-weight:600}
        .key .big{display:block;font-size:23px;font-weight:650;line-height:1.25;font-variant-numeric:tabular-nums}.key span{font-size:13.5px}
        details{border:1px solid var(--line);border-radius:8px;padding:8px 14px;margin:8px 0}summary{cursor:pointer;font-weight:600}ol li{margin:2px 0}
        .tier{font-size:11.5px;border:1px solid var(--line);border-radius:4px;padding:0 5px;color:var(--quiet)}
        @media (max-width:560px){h1{font-size:24px}main{padding:4px 14px 48px}}
        @media print{nav{display:none}body{font-size:11pt}main{max-width:none;padding:0}details{break-inside:avoid}details>*{display:block}figure,table,tr{break-inside:avoid}h2{break-after:avoid}svg{min-width:0}a{color:inherit}}
        """;
}
