using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace Qanat.Models;

/// <summary>Reads the head of a GGUF file in order and never beyond its end. Every length is checked against the bytes that are left before anything is allocated.</summary>
internal sealed unsafe class GgufCursor(string path, byte* start, long length)
{
    /// <summary>A metadata string longer than this is no string (the longest in use are chat templates of some 10 KB).</summary>
    private const int StringBytesMax = 64 << 20;

    private static readonly UTF8Encoding s_strictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public long Position { get; private set; }
    public long Left => length - Position;

    /// <summary>Reads a number, little-endian as GGUF is.</summary>
    /// <param name="what">What is being read, for the message.</param>
    public T Read<T>(string what) where T : unmanaged
    {
        Need(sizeof(T), what);
        T value = Unsafe.ReadUnaligned<T>(start + Position);
        Position += sizeof(T);
        return value;
    }

    /// <summary>A count of things that take at least <paramref name="bytesEach"/> bytes of the file each.</summary>
    public int Count(long bytesEach, string what)
    {
        ulong count = Read<ulong>(what);
        if (count > (ulong)(Left / bytesEach) || count > (ulong)Array.MaxLength)
            throw Bad($"{what}: the file says {count}, but only {Left} bytes follow");
        return (int)count;
    }

    /// <summary>A name (key or tensor): valid UTF-8 without control characters, 1 to 65535 bytes.</summary>
    public string Name(string what)
    {
        ReadOnlySpan<byte> bytes = StringBytes(what);
        if (bytes.Length is 0 or > ushort.MaxValue)
            throw Bad($"{what} has {bytes.Length} bytes, allowed are 1 to {ushort.MaxValue}");
        string name;
        try
        {
            name = s_strictUtf8.GetString(bytes);
        }
        catch (DecoderFallbackException e)
        {
            throw Bad($"{what} is not valid UTF-8 (at byte {Position - bytes.Length}): {e.Message}");
        }
        return name.Any(char.IsControl) ? throw Bad($"{what} contains control characters (at byte {Position - bytes.Length})") : name;
    }

    /// <summary>A string value. Bytes that are no UTF-8 become U+FFFD.</summary>
    public string Text(string what)
    {
        ReadOnlySpan<byte> bytes = StringBytes(what);
        return bytes.Length == 0 ? "" : Encoding.UTF8.GetString(bytes);
    }

    /// <summary>An array of strings, as bytes.</summary>
    public ByteStrings Texts(int count, string what)
    {
        long first = Position, total = 0;
        var ends = new int[count];
        for (int i = 0; i < count; i++)
        {
            total += StringBytes(what).Length;
            if (total > Array.MaxLength)
                throw Bad($"{what}: the strings take more than {Array.MaxLength} bytes");
            ends[i] = (int)total;
        }
        var bytes = new byte[total];
        Position = first;
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> text = StringBytes(what);
            text.CopyTo(bytes.AsSpan(ends[i] - text.Length));
        }
        return new ByteStrings(bytes, ends);
    }

    public bool Flag(string what) => Read<byte>(what) switch
    {
        0 => false,
        1 => true,
        byte other => throw Bad($"{what}: a truth value is 0 or 1, found {other}"),
    };

    public T[] Numbers<T>(int count, string what) where T : unmanaged
    {
        long bytes = (long)count * sizeof(T);
        Need(bytes, what);
        var numbers = new T[count];
        fixed (T* target = numbers)
            Buffer.MemoryCopy(start + Position, target, bytes, bytes);
        Position += bytes;
        return numbers;
    }

    /// <summary>An error about the file; numbers in it are written invariantly.</summary>
    public ModelFileException Bad(FormattableString problem) => new(path, FormattableString.Invariant(problem));

    private ReadOnlySpan<byte> StringBytes(string what)
    {
        ulong bytes = Read<ulong>(what);
        if (bytes > (ulong)Left)
            throw Bad($"{what}: a string of {bytes} bytes at byte {Position} ends beyond the end of the file");
        if (bytes > StringBytesMax)
            throw Bad($"{what}: a string of {bytes} bytes, the limit is {StringBytesMax}");
        var span = new ReadOnlySpan<byte>(start + Position, (int)bytes);
        Position += (int)bytes;
        return span;
    }

    private void Need(long bytes, string what)
    {
        if (bytes > Left)
            throw Bad($"the file ends at byte {length}, inside {what}: it is truncated");
    }
}
