using System.Globalization;
using System.Net;
using System.Text;

namespace Qanat.Outlook;

internal enum Anchor { Start, Middle, End }

/// <summary>A drawing in scalable vector graphics: a few shapes, text that can be selected, a title and a description for who cannot see it.</summary>
internal sealed class Svg
{
    private readonly StringBuilder _body = new();
    private readonly double _width, _height;
    private readonly string _title, _description;

    public Svg(double width, double height, string title, string description)
    {
        (_width, _height, _title, _description) = (width, height, title, description);
    }

    public void Rect(double x, double y, double width, double height, string style, string? tip = null) =>
        Shape($"<rect x=\"{N(x)}\" y=\"{N(y)}\" width=\"{N(Math.Max(0, width))}\" height=\"{N(Math.Max(0, height))}\" class=\"{style}\"", "rect", tip);

    public void Fill(double x, double y, double width, double height, string colour, string? tip = null) =>
        Shape($"<rect x=\"{N(x)}\" y=\"{N(y)}\" width=\"{N(width)}\" height=\"{N(height)}\" fill=\"{colour}\"", "rect", tip);

    public void Line(double x1, double y1, double x2, double y2, string style) =>
        _body.Append($"<line x1=\"{N(x1)}\" y1=\"{N(y1)}\" x2=\"{N(x2)}\" y2=\"{N(y2)}\" class=\"{style}\"/>");

    public void Polygon(IEnumerable<(double X, double Y)> points, string style) =>
        _body.Append($"<polygon points=\"{string.Join(' ', points.Select(p => $"{N(p.X)},{N(p.Y)}"))}\" class=\"{style}\"/>");

    public void Polyline(IEnumerable<(double X, double Y)> points, string style) =>
        _body.Append($"<polyline points=\"{string.Join(' ', points.Select(p => $"{N(p.X)},{N(p.Y)}"))}\" class=\"{style}\"/>");

    public void Text(double x, double y, string text, string style = "t", Anchor anchor = Anchor.Start) =>
        _body.Append($"<text x=\"{N(x)}\" y=\"{N(y)}\" class=\"{style}\" text-anchor=\"{(anchor == Anchor.Start ? "start" : anchor == Anchor.End ? "end" : "middle")}\">{WebUtility.HtmlEncode(text)}</text>");

    public override string ToString() =>
        $"<svg viewBox=\"0 0 {N(_width)} {N(_height)}\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\"><title>{WebUtility.HtmlEncode(_title)}</title><desc>{WebUtility.HtmlEncode(_description)}</desc>{_body}</svg>";

    private void Shape(string open, string name, string? tip) =>
        _body.Append(tip is null ? $"{open}/>" : $"{open}><title>{WebUtility.HtmlEncode(tip)}</title></{name}>");

    private static string N(double value) => Math.Round(value, 2).ToString(CultureInfo.InvariantCulture);
}

/// <summary>A scale from data to drawing, with ticks at round values.</summary>
internal readonly record struct Axis(double From, double To, double At, double Length)
{
    public double this[double value] => At + (Math.Clamp(value, From, To) - From) / (To - From) * Length;

    public IEnumerable<double> Ticks(int about)
    {
        double raw = (To - From) / about, power = Math.Pow(10, Math.Floor(Math.Log10(raw)));
        double step = new[] { 1, 2, 2.5, 5, 10 }.Select(m => m * power).First(s => s >= raw * 0.999);
        for (double tick = Math.Ceiling(From / step - 1e-9) * step; tick <= To + step * 1e-9; tick += step) yield return Math.Abs(tick) < step * 1e-9 ? 0 : tick;
    }
}
