using Microsoft.Extensions.Logging;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Keeps meters and bookkeeping out of each other's way: what the bookkeeper reads belongs to one moment, because no meter commits meanwhile. Calls of upstreams use no pool's time, so that they
/// commit beside the bookkeeper and beside each other, except while the books as a whole must stand still.</summary>
public sealed class CommitGate : IDisposable
{
    private readonly SemaphoreSlim turn = new(1);
    private readonly Lock still = new();
    private TaskCompletionSource? moving;
    private TaskCompletionSource? standing;
    private int beside;

    /// <summary>Waits until the books may move; they do not stand still before the pass is disposed of.</summary>
    public async ValueTask<Pass> EnterAsync()
    {
        while (true)
        {
            Task wait;
            lock (still)
            {
                if (moving is null)
                {
                    beside++;
                    return new Pass(this);
                }
                wait = moving.Task;
            }
            await wait;
        }
    }

    /// <summary>As <see cref="RunAsync"/>, and nothing commits beside it.</summary>
    public Task<T> RunAloneAsync<T>(Func<Task<T>> work, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(work);
        return RunAsync(async () =>
        {
            Task stands;
            lock (still)
            {
                moving = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                standing = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                if (beside == 0) standing.SetResult();
                stands = standing.Task;
            }
            try
            {
                await stands;
                return await work();
            }
            finally
            {
                TaskCompletionSource ended;
                lock (still) (ended, moving, standing) = (moving!, null, null);
                ended.SetResult();
            }
        }, cancel);
    }

    public async Task<T> RunAsync<T>(Func<Task<T>> work, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(work);
        await turn.WaitAsync(cancel);
        try
        {
            return await work();
        }
        finally
        {
            turn.Release();
        }
    }

    public void Dispose() => turn.Dispose();

    private void Leave()
    {
        lock (still)
        {
            if (--beside == 0) standing?.TrySetResult();
        }
    }

    /// <summary>Permission to commit once.</summary>
    public readonly struct Pass(CommitGate gate) : IDisposable
    {
        public void Dispose() => gate.Leave();
    }
}

/// <summary>Posts settled usage and capacity to the journal: whenever statements are asked for, when an hour is over, and when much has gathered. A posting sums up what records of one hour have in common,
/// so that posting more often would only make more postings of the same records.</summary>
public sealed class BooksPoster(IBookStore store, CommitGate gate, LiveMeter live, TimeProvider clock, ILogger<BooksPoster> log) : IDisposable
{
    /// <summary>Requests that may wait for their posting: as many as take a blink to post.</summary>
    private const int WaitingMax = Bookkeeper.RoundRecords;

    /// <summary>What began to count earlier is posted in the first of these months.</summary>
    private const int MonthsBackMax = 60;
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);
    private readonly Bookkeeper bookkeeper = new(store);
    private readonly SemaphoreSlim posting = new(1);
    private readonly CancellationTokenSource stopping = new();
    private Task running = Task.CompletedTask;
    private Instant duesThrough;
    private Instant postedHour;
    private long postedFinished;

    public void Start() => running = Task.Run(RunAsync);

    /// <summary>Everything settled so far is in the journal when this completes.</summary>
    public Task<PostingSummary> PostNowAsync(CancellationToken cancel) => RunAsync(() => bookkeeper.PostAsync(cancel), cancel);

    /// <summary>Posts, then reads the books at that same moment.</summary>
    public Task<T> PostThenAsync<T>(Func<IBookStore, Task<T>> read, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(read);
        return RunAsync(async () =>
        {
            await bookkeeper.PostAsync(cancel);
            return await read(store);
        }, cancel);
    }

    /// <summary>As <see cref="PostThenAsync"/>, while nothing at all is committed: for reading the whole books more than once.</summary>
    public Task<T> PostThenAloneAsync<T>(Func<IBookStore, Task<T>> read, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(read);
        return RunAloneAsync(async () =>
        {
            await bookkeeper.PostAsync(cancel);
            return await read(store);
        }, cancel);
    }

    /// <summary>Posts what is settled, then what was declared and is due before an instant. Nothing new: nothing posted.</summary>
    public Task<int> PostDuesAsync(Instant through, CancellationToken cancel) => RunAsync(async () =>
    {
        await bookkeeper.PostAsync(cancel);
        return (await Declarations.ReadAsync(store, cancel)).ClosedThrough >= through ? 0 : await PeriodEnd.PostAsync(store, through, cancel);
    }, cancel);

    /// <summary>The same for each month that has ended since a fact began to count, and is open: a bill of January that arrives in March belongs to January as long as that is not closed.</summary>
    public Task<int> PostDuesSinceAsync(Instant since, Instant now, CancellationToken cancel) => RunAsync(async () =>
    {
        await bookkeeper.PostAsync(cancel);
        Instant closed = (await Declarations.ReadAsync(store, cancel)).ClosedThrough;
        int count = 0;
        Instant first = Instant.From(now.ToDateTimeOffset().AddMonths(-MonthsBackMax));
        for (Instant end = MonthEnd(since > first ? since : first); end < now; end = MonthEnd(end))
            if (end > closed) count += await PeriodEnd.PostAsync(store, end, cancel);
        return now > closed ? count + await PeriodEnd.PostAsync(store, now, cancel) : count;
    }, cancel);

    /// <summary>Closes everything before an instant: no meter commits meanwhile.</summary>
    public Task<ClosingResult> CloseAsync(string name, Instant through, Instant declaredAt, string who, CancellationToken cancel) =>
        RunAloneAsync(() => PeriodClosing.CloseAsync(store, bookkeeper, name, through, declaredAt, who, cancel), cancel);

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

    private Task<T> RunAsync<T>(Func<Task<T>> work, CancellationToken cancel) => AfterUsageAsync(() => gate.RunAsync(work, cancel), cancel);
    private Task<T> RunAloneAsync<T>(Func<Task<T>> work, CancellationToken cancel) => AfterUsageAsync(() => gate.RunAloneAsync(work, cancel), cancel);

    /// <summary>One caller at a time. Usage, which is nearly all there is to post, is posted while the meters go on; they wait only for the rest.</summary>
    private async Task<T> AfterUsageAsync<T>(Func<Task<T>> work, CancellationToken cancel)
    {
        await posting.WaitAsync(cancel);
        try
        {
            await bookkeeper.PostUsageAsync(cancel);
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
            await PostNowAsync(CancellationToken.None);
            await PostDayAsync();
            (postedHour, postedFinished) = (hour, finished);
        }
        catch (StoreException error)
        {
            log.LogError(error, "Usage could not be posted to the journal; it will be tried again");
        }
    }
}
