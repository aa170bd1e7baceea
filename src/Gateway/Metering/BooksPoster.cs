using Microsoft.Extensions.Logging;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Posts settled usage and capacity to the journal: whenever statements are asked for, now and then while somebody looks at the overview, when an hour is over, and when much has gathered. A posting sums up what records of one hour have in common,
/// so that posting more often would only make more postings of the same records. One caller at a time posts; requests are served and metered meanwhile, between a few postings and the next, and whoever reads reads a snapshot.</summary>
public sealed class BooksPoster(IBookStore store, LiveMeter live, TimeProvider clock, ILogger<BooksPoster> log) : IDisposable
{
    /// <summary>Requests that may wait for their posting: as many as take a blink to post.</summary>
    private const int WaitingMax = Bookkeeper.RoundRecords;

    /// <summary>What began to count earlier is posted in the first of these months.</summary>
    private const int MonthsBackMax = 60;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    /// <summary>What nobody waits for rests so many times as long as its last part took: it has a fifth of a core at most, and others find the store free four times out of five.</summary>
    private const int RestTimes = 4;

    /// <summary>While records are read the store keeps the state that they are read from: some seconds of log at most.</summary>
    private static readonly TimeSpan RestMax = TimeSpan.FromMilliseconds(20);
    private readonly Bookkeeper bookkeeper = new(store);
    private readonly SemaphoreSlim posting = new(1);
    private readonly CancellationTokenSource stopping = new();
    private Task running = Task.CompletedTask;
    private Instant duesThrough;
    private Instant postedHour;
    private long postedFinished;
    private long? glancedAt; // Only in turn.
    private int waiting;

    public void Start() => running = Task.Run(RunAsync);

    /// <summary>Everything settled so far is in the journal when this completes.</summary>
    public Task<PostingSummary> PostNowAsync(CancellationToken cancel) => InTurnAsync(() => bookkeeper.PostBesideOthersAsync(cancel), cancel);

    /// <summary>For who looks at figures that may be a little behind: posts what is settled, unless that was done for such a reader within this time, or anybody posts now. What was begun is done for all who look, whoever of
    /// them leaves. A store that cannot be written can still be read.</summary>
    public async Task PostUnlessWithinAsync(TimeSpan age, CancellationToken cancel)
    {
        cancel.ThrowIfCancellationRequested();
        if (await posting.WaitAsync(0, CancellationToken.None)) await GlanceInTurnAsync(age).WaitAsync(cancel);
    }

    /// <summary>Posts, then reads the books as of one moment: all that was settled before the call is posted there.</summary>
    public async Task<T> PostThenAsync<T>(Func<IBookReader, Task<T>> read, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(read);
        await using IBookSnapshot books = await InTurnAsync(async () =>
        {
            await bookkeeper.PostBesideOthersAsync(cancel);
            return await store.SnapshotAsync(cancel);
        }, cancel);
        return await read(books);
    }

    /// <summary>Posts what is settled, then what was declared and is due before an instant. Nothing new: nothing posted.</summary>
    public Task<int> PostDuesAsync(Instant through, CancellationToken cancel) => InTurnAsync(async () =>
    {
        await bookkeeper.PostBesideOthersAsync(cancel);
        return (await Declarations.ReadAsync(store, cancel)).ClosedThrough >= through ? 0 : await PeriodEnd.PostAsync(store, through, cancel);
    }, cancel);

    /// <summary>The same for each month that has ended since a fact began to count, and is open: a bill of January that arrives in March belongs to January as long as that is not closed.</summary>
    public Task<int> PostDuesSinceAsync(Instant since, Instant now, CancellationToken cancel) => InTurnAsync(async () =>
    {
        await bookkeeper.PostBesideOthersAsync(cancel);
        Instant closed = (await Declarations.ReadAsync(store, cancel)).ClosedThrough;
        int count = 0;
        Instant first = Instant.From(now.ToDateTimeOffset().AddMonths(-MonthsBackMax));
        for (Instant end = MonthEnd(since > first ? since : first); end < now; end = MonthEnd(end))
            if (end > closed) count += await PeriodEnd.PostAsync(store, end, cancel);
        return now > closed ? count + await PeriodEnd.PostAsync(store, now, cancel) : count;
    }, cancel);

    /// <summary>Closes everything before an instant. Statements wait for the end of it, requests do not.</summary>
    public Task<ClosingResult> CloseAsync(string name, Instant through, Instant declaredAt, string who, CancellationToken cancel) =>
        InTurnAsync(() => PeriodClosing.CloseAsync(store, bookkeeper, name, through, declaredAt, who, cancel), cancel);

    /// <summary>Posts once more and ends. Call after the meters have ended.</summary>
    public async Task StopAsync()
    {
        await stopping.CancelAsync();
        await running;
    }

    public void Dispose()
    {
        posting.Dispose();
        stopping.Dispose();
    }

    /// <summary>Its turn has come; it ends it.</summary>
    private async Task GlanceInTurnAsync(TimeSpan age)
    {
        try
        {
            if (glancedAt is { } before && clock.GetElapsedTime(before) < age) return;
            // Whatever comes of it: a store that fails is not asked again at once by everybody who looks.
            glancedAt = clock.GetTimestamp();
            await bookkeeper.PostBesideOthersAsync(CancellationToken.None);
        }
        catch (StoreException error)
        {
            log.LogError(error, "Usage could not be posted to the journal; it will be tried again");
        }
        finally
        {
            posting.Release();
        }
    }

    private async Task<T> InTurnAsync<T>(Func<Task<T>> work, CancellationToken cancel)
    {
        Interlocked.Increment(ref waiting);
        try
        {
            await posting.WaitAsync(cancel);
        }
        finally
        {
            Interlocked.Decrement(ref waiting);
        }
        try
        {
            return await work();
        }
        finally
        {
            posting.Release();
        }
    }

    private async Task RunAsync()
    {
        using PeriodicTimer timer = new(Interval, clock);
        try
        {
            while (await timer.WaitForNextTickAsync(stopping.Token))
                if (IsDue()) await PostOnceAsync();
        }
        catch (OperationCanceledException)
        {
            await PostOnceAsync();
        }
    }

    private bool IsDue() => Instant.Now(clock).HourStart != postedHour || live.FinishedTotal - postedFinished >= WaitingMax;

    /// <summary>Depreciation, bills, energy and the like accrue by the day: once after each midnight. Whatever is wrong with a declared fact must not keep usage from being posted.</summary>
    private async Task PostDayAsync()
    {
        Instant today = Instant.Now(clock).DayStart;
        if (today <= duesThrough) return;
        try
        {
            await PostDuesAsync(today, CancellationToken.None);
            duesThrough = today;
        }
        catch (Exception error) when (error is InvalidOperationException or ArgumentException or FormatException or OverflowException)
        {
            log.LogError(error, "What is due by what was declared could not be posted; it will be tried again");
        }
    }

    /// <summary>The end of the calendar month (UTC) that holds an instant.</summary>
    private static Instant MonthEnd(Instant at)
    {
        DateTimeOffset time = at.ToDateTimeOffset();
        return Instant.From(new DateTimeOffset(time.Year, time.Month, 1, 0, 0, 0, TimeSpan.Zero).AddMonths(1));
    }

    /// <summary>A failure leaves records unposted; the next round posts them.</summary>
    private async Task PostOnceAsync()
    {
        (Instant hour, long finished) = (Instant.Now(clock).HourStart, live.FinishedTotal);
        try
        {
            await InTurnAsync(PostAtLeisureAsync, CancellationToken.None);
            await PostDayAsync();
            (postedHour, postedFinished) = (hour, finished);
        }
        catch (StoreException error)
        {
            log.LogError(error, "Usage could not be posted to the journal; it will be tried again");
        }
    }

    /// <summary>Ends its rests as soon as somebody waits for the journal, or for the end. The rest is the machine's, and therefore of its time, whatever the books' clock says.</summary>
    private Task<PostingSummary> PostAtLeisureAsync()
    {
        long began = TimeProvider.System.GetTimestamp();
        return bookkeeper.PostAtLeisureAsync(async () =>
        {
            TimeSpan rest = RestTimes * TimeProvider.System.GetElapsedTime(began);
            if (Volatile.Read(ref waiting) == 0) await Task.Delay(rest < RestMax ? rest : RestMax, TimeProvider.System, stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            began = TimeProvider.System.GetTimestamp();
        }, CancellationToken.None);
    }
}
