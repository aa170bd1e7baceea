using Qanat.Books;

namespace Qanat.Store.Tests;

/// <summary>Group commit with a commit that waits until the test lets it go.</summary>
public sealed class CommitQueueTests : IAsyncDisposable
{
    private readonly SemaphoreSlim _go = new(0);
    private readonly SemaphoreSlim _begun = new(0);
    private readonly List<Fact[]> _batches = [];
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
}
