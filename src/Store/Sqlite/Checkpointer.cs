using Microsoft.Data.Sqlite;

namespace Qanat.Store;

/// <summary>Copies the write-ahead log into the database file beside the writer, so that no commit waits for it. Only the last few frames, those written
/// during the copying, are left to the writer: a log is begun anew only when all of it is copied, and under load that moment never comes by itself.</summary>
internal sealed class Checkpointer : IDisposable
{
    /// <summary>The copier goes over the log again while more than this came in meanwhile; the writer copies what is left in a few milliseconds.</summary>
    private const int LeftFramesMax = 256;
    private const int RoundsMax = 4;

    /// <summary>When the log has grown to so many times its begin although it is being copied, the writer waits for the copier: the log stays bounded.</summary>
    private const int GrowthMax = 4;

    private readonly SqliteDatabase _writer;
    private readonly SqliteDatabase _copier;
    private readonly DiskFile _file;
    private readonly SemaphoreSlim _wanted = new(0);
    private readonly Thread _thread;
    private readonly ManualResetEventSlim _idle = new(initialState: true);
    private readonly int _beginFrames;
    private volatile bool _closing;
    private bool _finish;
    private int _nextFrames;

    /// <param name="file">The database; not disposed of with this.</param> <param name="logBytesBegin">Size of the log at which copying begins.</param>
    public Checkpointer(SqliteDatabase writer, string path, DiskFile file, long logBytesBegin)
    {
        (_writer, _file) = (writer, file);
        _nextFrames = _beginFrames = (int)Math.Clamp(logBytesBegin / writer.PageBytes, 1, int.MaxValue / (2 * GrowthMax));
        _copier = SqliteDatabase.OpenWriter(path);
        _thread = new Thread(Copy) { Name = "qanat books checkpoint", IsBackground = true };
        _thread.Start();
    }

    /// <summary>The writer's thread calls this between two commits.</summary>
    public void AfterCommit()
    {
        int logged = Checkpoint(_writer, CheckpointMode.Look).LoggedFrames;
        if (!_idle.IsSet)
        {
            if (logged < _nextFrames + (GrowthMax - 1) * _beginFrames) return;
            _idle.Wait();
        }
        if (_finish)
        {
            _finish = false;
            long began = StoreEvents.Log.Begin();
            CheckpointFrames frames = Checkpoint(_writer, CheckpointMode.Passive);
            StoreEvents.Log.Ended("end of the copy", frames.LoggedFrames, began);
            // A reader of an old state keeps the log from being begun anew: try again when it has grown by as much once more.
            _nextFrames = frames.LeftFrames == 0 ? _beginFrames : frames.LoggedFrames + _beginFrames;
        }
        else if (logged >= _nextFrames)
        {
            _finish = true;
            _idle.Reset();
            _wanted.Release();
        }
    }

    public void Dispose()
    {
        _closing = true;
        _wanted.Release();
        _thread.Join();
        _copier.Dispose();
        _wanted.Dispose();
        _idle.Dispose();
    }

    private void Copy()
    {
        _wanted.Wait();
        while (!_closing)
        {
            long began = StoreEvents.Log.Begin();
            for (int round = 0; round < RoundsMax; round++)
            {
                if (Checkpoint(_copier, CheckpointMode.Passive).LeftFrames <= LeftFramesMax) break;
            }
            StoreEvents.Log.Ended("copy of the log", 1, began);
            began = StoreEvents.Log.Begin();
            FlushFile();
            StoreEvents.Log.Ended("flush of the copy", 1, began);
            _idle.Set();
            _wanted.Wait();
        }
    }

    /// <summary>SQLite flushes the file when all of the log is copied, which only the writer achieves: without this it would wait for every page that was copied here.</summary>
    private void FlushFile()
    {
        try
        {
            _file.Flush();
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // The log is kept: it is begun anew only after SQLite has flushed the file, which finds that out too.
        }
    }

    /// <summary>When copying fails nothing is lost: the log still holds all of it. A disk that is full or broken fails the next commit too, and its caller hears of it.</summary>
    private static CheckpointFrames Checkpoint(SqliteDatabase database, CheckpointMode mode)
    {
        try
        {
            return database.Checkpoint(mode);
        }
        catch (SqliteException)
        {
            return default;
        }
    }
}
