using System.Diagnostics;
using System.Threading.Channels;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>Writes a batch of facts in one durable commit. outcomes[i] stays null when facts[i] is durable and is otherwise the reason why nothing of it is stored.</summary>
/// <exception cref="DoubtfulCommitException">The commit may have taken place: <see cref="DecideCommit"/> tells later, and the outcomes count if it has.</exception>
internal delegate void CommitBatch(IReadOnlyList<Fact> facts, Exception?[] outcomes);

/// <summary>Whether a commit in doubt took place; null: nobody can tell yet.</summary>
/// <exception cref="StoreException">Nobody will tell any more.</exception>
internal delegate bool? DecideCommit();

/// <summary>The database was lost while it committed.</summary>
internal sealed class DoubtfulCommitException(Exception lost) : Exception(lost.Message, lost);

/// <summary>Group commit: callers hand over facts, one thread takes whatever has gathered while the last commit was on its way to disk and commits it as one.
/// There is no timer: an idle store commits a single fact at once, a busy one shares the commit among all who wait; only those who were just answered are given a moment to come back. Who needs the disk waits for the flusher besides, while the thread commits on.
/// Whoever takes part in a commit in doubt is answered when it is decided, and nothing is committed before: an answer is always true.</summary>
internal sealed class CommitQueue : IAsyncDisposable
{
    /// <summary>Between two questions about a commit in doubt.</summary>
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(100);

    /// <summary>The moment is this part of what the last commit took.</summary>
    private const int GatherPart = 16;

    private readonly Channel<Waiting> _channel;
    private readonly CommitBatch _commit;
    private readonly DecideCommit _decide;
    private readonly Action _afterBatch;
    private readonly int _batchFactsMax;
    private readonly LogFlusher? _flusher;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Doubtful? _doubtful;
    private int _lastFacts;
    private TimeSpan _lastTook;

    /// <param name="queueFactsMax">Facts that may wait for the writer; whoever comes later waits for a place.</param>
    /// <param name="batchFactsMax">Facts in one commit.</param>
    /// <param name="flusher">Brings commits to the disk; null: they are there when <paramref name="commit"/> returns.</param>
    /// <param name="afterBatch">Housekeeping on the writer's thread, once the callers of a batch have their answers. It does not throw.</param>
    /// <param name="decide">Null: commits are never in doubt.</param>
    public CommitQueue(CommitBatch commit, Action afterBatch, int queueFactsMax, int batchFactsMax, LogFlusher? flusher = null, DecideCommit? decide = null)
    {
        _commit = commit;
        _decide = decide ?? (static () => throw new InvalidOperationException("No commit is in doubt."));
        _flusher = flusher;
        _afterBatch = afterBatch;
        _batchFactsMax = batchFactsMax;
        _channel = Channel.CreateBounded<Waiting>(new BoundedChannelOptions(queueFactsMax) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });
        new Thread(Drain) { Name = "qanat books writer", IsBackground = true }.Start();
    }

    /// <summary>Completes when the fact is durable. <paramref name="cancel"/> ends the wait for a place in the queue; a fact that has its place is always carried through,
    /// so that its caller never has to guess whether it was written.</summary>
    public Task AppendAsync(Fact fact, CancellationToken cancel) => AppendAsync(fact, Durability.Power, cancel);

    /// <summary>As above; with <see cref="Durability.Process"/> it completes when the commit survives this process, and the disk has it soon after.</summary>
    public Task AppendAsync(Fact fact, Durability durability, CancellationToken cancel)
    {
        if (cancel.IsCancellationRequested) return Task.FromCanceled(cancel);
        Waiting waiting = new(fact, durability);
        return _channel.Writer.TryWrite(waiting) ? waiting.Task : AppendAsync(waiting, cancel);
    }

    private async Task AppendAsync(Waiting waiting, CancellationToken cancel)
    {
        try
        {
            await _channel.Writer.WriteAsync(waiting, cancel).ConfigureAwait(false);
        }
        catch (ChannelClosedException closed)
        {
            throw new StoreClosedException("The store is closed: nothing can be written any more.", closed);
        }
        await waiting.Task.ConfigureAwait(false);
    }

    /// <summary>Commits what was handed over and stops.</summary>
    public async ValueTask DisposeAsync()
    {
        _channel.Writer.TryComplete();
        await _ended.Task.ConfigureAwait(false);
    }

    private void Drain()
    {
        List<Waiting> batch = new(_batchFactsMax);
        while (WaitForFacts())
        {
            Gather();
            batch.Clear();
            while (batch.Count < _batchFactsMax && _channel.Reader.TryRead(out Waiting? waiting)) batch.Add(waiting);
            if (batch.Count == 0) continue;
            if (_doubtful is not null) Decide();
            long began = Stopwatch.GetTimestamp();
            Commit(batch);
            _afterBatch();
            (_lastFacts, _lastTook) = (batch.Count, Stopwatch.GetElapsedTime(began));
        }
        using ManualResetEventSlim never = new();
        while (_doubtful is not null && !never.Wait(s_pause)) Decide();
        _ended.SetResult();
    }

    /// <summary>The first of many callers is back before the others: without them he would have a commit of his own, which costs as much as theirs, and they would wait for it.</summary>
    private void Gather()
    {
        if (_lastFacts < 4) return;
        long began = Stopwatch.GetTimestamp();
        while (_channel.Reader.Count < _lastFacts / 2 && Stopwatch.GetElapsedTime(began) < _lastTook / GatherPart) Thread.Yield();
    }

    /// <summary>False: nothing comes any more. Meanwhile those who wait for a commit in doubt must not need another's fact to be answered.</summary>
    private bool WaitForFacts()
    {
        ValueTask<bool> ready = _channel.Reader.WaitToReadAsync();
        if (ready.IsCompletedSuccessfully) return ready.Result;
        Task<bool> waiting = ready.AsTask();
        while (_doubtful is not null && !waiting.Wait(s_pause)) Decide();
        return waiting.GetAwaiter().GetResult();
    }

    private void Commit(List<Waiting> batch)
    {
        Exception?[] outcomes = new Exception?[batch.Count];
#pragma warning disable CA1031 // whatever goes wrong belongs to the callers, who wait for it; the writer must live on
        try
        {
            if (_flusher?.Broken is { } broken) throw broken;
            if (_doubtful is not null) throw new StoreException("The database server was lost in the middle of a commit and is not back: nothing is written before it is.");
            _commit(batch.ConvertAll(waiting => waiting.Fact), outcomes);
        }
        catch (DoubtfulCommitException)
        {
            _doubtful = new Doubtful([.. batch], outcomes);
            return;
        }
        catch (Exception failure)
        {
            Array.Fill(outcomes, failure);
        }
#pragma warning restore CA1031
        Answer(batch, outcomes);
    }

    private void Decide()
    {
        Doubtful doubtful = _doubtful!;
        try
        {
            if (_decide() is not bool committed) return;
            if (!committed) Array.Fill(doubtful.Outcomes, new StoreException("The database server was lost before it had written this: try again."));
        }
        catch (StoreException never)
        {
            Array.Fill(doubtful.Outcomes, never);
        }
        _doubtful = null;
        Answer(doubtful.Batch, doubtful.Outcomes);
    }

    private void Answer(List<Waiting> batch, Exception?[] outcomes)
    {
        List<TaskCompletionSource> forDisk = [];
        for (int index = 0; index < batch.Count; index++)
        {
            if (outcomes[index] is Exception failure) batch[index].SetException(failure);
            else if (_flusher is not null && batch[index].Durability == Durability.Power) forDisk.Add(batch[index]);
            else batch[index].SetResult();
        }
        _flusher?.Committed(forDisk);
    }

    private sealed record Doubtful(List<Waiting> Batch, Exception?[] Outcomes);

    private sealed class Waiting(Fact fact, Durability durability) : TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public Fact Fact => fact;
        public Durability Durability => durability;
    }
}
