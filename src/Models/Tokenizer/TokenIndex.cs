using System.Numerics;
using System.Runtime.CompilerServices;

namespace Qanat.Models;

/// <summary>From a token's bytes to its id, while a tokenizer is built. Open addressing, at most half full; seeded, because files are not trusted.</summary>
internal sealed class TokenIndex
{
    private readonly ByteStrings _tokens;

    // Ids plus one; 0 is free.
    private readonly int[] _slots;

    /// <param name="tokens">By id; none is found before it is added.</param>
    public TokenIndex(ByteStrings tokens)
    {
        _tokens = tokens;
        _slots = new int[BitOperations.RoundUpToPowerOf2((uint)Math.Max(16, tokens.Count * 2))];
    }

    /// <summary>False when another token has these bytes; <paramref name="id"/> is then that one's.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public bool TryAdd(ref int id)
    {
        int slot = SlotOf(_tokens[id]);
        if (_slots[slot] != 0)
        {
            id = _slots[slot] - 1;
            return false;
        }
        _slots[slot] = id + 1;
        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public bool TryGet(ReadOnlySpan<byte> bytes, out int id)
    {
        id = _slots[SlotOf(bytes)] - 1;
        return id >= 0;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int SlotOf(ReadOnlySpan<byte> bytes)
    {
        var hash = new HashCode();
        hash.AddBytes(bytes);
        int slot = hash.ToHashCode() & (_slots.Length - 1);
        while (_slots[slot] != 0 && !_tokens[_slots[slot] - 1].SequenceEqual(bytes))
            slot = (slot + 1) & (_slots.Length - 1);
        return slot;
    }
}
