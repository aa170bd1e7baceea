using System.Buffers.Binary;
using System.Security.Cryptography;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Makes the ids of calls, which are UUIDv7 like all others. Their random bits are drawn for many of them at once: asking the system for those of one costs several times all else that an id takes.</summary>
internal static class RequestIds
{
    private const int RandomBytes = 10;
    private const int IdsAtOnce = 100;

    [ThreadStatic]
    private static byte[]? t_drawn;

    [ThreadStatic]
    private static int t_left;

    public static RequestId New(TimeProvider clock)
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteInt64BigEndian(bytes, clock.GetUtcNow().ToUnixTimeMilliseconds() << 16);
        Draw(bytes[^RandomBytes..]);
        bytes[6] = (byte)(bytes[6] & 0x0F | 0x70);
        bytes[8] = (byte)(bytes[8] & 0x3F | 0x80);
        return new RequestId(new Guid(bytes, bigEndian: true));
    }

    /// <summary>Each byte is given once.</summary>
    private static void Draw(Span<byte> random)
    {
        byte[] drawn = t_drawn ??= new byte[IdsAtOnce * RandomBytes];
        if (t_left == 0)
        {
            RandomNumberGenerator.Fill(drawn);
            t_left = IdsAtOnce;
        }
        t_left--;
        drawn.AsSpan(t_left * RandomBytes, RandomBytes).CopyTo(random);
    }
}
