using Qanat.Books;

namespace Qanat.Store;

/// <summary>Brings the write-ahead log to the disk beside the writer, so that no commit waits for the disk and one flush serves every commit before it. Commits nobody waits
/// for are flushed soon after, so that a loss of power never takes more than that.</summary>
internal sealed class LogFlusher : IDisposable
{
    private readonly DiskFile _log;
    private readonly int _behindMs;
    private readonly Lock _lock = new();

    /// <summary>Of a kind that sleeps at once: the slim kinds look for a while whether they are called.</summary>
    private readonly AutoResetEvent _wanted = new(initialState: false);
    private readonly Thread _thread;
    private List<TaskCompletionSource> _waiting = [];
    private bool _dirty;
    private bool _closing;
    private volatile StoreException? _broken;

    /// <param name="file">The database; its log stands beside it.</param>
    /// <param name="behindMax">How long a commit that nobody waits for may stay off the disk.</param>
    public LogFlusher(string file, TimeSpan behindMax)
    {
        _log = new DiskFile(file + "-wal");
        _behindMs = (int)Math.Ceiling(behindMax.TotalMilliseconds);
        _thread = new Thread(Run) { Name = "qanat books flusher", IsBackground = true };
        _thread.Start();
    }

    /// <summary>Set once the disk has failed: nobody knows what reached it, so nothing more may be written.</summary>
    public StoreException? Broken => _broken;

    /// <summary>The writer has committed. Completes <paramref name="waiting"/> when everything up to here is on disk.</summary>
    public void Committed(List<TaskCompletionSource> waiting)
    {
        lock (_lock)
        {
            bool idle = !_dirty;
            _dirty = true;
            _waiting.AddRange(waiting);
            if (!idle && waiting.Count == 0) return;
        }
        _wanted.Set();
    }

    /// <summary>Flushes what is left.</summary>
    public void Dispose()
    {
        lock (_lock) _closing = true;
        _wanted.Set();
        _thread.Join();
        _log.Dispose();
        _wanted.Dispose();
    }

    private void Run()
    {
        while (true)
        {
            _wanted.WaitOne();
            // Someone who waits ends the pause at once.
            if (Hurried() is false) _wanted.WaitOne(_behindMs);
            List<TaskCompletionSource> served;
            bool closing;
            lock (_lock)
            {
                (served, _waiting) = (_waiting, []);
                closing = _closing;
                if (!_dirty && closing) return;
                if (!_dirty) continue;
                _dirty = false;
            }
            Flush();
            foreach (TaskCompletionSource each in served)
            {
                if (_broken is { } broken) each.SetException(broken);
                else each.SetResult();
            }
            if (closing) return;
        }
    }

    private bool Hurried()
    {
        lock (_lock) return _closing || _waiting.Count > 0 || !_dirty;
    }

    private void Flush()
    {
        try
        {
            long began = StoreEvents.Log.Begin();
            _log.Flush();
            StoreEvents.Log.Ended("flush of the log", 1, began);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            _broken = new StoreException($"The books could not be brought to the disk ({failure.Message}): look at the disk, then start again.", failure);
        }
    }
}
