using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>The prices in the books as a file that can be reviewed, versioned and compared.</summary>
public static class PriceFiles
{
    /// <summary>Every price as it stands: of versions for one model, tenant and date the one added last.</summary>
    /// <param name="only">The only tenant whose own prices may be shown; null: all.</param>
    public static ImmutableArray<PriceEntry> Current(PriceBook prices, TenantId? only = null)
    {
        ArgumentNullException.ThrowIfNull(prices);
        return [.. prices.Versions.Where(version => only is null || version.Tenant is null || version.Tenant == only).Select(EntryOf).GroupBy(entry => entry.Subject, StringComparer.Ordinal).Select(same => same.Last())];
    }

    /// <summary>One file for each currency.</summary>
    public static ImmutableArray<PriceFile> Of(PriceBook prices, TenantId? only = null) =>
        [.. Current(prices, only).GroupBy(entry => entry.Rates.Currency).OrderBy(group => group.Key.Code, StringComparer.Ordinal).Select(group => new PriceFile("", group.Key, [.. group]))];

    /// <summary>Rates and terms in the words of a price file.</summary>
    public static string FigureOf(PriceEntry entry)
    {
        ArgumentNullException.ThrowIfNull(entry);
        return $"{entry.Rates.Currency} {entry.Rates} {entry.Terms}".TrimEnd();
    }

    /// <inheritdoc cref="FigureOf(PriceEntry)"/>
    public static string FigureOf(PriceVersion version) => FigureOf(EntryOf(version));

    private static PriceEntry EntryOf(PriceVersion version) =>
        new(version.Model, version.Tenant, version.EffectiveFrom, version.Rates, version.Terms ?? PriceTerms.None, Plain(version.Source), version.IsAssumption);

    /// <summary>A source as a price file can say it.</summary>
    private static string Plain(string source) => string.Concat(source.Select(letter => letter == '"' ? '\'' : char.IsControl(letter) ? ' ' : letter));
}
