using System.Collections.Immutable;
using System.Reflection;

namespace Qanat.Books;

/// <summary>Price lists that come with the books, to import as they are or to start from. Each names its source and date; they are samples, not offers.</summary>
public static class SamplePrices
{
    /// <summary>Names for <see cref="Read"/>.</summary>
    public static readonly ImmutableArray<string> Names = ["model-studio-international", "model-studio-mainland"];

    /// <summary>The text of a sample, in the language of <see cref="PriceFile"/>.</summary>
    /// <exception cref="ArgumentException">There is no such sample.</exception>
    public static string Read(string name)
    {
        using Stream? stream = Assembly.GetExecutingAssembly().GetManifestResourceStream($"{name}.prices");
        if (stream is null) throw new ArgumentException($"There is no sample '{name}': use {string.Join(" or ", Names)}.", nameof(name));
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd();
    }
}
