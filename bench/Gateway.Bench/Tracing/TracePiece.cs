using System.Diagnostics;
using System.Globalization;

namespace Qanat.Gateway.Bench.Tracing;

/// <summary>Something that went on between two instants of the machine's monotonic clock, which all processes share.</summary>
/// <param name="Amount">Nanoseconds of it, or what else it counts; spread evenly over its time. Of a pause of 3 ms: 3,000,000. Of a queue of two that was seen for 10 ms: 20,000,000.</param>
internal readonly record struct TracePiece(string Name, long Begin, long End, long Amount)
{
    /// <summary>Nanoseconds: a timestamp of <see cref="Stopwatch"/> in the unit of all figures here.</summary>
    public static long Now => ToNs(Stopwatch.GetTimestamp());

    public static long ToNs(long timestamp) => (long)(timestamp * (1e9 / Stopwatch.Frequency));

    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Name}\t{Begin}\t{End}\t{Amount}");

    public static bool TryParse(string line, out TracePiece piece)
    {
        string[] parts = line.Split('\t');
        piece = default;
        if (parts is not [{ } name, { } begin, { } end, { } amount]) return false;
        if (!long.TryParse(begin, CultureInfo.InvariantCulture, out long from) || !long.TryParse(end, CultureInfo.InvariantCulture, out long to)) return false;
        if (!long.TryParse(amount, CultureInfo.InvariantCulture, out long much)) return false;
        piece = new TracePiece(name, from, to, much);
        return true;
    }
}
