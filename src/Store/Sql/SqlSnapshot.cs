using System.Runtime.CompilerServices;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>One reader, kept at one commit. Questions and the chunks of a stream take turns.</summary>
internal sealed class SqlSnapshot(ReaderPool.HeldReader held, Currency home) : SqlReader(home), IBookSnapshot
{
    private readonly SemaphoreSlim _turn = new(1);
    private int _streaming;
    private int _disposed;

    private protected override async Task<T> QueryAsync<T>(Func<Reader, T> query, CancellationToken cancel)
    {
        await _turn.WaitAsync(cancel).ConfigureAwait(false);
        try
        {
            Look();
            return await Task.Run(() => held.Reader.Database.Reading(() => query(held.Reader), cancel), cancel).ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }
    }

    private protected override async IAsyncEnumerable<T> RowsAsync<T>(Func<Reader, IEnumerable<T>> query, [EnumeratorCancellation] CancellationToken cancel, int chunkRows = ReaderPool.StreamChunkRows)
    {
        // The same question twice would share its statement.
        if (Interlocked.Exchange(ref _streaming, 1) != 0) throw new InvalidOperationException("A snapshot streams one thing at a time: read the first to its end.");
        try
        {
            Look();
            await foreach (T row in ReaderPool.ReadAsync(held.Reader, query, _turn, held.Closing, cancel, chunkRows).ConfigureAwait(false)) yield return row;
        }
        finally
        {
            Volatile.Write(ref _streaming, 0);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        await _turn.WaitAsync().ConfigureAwait(false);
        held.Dispose();
        _turn.Dispose();
    }

    private void Look()
    {
        ObjectDisposedException.ThrowIf(Volatile.Read(ref _disposed) != 0, this);
        if (held.Closing.IsCancellationRequested) throw ReaderPool.Closed();
    }
}
