using System.Diagnostics;
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

/// <summary>Group commit: callers hand over facts, and whoever has the turn commits whatever has gathered while the last commit was on its way.
/// There is no timer: an idle store commits a single fact at once, a busy one shares the commit among all who wait; only those who were just answered are given a moment to come back. Who needs the disk waits for the flusher besides, while the writer commits on.
/// The turn is the writer's thread's. Where a commit waits for nothing, a caller that finds nobody before it takes the turn for its own fact: it needs no other thread then, and would have waited as long (ADR 35). The few that come meanwhile it commits too (ADR 56).
/// While facts come fast nobody commits alone: a work item of the pool commits, behind all the work that waited before it and may bring facts of its own (ADR 68).
/// Whoever takes part in a commit in doubt is answered when it is decided, and nothing is committed before: an answer is always true (ADR 29).</summary>
internal sealed class CommitQueue : IAsyncDisposable
{
    /// <summary>After so many commits by callers the writer's thread does the housekeeping, which may wait for the disk.</summary>
    private const int CallersCommitsMax = 64;

    /// <summary>So few facts that have gathered during a caller's commit it commits too: the writer's thread would first have to wake and find a core. Of more, one commit by that thread is worth its waking.</summary>
    private const int CallersFactsMax = 3;

    /// <summary>A caller commits for others so many times at most, and then hands on.</summary>
    private const int CallersTurnsMax = 2;

    /// <summary>Facts come fast when so many came within <see cref="FastWithin"/>: 6,400 a second, more than the calls of one client bring, or a thousand calls a second.</summary>
    private const int FastFacts = 64;

    /// <summary>See <see cref="FastFacts"/>.</summary>
    public static readonly TimeSpan FastWithin = TimeSpan.FromMilliseconds(10);

    /// <summary>Between two questions about a commit in doubt.</summary>
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(100);

    /// <summary>The moment for those who come back is this part of what the last commit took.</summary>
    private const int GatherPart = 16;

    private readonly Lock _gate = new();
    private readonly Queue<Waiting> _queue = [];

    /// <summary>Those who found no place in the queue.</summary>
    private readonly LinkedList<Waiting> _line = [];

    /// <summary>Of a kind that sleeps at once: the slim kinds look for a while whether they are called, which takes from those who are served what they would call for.</summary>
    private readonly AutoResetEvent _called = new(initialState: false);
    private readonly CommitBatch _commit;
    private readonly DecideCommit _decide;
    private readonly Action _afterBatch;
    private readonly int _queueFactsMax;
    private readonly int _batchFactsMax;
    private readonly LogFlusher? _flusher;
    private readonly bool _callersCommit;
    private readonly TimeSpan _fastWithin;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _isTaken, _isCalled, _isClosing;

    /// <summary>Facts come fast; a work item of the pool that is to commit them is on its way.</summary>
    private bool _isFast, _isScheduled;
    private int _callersCommits, _counted;
    private long _countedAt;

    // The writer's thread's own.
    private Doubtful? _doubtful;
    private int _lastFacts;
    private TimeSpan _lastTook;

    /// <param name="queueFactsMax">Facts that may wait for the writer; whoever comes later waits for a place.</param>
    /// <param name="batchFactsMax">Facts in one commit.</param>
    /// <param name="flusher">Brings commits to the disk; null: they are there when <paramref name="commit"/> returns.</param>
    /// <param name="afterBatch">Housekeeping on the writer's thread, once the callers of a batch have their answers. It does not throw.</param>
    /// <param name="callersCommit">A commit takes a moment and waits for nothing, so that callers who need no disk may make it themselves.</param>
    /// <param name="decide">Null: commits are never in doubt, as those of callers must not be.</param>
    /// <param name="fastWithin">Null: <see cref="FastWithin"/>.</param>
    public CommitQueue(CommitBatch commit, Action afterBatch, int queueFactsMax, int batchFactsMax, LogFlusher? flusher = null, bool callersCommit = false, DecideCommit? decide = null, TimeSpan? fastWithin = null)
    {
        if (callersCommit && decide is not null) throw new ArgumentException("Only the writer's thread waits until a commit is decided.", nameof(callersCommit));
        _commit = commit;
        _decide = decide ?? (static () => throw new InvalidOperationException("No commit is in doubt."));
        _flusher = flusher;
        _afterBatch = afterBatch;
        _queueFactsMax = queueFactsMax;
        _batchFactsMax = batchFactsMax;
        _callersCommit = callersCommit;
        _fastWithin = fastWithin ?? FastWithin;
        new Thread(Drain) { Name = "qanat books writer", IsBackground = true }.Start();
    }

    /// <summary>Completes when the fact is durable. <paramref name="cancel"/> ends the wait for a place in the queue; a fact that has its place is always carried through,
    /// so that its caller never has to guess whether it was written.</summary>
    public Task AppendAsync(Fact fact, CancellationToken cancel) => AppendAsync(fact, Durability.Power, cancel);

    /// <summary>As above; with <see cref="Durability.Process"/> it completes when the commit survives this process, and the disk has it soon after.</summary>
    public Task AppendAsync(Fact fact, Durability durability, CancellationToken cancel)
    {
        if (cancel.IsCancellationRequested) return Task.FromCanceled(cancel);
        return _callersCommit && durability == Durability.Process && TryTakeTurn() ? CommitHere(fact) : HandOver(new Waiting(fact, durability), cancel);
    }

    /// <summary>Commits what was handed over and stops.</summary>
    public async ValueTask DisposeAsync()
    {
        lock (_gate)
        {
            _isClosing = true;
            Call();
        }
        await _ended.Task.ConfigureAwait(false);
        _called.Dispose();
    }

    // ---- callers -------------------------------------------------------------------------------------------------

    private Task HandOver(Waiting waiting, CancellationToken cancel)
    {
        LinkedListNode<Waiting>? inLine = null;
        lock (_gate)
        {
            if (_isClosing) return Task.FromException(new StoreClosedException("The store is closed: nothing can be written any more."));
            if (_queue.Count < _queueFactsMax) _queue.Enqueue(waiting);
            else inLine = _line.AddLast(waiting);
            // Whoever has the turn looks at the queue before giving it up.
            if (!_isTaken) HandOn();
        }
        return inLine is null ? waiting.Task : WaitInLineAsync(inLine, cancel);
    }

    private async Task WaitInLineAsync(LinkedListNode<Waiting> place, CancellationToken cancel)
    {
        using CancellationTokenRegistration givesUp = cancel.UnsafeRegister((_, token) =>
        {
            lock (_gate)
            {
                if (place.List is null) return;
                _line.Remove(place);
            }
            place.Value.SetCanceled(token);
        }, null);
        await place.Value.Task.ConfigureAwait(false);
    }

    /// <summary>The turn for a caller's own fact, if nobody has it, nobody came before, and it would be worth a commit.</summary>
    private bool TryTakeTurn()
    {
        lock (_gate)
        {
            Count();
            if (_isFast || _isTaken || _isClosing || _queue.Count > 0) return false;
            return _isTaken = true;
        }
    }

    /// <summary>Finds out whether facts come fast; under the gate.</summary>
    private void Count()
    {
        if (++_counted < FastFacts) return;
        long now = Stopwatch.GetTimestamp();
        _isFast = _countedAt != 0 && Stopwatch.GetElapsedTime(_countedAt, now) < _fastWithin;
        (_counted, _countedAt) = (0, now);
    }

    /// <summary>Commits a fact on its caller's thread, and the few that have gathered meanwhile, and gives up the turn.</summary>
    private Task CommitHere(Fact fact)
    {
        Exception?[] outcomes = [null];
        Write([fact], outcomes);
        _flusher?.Committed([]);
        for (int turns = 0; KeepsCallersTurn(turns) is { } few; turns++)
        {
            Exception?[] theirs = new Exception?[few.Count];
            Write(few.ConvertAll(waiting => waiting.Fact), theirs);
            Answer(few, theirs);
        }
        return outcomes[0] is { } failure ? Task.FromException(failure) : Task.CompletedTask;
    }

    /// <summary>The few that wait now, if whoever committed for itself is to commit them too; null: it has given up the turn.</summary>
    private List<Waiting>? KeepsCallersTurn(int turns)
    {
        lock (_gate)
        {
            bool isKept = ++_callersCommits < CallersCommitsMax && turns < CallersTurnsMax && !_isClosing && _queue.Count is > 0 and <= CallersFactsMax && _queue.All(waiting => waiting.Durability == Durability.Process);
            if (isKept)
            {
                List<Waiting> few = new(_queue.Count);
                Take(few, CallersFactsMax);
                return few;
            }
            _isTaken = false;
            if (_queue.Count > 0 || _isClosing || _callersCommits >= CallersCommitsMax) Call();
            return null;
        }
    }

    /// <summary>On a thread of the pool, when all the work has been begun that waited there before. What that has brought is one commit.</summary>
    private void CommitScheduled()
    {
        List<Waiting> batch = [];
        lock (_gate)
        {
            _isScheduled = false;
            // Whoever has the turn hands on.
            if (_isTaken || _queue.Count == 0) return;
            if (!IsForPool())
            {
                Call();
                return;
            }
            _isTaken = true;
            Take(batch, _batchFactsMax);
        }
        Exception?[] outcomes = new Exception?[batch.Count];
        Write(batch.ConvertAll(waiting => waiting.Fact), outcomes);
        Answer(batch, outcomes);
        lock (_gate)
        {
            _isTaken = false;
            _callersCommits++;
            if (_queue.Count > 0 || _isClosing || _callersCommits >= CallersCommitsMax) HandOn();
        }
    }

    // ---- the writer's thread -------------------------------------------------------------------------------------

    private void Drain()
    {
        List<Waiting> batch = new(_batchFactsMax);
        while (!HasEnded())
        {
            // Those who wait for a commit in doubt must not need another's fact to be answered.
            while (!_called.WaitOne(_doubtful is null ? Timeout.InfiniteTimeSpan : s_pause)) Decide();
            if (!TryTakeTurn(batch)) continue;
            do
            {
                if (_doubtful is not null) Decide();
                if (batch.Count > 0) Commit(batch);
                _afterBatch();
                Gather();
            }
            while (KeepsTurn(batch));
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
        while (Gathered() < _lastFacts / 2 && Stopwatch.GetElapsedTime(began) < _lastTook / GatherPart) Thread.Yield();
    }

    private int Gathered()
    {
        lock (_gate) return _queue.Count;
    }

    /// <summary>The turn with what has gathered, maybe nothing; false: a caller has it, and calls again when there is something to do.</summary>
    private bool TryTakeTurn(List<Waiting> batch)
    {
        lock (_gate)
        {
            _isCalled = false;
            if (_isTaken) return false;
            _isTaken = true;
            _callersCommits = 0;
            Take(batch, _batchFactsMax);
            return true;
        }
    }

    private bool KeepsTurn(List<Waiting> batch)
    {
        lock (_gate)
        {
            if (_queue.Count > 0 && IsForPool())
            {
                _isTaken = false;
                HandOn();
                return false;
            }
            Take(batch, _batchFactsMax);
            return _isTaken = batch.Count > 0;
        }
    }

    private bool HasEnded()
    {
        lock (_gate) return _isClosing && !_isTaken && _queue.Count == 0;
    }

    private void Take(List<Waiting> batch, int factsMax)
    {
        batch.Clear();
        while (batch.Count < factsMax && _queue.TryDequeue(out Waiting? waiting)) batch.Add(waiting);
        while (_queue.Count < _queueFactsMax && _line.First is { } first)
        {
            _line.RemoveFirst();
            _queue.Enqueue(first.Value);
        }
    }

    private void Commit(List<Waiting> batch)
    {
        long began = Stopwatch.GetTimestamp();
        Exception?[] outcomes = new Exception?[batch.Count];
        if (Write(batch.ConvertAll(waiting => waiting.Fact), outcomes)) Answer(batch, outcomes);
        else _doubtful = new Doubtful([.. batch], outcomes);
        (_lastFacts, _lastTook) = (batch.Count, Stopwatch.GetElapsedTime(began));
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

    // ---- both ----------------------------------------------------------------------------------------------------

    /// <summary>Sees to it that somebody takes the turn, which is free; under the gate.</summary>
    private void HandOn()
    {
        if (!IsForPool()) Call();
        else if (!_isScheduled)
        {
            _isScheduled = true;
            ThreadPool.UnsafeQueueUserWorkItem(static queue => queue.CommitScheduled(), this, preferLocal: false);
        }
    }

    /// <summary>Whether a thread of the pool is to commit what waits; under the gate. Postings take milliseconds, and are known by waiting for the disk.</summary>
    private bool IsForPool()
    {
        if (!_isFast || !_callersCommit || _isClosing || _callersCommits >= CallersCommitsMax) return false;
        foreach (Waiting waiting in _queue)
        {
            if (waiting.Durability != Durability.Process) return false;
        }
        return true;
    }

    /// <summary>Wakes the writer's thread; under the gate.</summary>
    private void Call()
    {
        if (_isCalled) return;
        _isCalled = true;
        _called.Set();
    }

    /// <summary>False: nobody can tell yet whether the facts are written.</summary>
    private bool Write(IReadOnlyList<Fact> facts, Exception?[] outcomes)
    {
#pragma warning disable CA1031 // whatever goes wrong belongs to the callers, who wait for it; the writer must live on
        try
        {
            if (_flusher?.Broken is { } broken) throw broken;
            if (_doubtful is not null) throw new StoreException("The database server was lost in the middle of a commit and is not back: nothing is written before it is.");
            long began = StoreEvents.Log.Begin();
            _commit(facts, outcomes);
            if (began != 0) StoreEvents.Log.Ended(facts.Any(fact => fact is TransactionPosted) ? "posting" : "commit", facts.Count, began);
        }
        catch (DoubtfulCommitException)
        {
            return false;
        }
        catch (Exception failure)
        {
            Array.Fill(outcomes, failure);
        }
#pragma warning restore CA1031
        return true;
    }

    private sealed record Doubtful(List<Waiting> Batch, Exception?[] Outcomes);

    private sealed class Waiting(Fact fact, Durability durability) : TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public Fact Fact => fact;
        public Durability Durability => durability;
    }
}
