using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>An asset with everything declared about it.</summary>
public sealed record AssetLife(Asset Asset, ImmutableArray<AssetRevised> Revisions, AssetRetired? Retired)
{
    public static ImmutableArray<AssetLife> All(Declarations declared) => [.. declared.Assets.OrderBy(a => a.Name, StringComparer.Ordinal).Select(a => new AssetLife(a,
        [.. declared.AssetRevisions.Where(r => r.Asset == a.Name).OrderBy(r => r.At)], declared.AssetRetirements.FirstOrDefault(r => r.Asset == a.Name)))];

    /// <summary>Instants at which the device time used so far must be known.</summary>
    internal IEnumerable<Instant> Marks(Instant at) => Asset.Method == DepreciationMethod.UnitsOfProduction ? [Asset.InService, .. Revisions.Select(r => r.At), Retired?.At ?? at, at] : [];
}

/// <summary>What an asset has lost of its value. One running total, rounded down: the depreciation of any two periods that touch sums to that of both, to the pico.</summary>
public static class Depreciation
{
    /// <summary>Accumulated depreciation at an instant.</summary>
    /// <param name="busyUntil">Device time (ns) of the asset's pool from the beginning up to an instant; asked only for units of production.</param>
    public static Money Until(AssetLife life, Instant at, Func<Instant, Int128> busyUntil)
    {
        Asset asset = life.Asset;
        Instant last = life.Retired is { } retired && retired.At < at ? retired.At : at;
        Money booked = Money.Zero(asset.Price.Currency);
        if (last <= asset.InService) return booked;

        var estimate = new Estimate(asset.InService, asset.EndOfLife, asset.LifeHours, asset.Residual);
        foreach (AssetRevised revision in life.Revisions.Where(r => r.At < last && r.At > asset.InService))
        {
            booked += Stretch(asset, estimate, booked, revision.At, busyUntil);
            estimate = new Estimate(revision.At, revision.EndOfLife ?? estimate.End, revision.LifeHours ?? estimate.LifeHours, revision.Residual ?? estimate.Residual);
        }
        return booked + Stretch(asset, estimate, booked, last, busyUntil);
    }

    /// <summary>What is left to depreciate when an estimate begins, spread evenly over the life or the units left then. Never below the residual; a residual above the book value stops depreciation.</summary>
    private static Money Stretch(Asset asset, Estimate estimate, Money booked, Instant until, Func<Instant, Int128> busyUntil)
    {
        Money left = asset.Price - booked - estimate.Residual;
        if (left.IsNegative) return Money.Zero(left.Currency);
        if (asset.Method == DepreciationMethod.StraightLine)
        {
            long whole = estimate.End.UnixNanoseconds - estimate.From.UnixNanoseconds, passed = until.UnixNanoseconds - estimate.From.UnixNanoseconds;
            return passed >= whole ? left : new Money(Allocation.FloorOfProduct(left.Picos, passed, whole), left.Currency);
        }
        Int128 before = busyUntil(estimate.From) - busyUntil(asset.InService);
        Int128 units = (Int128)estimate.LifeHours * Instant.NanosecondsPerHour - before, used = busyUntil(until) - busyUntil(estimate.From);
        return used >= units ? left : new Money(Allocation.FloorOfProduct(left.Picos, used, units), left.Currency);
    }

    private readonly record struct Estimate(Instant From, Instant End, long LifeHours, Money Residual);
}
