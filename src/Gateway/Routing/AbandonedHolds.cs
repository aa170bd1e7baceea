using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Holds under which nothing will be served. Their money stays held here until the books have let go of it too, however long the books are away; when the process ends first, the next start releases them.</summary>
internal sealed class AbandonedHolds(IBookStore store, BudgetLimits limits, MeterOptions options, TimeProvider clock)
{
    /// <summary>Ends when the hold is released, or known never to have been placed.</summary>
    /// <param name="placing">The writing of the hold, which may be under way.</param>
    public async Task ReleaseAsync(Task placing, Hold hold, Reservation reservation, string reason)
    {
        try
        {
            await placing;
            await ReleaseAsync(hold, reason);
            limits.Release(reservation);
        }
        catch (StoreClosedException)
        {
        }
        catch (StoreException)
        {
            limits.Release(reservation);
        }
    }

    private async Task ReleaseAsync(Hold hold, string reason)
    {
        TimeSpan pause = options.RetryPause;
        while (true)
        {
            try
            {
                await store.AppendAsync(new HoldReleased(hold.Id, Instant.Now(clock), reason), options.Durability, CancellationToken.None);
                return;
            }
            catch (StoreException failure) when (failure is not StoreClosedException)
            {
                await Task.Delay(pause, clock);
                pause = TimeSpan.FromTicks(Math.Min(pause.Ticks * 2, options.RetryPauseMax.Ticks));
            }
        }
    }
}
