using System.Text.Json;

namespace Qanat.Models;

/// <summary>What a schema says of a number.</summary>
/// <param name="Factor">What it must be a multiple of; null: of nothing.</param>
internal readonly record struct NumberBounds(decimal? Min, bool ExcludesMin, decimal? Max, bool ExcludesMax, decimal? Factor)
{
    /// <summary>The least whole number within them; null: there is no bound.</summary>
    public long? LeastWhole => Min is { } min ? (long)decimal.Ceiling(ExcludesMin && min == decimal.Truncate(min) ? min + 1 : min) : null;

    public long? GreatestWhole => Max is { } max ? (long)decimal.Floor(ExcludesMax && max == decimal.Truncate(max) ? max - 1 : max) : null;

    public NumberBounds AtLeast(decimal? bound, bool excluded) =>
        bound is not { } given || (Min is { } known && (given < known || (given == known && !excluded))) ? this : this with { Min = given, ExcludesMin = excluded };

    public NumberBounds AtMost(decimal? bound, bool excluded) =>
        bound is not { } given || (Max is { } known && (given > known || (given == known && !excluded))) ? this : this with { Max = given, ExcludesMax = excluded };

    /// <summary>Null: together with the steps that were known there is no common one that is a small whole number.</summary>
    public NumberBounds? InStepsOf(decimal multiple)
    {
        if (Factor is not { } known || known == multiple) return this with { Factor = multiple };
        if (known > int.MaxValue || multiple > int.MaxValue || known != decimal.Truncate(known) || multiple != decimal.Truncate(multiple)) return null;
        decimal common = known;
        while (common % multiple != 0 && common <= int.MaxValue) common += known;
        return common <= int.MaxValue ? this with { Factor = common } : null;
    }

    /// <summary>Whether a number keeps all that is said.</summary>
    public bool Allow(JsonElement number)
    {
        if (this == default) return true;
        // What no decimal holds is compared with nothing.
        if (!number.TryGetDecimal(out decimal value)) return false;
        return Allow(value);
    }

    public bool Allow(decimal value) =>
        !(value < Min) && !(value > Max) && !(ExcludesMin && value == Min) && !(ExcludesMax && value == Max) && (Factor is not { } factor || value % factor == 0);
}
