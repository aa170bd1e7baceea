using System.Globalization;

namespace Qanat.Gateway.Bench.Tracing;

/// <summary>Lays the slowest requests of a run beside what went on meanwhile. That something overlaps a slow request proves nothing when it overlaps all of them: each figure stands beside that of all requests.</summary>
internal sealed class TailReport
{
    /// <summary>Requests that were due within this of each other waited for the same.</summary>
    private const long SameStallNs = 10_000_000;
    private const int StallsShown = 15;
    private const int CausesShown = 6;

    /// <summary>A thousandth of a core, or of the time, is no cause.</summary>
    private const double LeastShown = 0.001;

    private readonly Asked[] asked;
    private readonly Asked[] slow;
    private readonly SortedDictionary<string, Track> tracks = new(StringComparer.Ordinal);

    /// <param name="part">Which part of the requests counts as slow: 0.01, the slowest hundredth.</param>
    public TailReport(IReadOnlyList<Asked> all, IEnumerable<TracePiece> pieces, double part)
    {
        asked = [.. all.Where(each => !each.Failed).OrderBy(each => each.DueNs)];
        slow = [.. asked.OrderByDescending(each => each.TookNs).Take((int)(asked.Length * part)).OrderBy(each => each.DueNs)];
        foreach (IGrouping<string, TracePiece> named in pieces.GroupBy(piece => piece.Name, StringComparer.Ordinal)) tracks[named.Key] = new Track(named);
    }

    public void Write(TextWriter to)
    {
        if (slow.Length == 0)
        {
            to.WriteLine("Too few requests were answered to say which are slow.");
            return;
        }
        WriteStalls(to);
        to.WriteLine("| what went on | in all of the run | while a slow one waited | slow ones it met | of all |");
        to.WriteLine("| --- | --- | --- | --- | --- |");
        double run = asked[^1].DueNs - asked[0].DueNs;
        foreach ((string name, Track track) in tracks)
        {
            double always = track.Within(asked[0].DueNs, asked[^1].DueNs) / run, during = slow.Sum(each => track.Within(each.DueNs, each.EndNs)) / Math.Max(1.0, slow.Sum(each => each.TookNs));
            if (always < LeastShown && during < LeastShown) continue;
            to.WriteLine(Line($"| {name} | {always * 1_000:0.00} | {during * 1_000:0.00} | {Met(slow, track):0} % | {Met(asked, track):0} % |"));
        }
        to.WriteLine("Figures: thousandths, of a core or of the time; of counts, how many in a microsecond, times a thousand. A queue: its length, times a thousand.");
    }

    private void WriteStalls(TextWriter to)
    {
        List<List<Asked>> stalls = [];
        foreach (Asked each in slow)
        {
            if (stalls.Count == 0 || each.DueNs - stalls[^1].Max(other => other.EndNs) > SameStallNs) stalls.Add([]);
            stalls[^1].Add(each);
        }
        to.WriteLine(Line($"{slow.Length} slow requests of {asked.Length}, from {slow.Min(each => each.TookNs) / 1e6:0.0} ms, in {stalls.Count} stalls; the largest:"));
        foreach (List<Asked> stall in stalls.OrderByDescending(each => each.Count).Take(StallsShown).OrderBy(each => each[0].DueNs))
        {
            (long from, long end) = (stall[0].DueNs, stall.Max(each => each.EndNs));
            double tookNs = end - from, run = asked[^1].DueNs - asked[0].DueNs;
            var most = tracks.Select(track => (track.Key, Now: track.Value.Within(from, end) / tookNs, Always: track.Value.Within(asked[0].DueNs, asked[^1].DueNs) / run))
                .Where(each => each.Now > 0.05 && each.Now > 2 * each.Always).OrderByDescending(each => each.Now - each.Always).Take(CausesShown);
            to.WriteLine(Line($"  at {(from - asked[0].DueNs) / 1e9:0.000} s, {tookNs / 1e6:0.0} ms, {stall.Count} slow, worst {stall.Max(each => each.TookNs) / 1e6:0.0} ms: {string.Join("; ", most.Select(each => Line($"{each.Key} {each.Now:0.00} ({each.Always:0.00})")))}"));
        }
    }

    private static double Met(Asked[] requests, Track track) => 100.0 * requests.Count(each => track.Within(each.DueNs, each.EndNs) > 0) / Math.Max(1, requests.Length);

    private static string Line(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    /// <summary>Pieces of one name, and how much of them lies before any instant.</summary>
    private sealed class Track
    {
        private readonly long[] begins, ends;
        private readonly double[] amounts;
        private readonly long longest;

        public Track(IEnumerable<TracePiece> pieces)
        {
            TracePiece[] sorted = [.. pieces.OrderBy(piece => piece.Begin)];
            begins = [.. sorted.Select(piece => piece.Begin)];
            ends = [.. sorted.Select(piece => piece.End)];
            amounts = [.. sorted.Select(piece => (double)piece.Amount)];
            longest = sorted.Max(piece => piece.End - piece.Begin);
        }

        /// <summary>The part of the amounts that falls between two instants.</summary>
        public double Within(long from, long to)
        {
            int index = Array.BinarySearch(begins, from - longest);
            double sum = 0;
            for (index = index < 0 ? ~index : index; index < begins.Length && begins[index] < to; index++)
            {
                long overlap = Math.Min(to, ends[index]) - Math.Max(from, begins[index]);
                if (overlap > 0) sum += amounts[index] * overlap / (ends[index] - begins[index]);
            }
            return sum;
        }
    }
}
