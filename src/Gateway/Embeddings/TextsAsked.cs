using System.Collections.Immutable;

namespace Qanat.Gateway;

/// <summary>Texts as they go to an upstream, in one request: it reads them its own way.</summary>
/// <param name="Query">They are ranked by how well they answer it; null: a vector is made of each.</param>
public sealed record TextsAsked(ImmutableArray<TextAsked> Texts, string? Query = null)
{
    /// <summary>Numbers of a vector; null: as many as the model has.</summary>
    public int? Dimensions { get; init; }

    /// <summary>What the ranking is for, in a sentence; null: the model's own words.</summary>
    public string? Instruction { get; init; }
}

/// <summary>One text, or tokens that stand for it.</summary>
public readonly record struct TextAsked(string? Text, ImmutableArray<int> Tokens)
{
    public static TextAsked Of(string text) => new(text, []);
    public static TextAsked Of(ImmutableArray<int> tokens) => new(null, tokens);
}
