using System.Collections.Immutable;

namespace Qanat.Models;

/// <summary>A set of symbols (bytes, or code points) as sorted, disjoint ranges with gaps between them.</summary>
internal sealed class SymbolSet : IEquatable<SymbolSet>
{
    private readonly ImmutableArray<SymbolRange> ranges;

    private SymbolSet(ImmutableArray<SymbolRange> ranges) => this.ranges = ranges;

    public static readonly SymbolSet Empty = new([]);

    public ImmutableArray<SymbolRange> Ranges => ranges;
    public bool IsEmpty => ranges.IsEmpty;

    public static SymbolSet Of(params ReadOnlySpan<char> characters)
    {
        SymbolSet set = Empty;
        foreach (char each in characters) set = set.Or(Range(each, each));
        return set;
    }

    public static SymbolSet Range(int first, int last) => first > last ? Empty : new([new SymbolRange(first, last)]);

    public static SymbolSet OfRanges(IEnumerable<SymbolRange> given)
    {
        ImmutableArray<SymbolRange>.Builder merged = ImmutableArray.CreateBuilder<SymbolRange>();
        foreach (SymbolRange range in given.Where(range => range.First <= range.Last).OrderBy(range => range.First))
        {
            if (merged.Count > 0 && range.First <= merged[^1].Last + 1) merged[^1] = new SymbolRange(merged[^1].First, Math.Max(merged[^1].Last, range.Last));
            else merged.Add(range);
        }
        return new SymbolSet(merged.DrainToImmutable());
    }

    public bool Contains(int symbol)
    {
        int low = 0, high = ranges.Length - 1;
        while (low <= high)
        {
            int middle = (low + high) / 2;
            if (symbol < ranges[middle].First) high = middle - 1;
            else if (symbol > ranges[middle].Last) low = middle + 1;
            else return true;
        }
        return false;
    }

    public SymbolSet Or(SymbolSet other) => OfRanges(ranges.Concat(other.ranges));

    public SymbolSet And(SymbolSet other)
    {
        List<SymbolRange> common = [];
        foreach (SymbolRange a in ranges)
        {
            foreach (SymbolRange b in other.ranges) common.Add(new SymbolRange(Math.Max(a.First, b.First), Math.Min(a.Last, b.Last)));
        }
        return OfRanges(common);
    }

    /// <summary>Everything of another set that is not in this one.</summary>
    public SymbolSet Not(SymbolSet universe)
    {
        List<SymbolRange> gaps = [];
        int next = 0;
        foreach (SymbolRange range in ranges)
        {
            gaps.Add(new SymbolRange(next, range.First - 1));
            next = range.Last + 1;
        }
        gaps.Add(new SymbolRange(next, int.MaxValue - 1));
        return OfRanges(gaps).And(universe);
    }

    public bool Equals(SymbolSet? other) => other is not null && ranges.AsSpan().SequenceEqual(other.ranges.AsSpan());
    public override bool Equals(object? obj) => Equals(obj as SymbolSet);

    public override int GetHashCode()
    {
        HashCode hash = default;
        foreach (SymbolRange range in ranges) hash.Add(range);
        return hash.ToHashCode();
    }
}

internal readonly record struct SymbolRange(int First, int Last);
