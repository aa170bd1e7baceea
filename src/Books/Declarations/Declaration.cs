using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>The id of a declaration is made from its text: the same text is the same fact.</summary>
public readonly record struct DeclarationId(Guid Value)
{
    public override string ToString() => Value.ToString("D");
}

/// <summary>A fact that people declare and review: a contract, an asset, a bill, the end of a period ... One statement of text, which the store keeps as it is; <see cref="Declarations"/> reads it.</summary>
public sealed record Declaration(DeclarationId Id, Instant At, string Text)
{
    /// <summary>A declaration from a statement.</summary>
    /// <exception cref="FactFormatException">The text is not one statement, or not one the books understand.</exception>
    public static Declaration Of(string text, Instant at)
    {
        FactLine line = FactLine.Read(text);
        Declarations.EnsureUnderstood(line);
        string plain = line.Text;
        return new Declaration(new DeclarationId(TransactionId.OfContent(new Instant(0), plain).Value), at, plain);
    }

    /// <summary>All statements of a file, in its order.</summary>
    /// <exception cref="FactFormatException">A statement is not understood: the message says where.</exception>
    public static ImmutableArray<Declaration> OfAll(string text, Instant at)
    {
        ImmutableArray<FactLine> lines = FactLine.ReadAll(text);
        foreach (FactLine line in lines) Declarations.EnsureUnderstood(line);
        return [.. lines.Select(line => Of(line.Text, at))];
    }
}

/// <summary>Adds a declaration. One with an id that is there already changes nothing.</summary>
public sealed record Declared(Declaration Declaration) : Fact;
