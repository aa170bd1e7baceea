using System.Runtime.CompilerServices;
using System.Text;

namespace Qanat.Models;

/// <summary>The printable characters by which byte-level vocabularies write the 256 bytes (GPT-2's table): printable Latin-1 stands for itself,
/// the others follow from U+0100 on in ascending order, so that the space is "Ġ".</summary>
public static class ByteAlphabet
{
    private static readonly char[] s_characters = MakeCharacters();
    private static readonly short[] s_bytes = MakeBytes();

    public static char CharacterOf(byte value) => s_characters[value];

    /// <summary>The bytes that a vocabulary entry stands for; false when it contains a character that is not in the alphabet.</summary>
    public static bool TryBytes(string entry, out byte[] bytes)
    {
        bytes = new byte[entry.Length];
        for (int i = 0; i < entry.Length; i++)
        {
            if (entry[i] >= s_bytes.Length || s_bytes[entry[i]] < 0)
                return false;
            bytes[i] = (byte)s_bytes[entry[i]];
        }
        return true;
    }

    /// <summary>As <see cref="TryBytes(string, out byte[])"/>, of an entry in UTF-8.</summary>
    /// <param name="target">At least as long as the entry.</param>
    /// <param name="count">Bytes that were written.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static bool TryBytes(ReadOnlySpan<byte> entry, Span<byte> target, out int count)
    {
        count = 0;
        short[] bytes = s_bytes;
        for (int i = 0; i < entry.Length; i++)
        {
            int character = entry[i];
            if (character >= 0x80)
            {
                // The alphabet ends below U+0144: two bytes, 110xxxxx 10xxxxxx.
                if (character >> 5 != 0b110 || ++i == entry.Length || entry[i] >> 6 != 0b10)
                    return false;
                character = (character & 0x1f) << 6 | entry[i] & 0x3f;
            }
            if (character >= bytes.Length || bytes[character] < 0)
                return false;
            target[count++] = (byte)bytes[character];
        }
        return true;
    }

    public static string Write(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder(bytes.Length);
        foreach (byte value in bytes)
            text.Append(s_characters[value]);
        return text.ToString();
    }

    private static char[] MakeCharacters()
    {
        var characters = new char[256];
        int next = 0x100;
        for (int value = 0; value < 256; value++)
            characters[value] = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF) ? (char)value : (char)next++;
        return characters;
    }

    private static short[] MakeBytes()
    {
        var bytes = new short[s_characters.Max() + 1];
        Array.Fill(bytes, (short)-1);
        for (int value = 0; value < 256; value++)
            bytes[s_characters[value]] = (short)value;
        return bytes;
    }
}
