using System.Buffers.Text;
using System.Runtime;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Qanat.Gateway.Bench.Tracing;

/// <summary>Counts of this process that only grow: the compiler's, the system's, and of each kind of thread the nanoseconds on a core ("cpu") and those for which it could have run and had no core ("wait"). Files of the system stay open: a reading is one call each.</summary>
internal sealed class ProcessFigures : IDisposable
{
    private const string Tasks = "/proc/self/task";
    private readonly Dictionary<string, ThreadFigures> threads = new(StringComparer.Ordinal);

    /// <summary>What threads that are gone had used: a sum must not shrink.</summary>
    private readonly Dictionary<string, long> gone = new(StringComparer.Ordinal);
    private readonly SafeFileHandle? process = File.Exists("/proc/self/stat") ? File.OpenHandle("/proc/self/stat") : null;
    private readonly byte[] buffer = new byte[1024];

    public void FindThreads()
    {
        if (!Directory.Exists(Tasks)) return;
        foreach (string folder in Directory.EnumerateDirectories(Tasks))
        {
            if (threads.ContainsKey(folder)) continue;
            try
            {
                threads[folder] = new ThreadFigures(File.ReadAllText(folder + "/comm").Trim(), File.OpenHandle(folder + "/schedstat"));
            }
            catch (Exception ended) when (ended is IOException or UnauthorizedAccessException)
            {
                // It has ended meanwhile.
            }
        }
    }

    public Dictionary<string, long> Read()
    {
        foreach ((string folder, ThreadFigures thread) in threads)
        {
            if (thread.TryRead(buffer)) continue;
            threads.Remove(folder);
            thread.AddTo(gone);
            thread.Dispose();
        }
        Dictionary<string, long> figures = new(gone, StringComparer.Ordinal)
        {
            ["jit"] = JitInfo.GetCompilationTime().Ticks * TimeSpan.NanosecondsPerTick,
            ["jit methods"] = JitInfo.GetCompiledMethodCount(),
            ["allocated bytes"] = GC.GetTotalAllocatedBytes(precise: false),
        };
        foreach (ThreadFigures thread in threads.Values) thread.AddTo(figures);
        // After the name, which ends with a bracket: state, six more, then minor faults, those of children, major faults.
        if (process is not null && Encoding.ASCII.GetString(buffer, 0, RandomAccess.Read(process, buffer, 0)) is var text && text[(text.LastIndexOf(')') + 2)..].Split(' ') is [_, _, _, _, _, _, _, { } minor, _, { } major, ..])
        {
            figures["page faults"] = long.Parse(minor, null);
            figures["page faults from disk"] = long.Parse(major, null);
        }
        return figures;
    }

    public void Dispose()
    {
        foreach (ThreadFigures thread in threads.Values) thread.Dispose();
        process?.Dispose();
    }

    private sealed class ThreadFigures(string kind, SafeFileHandle file) : IDisposable
    {
        private readonly string cpu = "cpu " + kind, wait = "wait " + kind;
        private long ran, waited;

        /// <summary>False: the thread has ended.</summary>
        public bool TryRead(byte[] buffer)
        {
            try
            {
                ReadOnlySpan<byte> text = buffer.AsSpan(0, RandomAccess.Read(file, buffer, 0));
                if (!Utf8Parser.TryParse(text, out long first, out int read) || !Utf8Parser.TryParse(text[Math.Min(text.Length, read + 1)..], out long second, out _)) return false;
                (ran, waited) = (first, second);
                return true;
            }
            catch (IOException)
            {
                return false;
            }
        }

        public void AddTo(Dictionary<string, long> sums)
        {
            sums[cpu] = sums.GetValueOrDefault(cpu) + ran;
            sums[wait] = sums.GetValueOrDefault(wait) + waited;
        }

        public void Dispose() => file.Dispose();
    }
}
