namespace Qanat.Models;

/// <summary>Remembers the tokens of short pieces. Direct-mapped: a piece has one slot and evicts what is there, so memory is bounded whatever texts come.
/// Safe for any number of threads: entries are immutable and slots are swapped whole.</summary>
internal sealed class PieceCache
{
    /// <summary>Longer pieces are seldom met twice.</summary>
    public const int PieceUnitsMax = 32;

    private const int Slots = 1 << 15;
    private readonly Entry?[] _slots = new Entry?[Slots];

    public bool TryGet(ReadOnlySpan<char> piece, out ReadOnlySpan<int> tokens)
    {
        Entry? entry = Volatile.Read(ref _slots[SlotOf(piece)]);
        bool found = entry is not null && piece.SequenceEqual(entry.Piece);
        tokens = found ? entry!.Tokens : default;
        return found;
    }

    public void Put(ReadOnlySpan<char> piece, ReadOnlySpan<int> tokens)
    {
        if (piece.Length <= PieceUnitsMax)
            Volatile.Write(ref _slots[SlotOf(piece)], new Entry(piece.ToString(), tokens.ToArray()));
    }

    private static int SlotOf(ReadOnlySpan<char> piece) => string.GetHashCode(piece, StringComparison.Ordinal) & (Slots - 1);

    private sealed record Entry(string Piece, int[] Tokens);
}
