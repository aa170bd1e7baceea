using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace Qanat.Models;

/// <summary>From a token's bytes to its id, while a tokenizer is built. Open addressing, at most half full; seeded, because files are not trusted.</summary>
internal sealed class TokenIndex
{
    // Odd, and with as many ones as zeros: what is multiplied by it spreads over all bits of the product.
    private const ulong Spreading = 0x9E3779B97F4A7C15;

    private readonly ByteStrings _tokens;

    // The upper half of the hash, then the id plus one; 0 is free. Most slots that are not the one looked for are passed without reading a token.
    private readonly ulong[] _slots;
    private readonly ulong _seed = unchecked((ulong)HashCode.Combine(1) << 32 ^ (ulong)HashCode.Combine(2));

    /// <param name="tokens">By id; none is found before it is added.</param>
    public TokenIndex(ByteStrings tokens)
    {
        _tokens = tokens;
        _slots = new ulong[BitOperations.RoundUpToPowerOf2((uint)Math.Max(16, tokens.Count * 2))];
    }

    /// <summary>False when another token has these bytes; <paramref name="id"/> is then that one's.</summary>
    public bool TryAdd(ref int id)
    {
        ReadOnlySpan<byte> bytes = _tokens[id];
        ulong hash = Hash(bytes);
        ref ulong slot = ref SlotOf(bytes, hash);
        if (slot != 0)
        {
            id = IdIn(slot);
            return false;
        }
        slot = hash & 0xffffffff00000000 | (uint)(id + 1);
        return true;
    }

    public bool TryGet(ReadOnlySpan<byte> bytes, out int id)
    {
        id = IdIn(SlotOf(bytes, Hash(bytes)));
        return id >= 0;
    }

    private static int IdIn(ulong slot) => unchecked((int)(uint)slot) - 1;

    private ref ulong SlotOf(ReadOnlySpan<byte> bytes, ulong hash)
    {
        ulong[] slots = _slots;
        for (int at = unchecked((int)hash) & (slots.Length - 1); ; at = (at + 1) & (slots.Length - 1))
        {
            ref ulong slot = ref slots[at];
            if (slot == 0 || ((slot ^ hash) >> 32 == 0 && _tokens[IdIn(slot)].SequenceEqual(bytes)))
                return ref slot;
        }
    }

    /// <summary>Eight bytes at a time; the product's halves are folded, so that every bit of them moves every bit of the hash.</summary>
    private ulong Hash(ReadOnlySpan<byte> bytes)
    {
        ulong hash = _seed ^ (uint)bytes.Length;
        for (; bytes.Length > sizeof(ulong); bytes = bytes[sizeof(ulong)..])
            hash = Fold(hash ^ BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        return Fold(hash ^ Last(bytes));
    }

    /// <summary>Up to eight bytes as one number; different bytes of the same length give different numbers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Last(ReadOnlySpan<byte> bytes) => bytes.Length switch
    {
        >= sizeof(uint) => BinaryPrimitives.ReadUInt32LittleEndian(bytes) | (ulong)BinaryPrimitives.ReadUInt32LittleEndian(bytes[^sizeof(uint)..]) << 32,
        > 0 => bytes[0] | (uint)bytes[bytes.Length / 2] << 8 | (uint)bytes[^1] << 16,
        _ => 0,
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong Fold(ulong number)
    {
        ulong high = Math.BigMul(number, Spreading, out ulong low);
        return high ^ low;
    }
}
