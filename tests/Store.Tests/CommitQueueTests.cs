using Qanat.Books;

namespace Qanat.Store.Tests;

/// <summary>Group commit with a commit that waits until the test lets it go.</summary>
public sealed class CommitQueueTests : IAsyncDisposable
{
    private readonly SemaphoreSlim _go = new(0);
    private readonly SemaphoreSlim _begun = new(0);
    private readonly List<Fact[]> _batches = [];
    private readonly List<int> _threads = [];
    private readonly List<bool> _isOfPool = [];
    private readonly CommitQueue _queue;
    private readonly TestBooks _facts = new();
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public CommitQueueTests() => _queue = new CommitQueue(Commit, () => { }, queueFactsMax: 5, batchFactsMax: 3);

    public async ValueTask DisposeAsync()
    {
        _go.Release(100);
        await _queue.DisposeAsync();
        _go.Dispose();
        _begun.Dispose();
    }

    private void Commit(IReadOnlyList<Fact> facts, Exception?[] outcomes)
    {
        _begun.Release();
        _go.Wait();
        _batches.Add([.. facts]);
        _threads.Add(Environment.CurrentManagedThreadId);
        _isOfPool.Add(Thread.CurrentThread.IsThreadPoolThread);
        for (int index = 0; index < facts.Count; index++)
        {
            if (facts[index] is HoldReleased) outcomes[index] = new StoreException("refused");
            if (facts[index] is DemoCleared) throw new InvalidOperationException("the commit failed");
        }
    }

    private HoldPlaced Next() => new(_facts.NewHold());

    /// <summary>A first fact that is being committed, so that what follows waits in the queue.</summary>
    private async Task<Task> Busy()
    {
        Task first = _queue.AppendAsync(Next(), Cancel);
        await _begun.WaitAsync(Cancel);
        return first;
    }

    [Fact]
    public async Task What_gathers_during_a_commit_goes_into_the_next_up_to_its_limit_in_order()
    {
        Task first = await Busy();
        HoldPlaced[] facts = [.. Enumerable.Range(0, 5).Select(_ => Next())];
        Task[] waiting = [.. facts.Select(fact => _queue.AppendAsync(fact, Cancel))];
        Assert.False(first.IsCompleted);
        _go.Release(3);
        await Task.WhenAll(waiting);
        Assert.Equal([1, 3, 2], _batches.Select(batch => batch.Length));
        Assert.Equal(facts, _batches.Skip(1).SelectMany(batch => batch));
    }

    [Fact]
    public async Task Whoever_comes_to_a_full_queue_waits_for_a_place_and_may_give_up()
    {
        Task first = await Busy();
        Task[] placed = [.. Enumerable.Range(0, 5).Select(_ => _queue.AppendAsync(Next(), Cancel))];
        using CancellationTokenSource patience = new();
        Task late = _queue.AppendAsync(Next(), patience.Token);
        Task later = _queue.AppendAsync(Next(), Cancel);
        await patience.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => late);
        _go.Release(100);
        await Task.WhenAll([first, .. placed, later]);
        Assert.Equal(7, _batches.Sum(batch => batch.Length));
    }

    [Fact]
    public async Task A_fact_that_has_its_place_is_carried_through_although_its_caller_gives_up()
    {
        using CancellationTokenSource patience = new();
        await Busy();
        Task placed = _queue.AppendAsync(Next(), patience.Token);
        await patience.CancelAsync();
        _go.Release(2);
        await placed;
    }

    [Fact]
    public async Task A_refused_fact_fails_its_own_caller_and_a_failed_commit_fails_all_of_its_batch()
    {
        Task first = await Busy();
        Task good = _queue.AppendAsync(Next(), Cancel);
        Task refused = _queue.AppendAsync(new HoldReleased(new RequestId(_facts.NewId()), TestBooks.At(0), ""), Cancel);
        _go.Release(2);
        await first;
        await good;
        await Assert.ThrowsAsync<StoreException>(() => refused);
        await Assert.ThrowsAsync<InvalidOperationException>(() =>
        {
            Task failed = _queue.AppendAsync(new DemoCleared(TestBooks.At(0), null), Cancel);
            _go.Release();
            return failed;
        });
        _go.Release();
        await _queue.AppendAsync(Next(), Cancel);
    }

    [Fact]
    public async Task Closing_writes_what_was_handed_over_and_refuses_the_rest()
    {
        Task first = await Busy();
        Task second = _queue.AppendAsync(Next(), Cancel);
        Task closing = _queue.DisposeAsync().AsTask();
        await Assert.ThrowsAsync<StoreClosedException>(() => _queue.AppendAsync(Next(), Cancel));
        Assert.False(closing.IsCompleted);
        _go.Release(2);
        await closing;
        await Task.WhenAll(first, second);
    }

    [Fact]
    public async Task A_caller_that_needs_no_disk_and_finds_nobody_before_it_commits_by_itself()
    {
        await using CommitQueue queue = new(Commit, () => { }, queueFactsMax: 5, batchFactsMax: 3, callersCommit: true);
        _go.Release(3);
        Task alone = queue.AppendAsync(Next(), Durability.Process, Cancel);
        Task refused = queue.AppendAsync(new HoldReleased(new RequestId(_facts.NewId()), TestBooks.At(0), ""), Durability.Process, Cancel);
        Assert.True(alone.IsCompletedSuccessfully);
        Assert.True(refused.IsFaulted);
        int here = Environment.CurrentManagedThreadId;
        Assert.Equal([here, here], _threads);
        await queue.AppendAsync(Next(), Durability.Power, Cancel);
        Assert.NotEqual(here, _threads[2]);
        await Assert.ThrowsAsync<StoreException>(() => refused);
    }

    [Fact]
    public async Task What_gathers_during_a_callers_commit_is_the_writers_in_order_and_closing_waits_for_both()
    {
        CommitQueue queue = new(Commit, () => { }, queueFactsMax: 5, batchFactsMax: 3, callersCommit: true);
        HoldPlaced[] facts = [.. Enumerable.Range(0, 7).Select(_ => Next())];
        Task first = Task.Run(() => queue.AppendAsync(facts[0], Durability.Process, Cancel), Cancel);
        await _begun.WaitAsync(Cancel);
        Task[] waiting = [.. facts.Skip(1).Select(fact => queue.AppendAsync(fact, Durability.Process, Cancel))];
        Task closing = queue.DisposeAsync().AsTask();
        Assert.False(closing.IsCompleted);
        _go.Release(4);
        await closing;
        await Task.WhenAll([first, .. waiting]);
        Assert.Equal([1, 3, 3], _batches.Select(batch => batch.Length));
        Assert.Equal(facts, _batches.SelectMany(batch => batch));
        Assert.NotEqual(_threads[0], _threads[1]);
    }

    [Fact]
    public async Task A_caller_commits_the_few_that_gathered_during_its_own_commit_twice_and_then_hands_on()
    {
        await using CommitQueue queue = new(Commit, () => { }, queueFactsMax: 5, batchFactsMax: 3, callersCommit: true);
        HoldPlaced[] facts = [.. Enumerable.Range(0, 5).Select(_ => Next())];
        List<Task> all = [Task.Run(() => queue.AppendAsync(facts[0], Durability.Process, Cancel), Cancel)];
        foreach (int[] gathering in (int[][])[[1, 2], [3], [4]])
        {
            await _begun.WaitAsync(Cancel);
            all.AddRange(gathering.Select(index => queue.AppendAsync(facts[index], Durability.Process, Cancel)));
            _go.Release();
        }
        _go.Release();
        await Task.WhenAll(all);
        Assert.Equal([1, 2, 1, 1], _batches.Select(batch => batch.Length));
        Assert.Equal(facts, _batches.SelectMany(batch => batch));
        Assert.Equal([_threads[0], _threads[0]], _threads[1..3]);
        Assert.NotEqual(_threads[0], _threads[3]);
    }

    [Fact]
    public async Task Who_needs_the_disk_or_fails_is_answered_whoever_commits_for_it()
    {
        await using CommitQueue queue = new(Commit, () => { }, queueFactsMax: 5, batchFactsMax: 3, callersCommit: true);
        Task<Task> first = Task.Run(() => Task.FromResult(queue.AppendAsync(Next(), Durability.Process, Cancel)), Cancel);
        await _begun.WaitAsync(Cancel);
        Task good = queue.AppendAsync(Next(), Durability.Process, Cancel);
        Task refused = queue.AppendAsync(new HoldReleased(new RequestId(_facts.NewId()), TestBooks.At(0), ""), Durability.Process, Cancel);
        _go.Release();
        await _begun.WaitAsync(Cancel);
        Task failed = queue.AppendAsync(new DemoCleared(TestBooks.At(0), null), Durability.Process, Cancel);
        Task forDisk = queue.AppendAsync(Next(), Durability.Power, Cancel);
        _go.Release(2);
        await good;
        await Assert.ThrowsAsync<StoreException>(() => refused);
        // In one batch with what failed, on the writer's thread: one of the two needs the disk.
        await Assert.ThrowsAsync<InvalidOperationException>(() => failed);
        await Assert.ThrowsAsync<InvalidOperationException>(() => forDisk);
        await await first;
        Assert.Equal([1, 2, 2], _batches.Select(batch => batch.Length));
        Assert.NotEqual(_threads[0], _threads[2]);
    }

    [Fact]
    public async Task Housekeeping_comes_in_time_although_only_callers_commit()
    {
        using SemaphoreSlim kept = new(0);
        await using CommitQueue queue = new(Commit, () => kept.Release(), queueFactsMax: 5, batchFactsMax: 3, callersCommit: true);
        const int Appends = 64;
        _go.Release(Appends);
        for (int append = 0; append < Appends; append++) await queue.AppendAsync(Next(), Durability.Process, Cancel);
        await kept.WaitAsync(Cancel);
        Assert.Equal(Appends, _batches.Count);
    }

    [Fact]
    public async Task While_facts_come_fast_a_thread_of_the_pool_commits_for_whoever_comes_meanwhile()
    {
        const int Together = 5;
        await using CommitQueue queue = await Fast(() => { });
        int before = _batches.Count;
        HoldPlaced[] facts = [.. Enumerable.Range(0, 1 + Together).Select(_ => Next())];
        Task first = queue.AppendAsync(facts[0], Durability.Process, Cancel);
        await _begun.WaitAsync(Cancel);
        Task[] waiting = [.. facts.Skip(1).Select(fact => queue.AppendAsync(fact, Durability.Process, Cancel))];
        _go.Release(2);
        await Task.WhenAll([first, .. waiting]);
        Assert.Equal([1, Together], _batches.Skip(before).Select(batch => batch.Length));
        Assert.Equal(facts, _batches.Skip(before).SelectMany(batch => batch));
        Assert.All(_isOfPool.Skip(before), Assert.True);
    }

    [Fact]
    public async Task While_facts_come_fast_the_writers_thread_still_has_what_needs_the_disk_and_the_housekeeping()
    {
        using SemaphoreSlim kept = new(0);
        await using CommitQueue queue = await Fast(() => kept.Release());
        Drain(kept);
        int before = _batches.Count;
        const int Appends = 64;
        _go.Release(Appends + 1);
        for (int append = 0; append < Appends; append++) await queue.AppendAsync(Next(), Durability.Process, Cancel);
        await kept.WaitAsync(Cancel);
        await queue.AppendAsync(Next(), Durability.Power, Cancel);
        Assert.False(_isOfPool[^1]);
        Assert.Equal(before + Appends + 1, _batches.Count);
    }

    [Fact]
    public async Task Closing_waits_for_what_a_thread_of_the_pool_commits_and_writes_what_waits_behind_it()
    {
        CommitQueue queue = await Fast(() => { });
        Task first = queue.AppendAsync(Next(), Durability.Process, Cancel);
        await _begun.WaitAsync(Cancel);
        Task behind = queue.AppendAsync(Next(), Durability.Process, Cancel);
        Task closing = queue.DisposeAsync().AsTask();
        Assert.False(closing.IsCompleted);
        _go.Release(2);
        await closing;
        Assert.True(first.IsCompletedSuccessfully && behind.IsCompletedSuccessfully);
        await Assert.ThrowsAsync<StoreClosedException>(() => queue.AppendAsync(Next(), Durability.Process, Cancel));
    }

    /// <summary>A queue that has seen facts come fast: it knows how long a round of counting took after the second. Nothing is under way in it, and housekeeping was just done.</summary>
    private async Task<CommitQueue> Fast(Action afterBatch)
    {
        CommitQueue queue = new(Commit, afterBatch, queueFactsMax: 100, batchFactsMax: 100, callersCommit: true, fastWithin: TimeSpan.MaxValue);
        const int Rounds = 128;
        _go.Release(Rounds + 1);
        for (int append = 0; append < Rounds; append++) await queue.AppendAsync(Next(), Durability.Process, Cancel);
        await queue.AppendAsync(Next(), Durability.Power, Cancel);
        Drain(_begun);
        return queue;
    }

    private static void Drain(SemaphoreSlim semaphore)
    {
        while (semaphore.Wait(0))
        {
        }
    }
}
