using System.Globalization;

namespace Qanat.Gateway.Bench.Tracing;

/// <summary>What the machine's cores did, a hundred times a second: idle, stolen by the host, waiting for the disk, and time that threads lost because none was free.</summary>
internal sealed class MachineTrace : IDisposable
{
    private const int SampleMs = 10;
    private const long TickNs = 1_000_000_000 / 100;
    private readonly List<TracePiece> pieces = [];
    private readonly SemaphoreSlim ending = new(0);
    private readonly Thread thread;

    public MachineTrace()
    {
        thread = new Thread(Sample) { Name = "bench machine", IsBackground = true };
        thread.Start();
    }

    /// <summary>Ends it.</summary>
    public IReadOnlyList<TracePiece> Pieces()
    {
        ending.Release();
        thread.Join();
        return pieces;
    }

    public void Dispose() => ending.Dispose();

    private void Sample()
    {
        if (!File.Exists("/proc/stat")) return;
        Dictionary<string, long> before = Read();
        long from = TracePiece.Now;
        while (!ending.Wait(SampleMs))
        {
            Dictionary<string, long> after = Read();
            long now = TracePiece.Now;
            foreach ((string name, long amount) in after)
                if (amount > before[name]) pieces.Add(new TracePiece(name, from, now, amount - before[name]));
            (before, from) = (after, now);
        }
    }

    /// <summary>"cpu", then ticks of: user, nice, system, idle, waiting for the disk, two of interrupts, stolen.</summary>
    private static Dictionary<string, long> Read()
    {
        string line = File.ReadLines("/proc/stat").First();
        long[] ticks = [.. line.Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1).Select(each => long.Parse(each, CultureInfo.InvariantCulture) * TickNs)];
        return new Dictionary<string, long>(StringComparer.Ordinal) { ["busy"] = ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6], ["disk"] = ticks[4], ["stolen"] = ticks[7] };
    }
}
