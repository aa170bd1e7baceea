namespace Qanat.Books;

/// <summary>Where a pool stands when its capacity is posted.</summary>
/// <param name="Since">Up to where an earlier posting counted.</param>
/// <param name="Through">Up to where its running time is counted in Accrued.</param>
/// <param name="Accrued">Pool cost not posted yet.</param>
/// <param name="Clearing">Balance of the clearing account for this pool, before this posting.</param>
/// <param name="WorkInProgress">Cost of the device time of open holds and of records that are settled but not posted.</param>
public sealed record PoolPosition(PoolName Pool, Instant Since, Instant Through, Money Accrued, Money Clearing, Money WorkInProgress)
{
    /// <summary>Unused capacity is what is left: everything accrued, less what usage has taken and what is still being worked on. Afterwards the clearing account holds exactly the work in progress,
    /// so that pool cost = used + unused + work in progress, to the pico.</summary>
    public Money Unused => Clearing + Accrued - WorkInProgress;

    /// <summary>Whether the pool's time or rates have moved on since the last posting, so that a posting is due.</summary>
    public bool IsDue => Through > Since || !Accrued.IsZero;
}

/// <summary>Posts the cost of capacity supplied and the part of it that nothing used.</summary>
public static class CapacityPoster
{
    /// <summary>The posting for a position; null when there is nothing to post.</summary>
    /// <param name="closedThrough">Nothing is dated before.</param>
    public static TransactionPosted? Post(PoolPosition position, Instant closedThrough = default)
    {
        if (position.Accrued.IsZero && position.Unused.IsZero) return null;
        string memo = $"{position.Pool} through {position.Through}: {position.Accrued} accrued, {position.Unused} unused, {position.WorkInProgress} in progress";
        Instant at = position.Through < closedThrough ? closedThrough : position.Through;
        var id = TransactionId.OfContent(at, $"{Templates.CapacityName} {memo} {position.Clearing}");
        return new TransactionPosted(Templates.Capacity(id, at, memo, position.Pool, position.Accrued, position.Unused), []);
    }
}
