using System.Collections.Concurrent;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>An amount as two 64-bit integers that a database can sum without loss: whole thousandths of a currency unit, rounded down, and the
/// rest in picos. Thousandths reach 9.2 * 10^15 currency units in one sum; rests (below 10^9) can be summed over 9.2 * 10^9 rows.</summary>
internal static class StoredMoney
{
    public const long PicosPerMilli = 1_000_000_000;

    /// <summary>ISO 4217's code for "no currency": of sums over requests that have neither a charge nor a cost.</summary>
    public const string NoCurrency = "XXX";

    private static readonly ConcurrentDictionary<string, Currency> s_currencies = new(StringComparer.Ordinal);

    /// <exception cref="StoreException">The amount is beyond what one row can hold.</exception>
    public static (long Milli, long Pico) Split(Int128 picos)
    {
        (Int128 milli, Int128 pico) = Int128.DivRem(picos, PicosPerMilli);
        if (pico < 0)
        {
            milli -= 1;
            pico += PicosPerMilli;
        }
        if (milli < long.MinValue || milli > long.MaxValue)
            throw new StoreException("An amount beyond 9.2 * 10^15 currency units cannot be stored: check the figures it was made of.");
        return ((long)milli, (long)pico);
    }

    /// <summary>The amount of a pair, or of the sums of many pairs.</summary>
    public static Int128 Join(long milli, long pico) => (Int128)milli * PicosPerMilli + pico;

    /// <summary>Assignments of an upsert that adds the amount of the row that is there already to the new one.</summary>
    public static string AddExcluded(string table, string amount) => $"""
        {amount}_milli = {table}.{amount}_milli + excluded.{amount}_milli + ({table}.{amount}_pico + excluded.{amount}_pico) / 1000000000,
        {amount}_pico = ({table}.{amount}_pico + excluded.{amount}_pico) % 1000000000
        """;

    /// <summary>The two columns of an amount summed over rows, put in order: picos below a thousandth. PostgreSQL sums integers to a numeric, which divides with a fraction.</summary>
    public static string Summed(string amount) =>
        $"CAST(sum({amount}_milli) AS bigint) + CAST(sum({amount}_pico) AS bigint) / 1000000000, CAST(sum({amount}_pico) AS bigint) % 1000000000";

    public static Currency CurrencyOf(string code) => s_currencies.GetOrAdd(code, static text => new Currency(text));
}
