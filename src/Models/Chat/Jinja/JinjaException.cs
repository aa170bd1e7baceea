namespace Qanat.Models;

/// <summary>A template that cannot be read, or that stopped; the message says in which line and why.</summary>
internal sealed class JinjaException : Exception
{
    public JinjaException(int line, string problem, bool isRefusal = false) : base(FormattableString.Invariant($"line {line}: {problem}"))
    {
        Problem = problem;
        IsRefusal = isRefusal;
    }

    /// <summary>Without the line.</summary>
    public string Problem { get; }

    /// <summary>The template itself says that it is no template for such a chat.</summary>
    public bool IsRefusal { get; }
}
