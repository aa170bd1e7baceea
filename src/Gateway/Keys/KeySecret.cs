using System.Collections.Immutable;
using System.Numerics;
using System.Security.Cryptography;
using System.Text;

namespace Qanat.Gateway;

/// <summary>The text of an API key and what may be kept of it. The text itself is shown once and never stored.</summary>
public static class KeySecret
{
    /// <summary>Random bytes in a key: 256 bits cannot be guessed, so one round of SHA-256 is enough to store it.</summary>
    public const int RandomBytes = 32;

    /// <summary>Longer texts are refused before they are hashed.</summary>
    public const int LengthMax = 512;

    private const string Alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

    /// <summary>62^43 is the first power of 62 above 2^256.</summary>
    private const int EncodedLength = 43;

    /// <summary>A new key: "sk-" and 43 letters and digits that carry 256 random bits.</summary>
    public static string New() => "sk-" + Encode(RandomNumberGenerator.GetBytes(RandomBytes));

    /// <summary>SHA-256 over the UTF-8 text of a key.</summary>
    public static ImmutableArray<byte> Hash(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        return ImmutableArray.Create(SHA256.HashData(Encoding.UTF8.GetBytes(key)));
    }

    /// <summary>What may be shown of a key later: its first characters.</summary>
    public static string PrefixOf(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        return string.Concat(key.AsSpan(0, Math.Min(7, key.Length / 2)), "...");
    }

    private static string Encode(ReadOnlySpan<byte> bytes)
    {
        BigInteger value = new(bytes, isUnsigned: true, isBigEndian: true);
        Span<char> digits = stackalloc char[EncodedLength];
        for (int index = EncodedLength - 1; index >= 0; index--)
        {
            value = BigInteger.DivRem(value, Alphabet.Length, out BigInteger digit);
            digits[index] = Alphabet[(int)digit];
        }
        return new string(digits);
    }
}
