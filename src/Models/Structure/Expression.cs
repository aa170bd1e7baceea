namespace Qanat.Models;

internal enum ExpressionKind { Nothing, Empty, Set, Sequence, Choice, Repeat, Rule, Both, Not }

/// <summary>A rule of a grammar by its name; its body may refer to it again.</summary>
internal sealed class GrammarRule(string name)
{
    public string Name { get; } = name;

    /// <summary>Null until it is defined.</summary>
    public Expression? Body { get; set; }
}

/// <summary>A language as an expression. Equal expressions of one <see cref="Grammar"/> are the same object, so an expression is also a state: what may still come.</summary>
internal sealed class Expression(ExpressionKind kind, int id)
{
    public ExpressionKind Kind { get; } = kind;

    /// <summary>In order of creation.</summary>
    public int Id { get; } = id;

    public SymbolSet? Set { get; init; }
    public GrammarRule? Rule { get; init; }

    /// <summary>First of a sequence, what is repeated, one side of both, what must not be.</summary>
    public Expression? First { get; init; }

    /// <summary>Rest of a sequence, other side of both.</summary>
    public Expression? Second { get; init; }

    /// <summary>Of a choice, by id.</summary>
    public Expression[] Choices { get; init; } = [];

    public int Min { get; init; }

    /// <summary>-1: no end.</summary>
    public int Max { get; init; }

    /// <summary>Whether nothing more need come; null: not known yet.</summary>
    public bool? IsNullable { get; set; }

    /// <summary>What may come after a symbol, by the symbol's class; filled as it is asked for.</summary>
    public Expression?[]? After { get; set; }
}
