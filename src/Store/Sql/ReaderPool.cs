using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>A connection that reads, with what its row numbers stand for.</summary>
internal sealed class Reader(SqlDatabase database) : IDisposable
{
    public SqlDatabase Database => database;
    public RowIdentities Identities { get; } = new(database);

    /// <summary>All rows of a query without parameters.</summary>
    public ImmutableArray<T> All<T>(string sql, Func<Statement, RowIdentities, T> read)
    {
        ImmutableArray<T>.Builder all = ImmutableArray.CreateBuilder<T>();
        Statement rows = database[sql];
        while (rows.Step()) all.Add(read(rows, Identities));
        rows.Reset();
        return all.ToImmutable();
    }

    public void Dispose() => database.Dispose();
}

/// <summary>Connections that read while the writer writes. Each query or stream sees the books as of one instant.</summary>
internal sealed class ReaderPool : IAsyncDisposable
{
    /// <summary>Rows fetched at a time for a stream: enough to make the hand-over cheap, few enough to hold in memory.</summary>
    public const int StreamChunkRows = 256;

    /// <summary>The same for postings, which bring all their records: fewer, so that a chunk is garbage before the collector thinks that it stays.</summary>
    public const int StreamChunkPostings = 16;

    /// <summary>Chunks that wait to be looked at: they make up for a chunk that takes longer than others.</summary>
    private const int StreamChunksAhead = 8;

    private readonly Func<SqlDatabase> _open;
    private readonly int _readersMax;
    private readonly ConcurrentBag<Reader> _idle = [];
    private readonly SemaphoreSlim _queries;
    private readonly SemaphoreSlim _streams;
    private readonly SemaphoreSlim _snapshots;
    private readonly CancellationTokenSource _closing = new();

    /// <param name="open">Makes a connection; a <see cref="StoreException"/> says why it cannot.</param> <param name="readersMax">Queries at the same time, streams at the same time, and snapshots at the same time. They are counted apart, so that whoever asks a question
    /// for each row of a stream never waits for himself.</param>
    public ReaderPool(Func<SqlDatabase> open, int readersMax)
    {
        _open = open;
        _readersMax = readersMax;
        _queries = new SemaphoreSlim(readersMax);
        _streams = new SemaphoreSlim(readersMax);
        _snapshots = new SemaphoreSlim(readersMax);
    }

    /// <summary>Becomes true when the pool is closed: streams and snapshots then answer no more.</summary>
    public CancellationToken Closing => _closing.Token;

    public async Task<T> QueryAsync<T>(Func<Reader, T> query, CancellationToken cancel)
    {
        await EnterAsync(_queries, cancel).ConfigureAwait(false);
        try
        {
            return await Task.Run(() => Query(query, cancel), cancel).ConfigureAwait(false);
        }
        finally
        {
            _queries.Release();
        }
    }

    public async IAsyncEnumerable<T> StreamAsync<T>(Func<Reader, IEnumerable<T>> query, [EnumeratorCancellation] CancellationToken cancel, int chunkRows = StreamChunkRows)
    {
        await EnterAsync(_streams, cancel).ConfigureAwait(false);
        try
        {
            using Snapshot snapshot = new(this);
            await foreach (T row in ReadAsync(snapshot.Reader, query, null, _closing.Token, cancel, chunkRows).ConfigureAwait(false)) yield return row;
        }
        finally
        {
            _streams.Release();
        }
    }

    /// <summary>A reader that sees the books as of now, until it is given back.</summary>
    public async Task<HeldReader> BeginAsync(CancellationToken cancel)
    {
        await EnterAsync(_snapshots, cancel).ConfigureAwait(false);
        try
        {
            return await Task.Run(() => new HeldReader(this), cancel).ConfigureAwait(false);
        }
        catch
        {
            _snapshots.Release();
            throw;
        }
    }

    /// <summary>The rows of a query, chunk by chunk: the next ones are read while these are looked at.</summary>
    /// <param name="turn">Taken for each chunk, where others use the same reader.</param> <param name="closing">Ends it with an exception.</param>
    public static async IAsyncEnumerable<T> ReadAsync<T>(Reader reader, Func<Reader, IEnumerable<T>> query, SemaphoreSlim? turn, CancellationToken closing, [EnumeratorCancellation] CancellationToken cancel, int chunkRows = StreamChunkRows)
    {
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancel, closing);
        Channel<List<T>> chunks = Channel.CreateBounded<List<T>>(new BoundedChannelOptions(StreamChunksAhead) { SingleReader = true, SingleWriter = true });
        Task filling = Task.Run(() => FillAsync(reader, query, chunkRows, turn, chunks.Writer, cancel, stop.Token), CancellationToken.None);
        try
        {
            while (await MoreAsync(chunks.Reader, closing, cancel).ConfigureAwait(false))
            {
                while (chunks.Reader.TryRead(out List<T>? chunk))
                {
                    if (closing.IsCancellationRequested) throw Closed();
                    foreach (T row in chunk)
                    {
                        cancel.ThrowIfCancellationRequested();
                        yield return row;
                    }
                }
            }
        }
        finally
        {
            // The reader is given back only when nobody reads with it any more.
            await stop.CancelAsync().ConfigureAwait(false);
            await filling.ConfigureAwait(false);
        }
    }

    private static async ValueTask<bool> MoreAsync<T>(ChannelReader<T> chunks, CancellationToken closing, CancellationToken cancel)
    {
        try
        {
            return await chunks.WaitToReadAsync(cancel).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested && closing.IsCancellationRequested)
        {
            throw Closed();
        }
    }

    /// <summary>Reads chunk by chunk to the end; what goes wrong, the channel's reader is told. Never throws.</summary>
    /// <param name="cancel">Ends a query under way.</param> <param name="stop">Ends after the chunk under way: nobody looks at the next.</param>
    private static async Task FillAsync<T>(Reader reader, Func<Reader, IEnumerable<T>> query, int chunkRows, SemaphoreSlim? turn, ChannelWriter<List<T>> chunks, CancellationToken cancel, CancellationToken stop)
    {
        IEnumerator<T>? rows = null;
        Exception? failure = null;
        try
        {
            List<T> chunk;
            do
            {
                chunk = new List<T>(chunkRows);
                if (turn is not null) await turn.WaitAsync(CancellationToken.None).ConfigureAwait(false);
                try
                {
                    long began = StoreEvents.Log.Begin();
                    reader.Database.Reading(() => Fill(chunk), cancel);
                    StoreEvents.Log.Ended("reading", chunk.Count, began);
                }
                finally
                {
                    turn?.Release();
                }
                await chunks.WriteAsync(chunk, stop).ConfigureAwait(false);
            }
            while (chunk.Count == chunkRows);
        }
        catch (Exception thrown)
        {
            failure = thrown;
        }
        finally
        {
            try
            {
                rows?.Dispose();
            }
            catch (Exception thrown)
            {
                failure ??= thrown;
            }
            // Whatever happens: who reads the channel would else wait for ever.
            chunks.Complete(failure);
        }

        int Fill(List<T> into)
        {
            rows ??= query(reader).GetEnumerator();
            while (into.Count < chunkRows && rows.MoveNext()) into.Add(rows.Current);
            return into.Count;
        }
    }

    /// <summary>Waits for the queries under way; streams end with an exception at their next chunk, snapshots at their next question. It holds no thread meanwhile: whoever closes the store may be the one who reads.</summary>
    public async ValueTask DisposeAsync()
    {
        await _closing.CancelAsync().ConfigureAwait(false);
        foreach (SemaphoreSlim limit in (SemaphoreSlim[])[_queries, _streams, _snapshots])
        {
            for (int taken = 0; taken < _readersMax; taken++) await limit.WaitAsync().ConfigureAwait(false);
        }
        foreach (Reader reader in _idle) reader.Dispose();
        _closing.Dispose();
        _queries.Dispose();
        _streams.Dispose();
        _snapshots.Dispose();
    }

    /// <exception cref="StoreException">The store is closed, or is being closed while this waits.</exception>
    private async Task EnterAsync(SemaphoreSlim limit, CancellationToken cancel)
    {
        if (_closing.IsCancellationRequested) throw Closed();
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancel, _closing.Token);
        try
        {
            await limit.WaitAsync(either.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw Closed();
        }
    }

    private T Query<T>(Func<Reader, T> query, CancellationToken cancel)
    {
        using Snapshot snapshot = new(this);
        return snapshot.Reader.Database.Reading(() => query(snapshot.Reader), cancel);
    }

    public static StoreClosedException Closed() => new("The store is closed: nothing can be read any more.");

    /// <summary>A reader inside a read transaction: all its statements see the same commit.</summary>
    private readonly struct Snapshot : IDisposable
    {
        private readonly ReaderPool _pool;

        public Snapshot(ReaderPool pool)
        {
            _pool = pool;
            Reader = Begun(pool);
        }

        public Reader Reader { get; }

        /// <summary>A reader that has lain idle may have lost its server meanwhile, and only learns of it now.</summary>
        private static Reader Begun(ReaderPool pool)
        {
            while (pool._idle.TryTake(out Reader? idle))
            {
                try
                {
                    idle.Database.BeginSnapshot();
                    return idle;
                }
                catch (Exception failure) when (idle.Database.Explain(failure) is not null)
                {
                    idle.Dispose();
                }
            }
            Reader fresh = new(pool._open());
            _ = fresh.Database.Reading(() =>
            {
                fresh.Database.BeginSnapshot();
                return true;
            }, CancellationToken.None);
            return fresh;
        }

        public void Dispose()
        {
            if (Reader.Database.InTransaction) Reader.Database.Rollback();
            if (_pool._closing.IsCancellationRequested) Reader.Dispose();
            else _pool._idle.Add(Reader);
        }
    }

    /// <summary>A reader inside one read transaction, for as long as it is held.</summary>
    internal sealed class HeldReader : IDisposable
    {
        private readonly ReaderPool _pool;
        private readonly Snapshot _snapshot;

        public HeldReader(ReaderPool pool)
        {
            _pool = pool;
            _snapshot = new Snapshot(pool);
            try
            {
                // Both engines choose the commit that a transaction sees when it first reads.
                _ = Reader.Database.Reading(() => UsageRollups.ThroughIn(Reader.Database), CancellationToken.None);
            }
            catch
            {
                _snapshot.Dispose();
                throw;
            }
        }

        public Reader Reader => _snapshot.Reader;
        public CancellationToken Closing => _pool.Closing;

        public void Dispose()
        {
            _snapshot.Dispose();
            _pool._snapshots.Release();
        }
    }
}
