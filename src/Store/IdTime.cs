using System.Buffers.Binary;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>The time in a request id. Ids are made as UUIDv7 when the request is placed, so the first 48 bits are milliseconds since 1970 and ids sort by time;
/// usage reported from outside may carry any id.</summary>
internal static class IdTime
{
    /// <summary>No request that Qanat serves takes longer.</summary>
    private const long LongestMilliseconds = 24 * 3_600_000;

    private const long NanosecondsPerMillisecond = 1_000_000;

    /// <summary>The id tells when the request was completed, to within a day after.</summary>
    public static bool IsInOrder(RequestId id, Instant completedAt)
    {
        long took = completedAt.UnixNanoseconds / NanosecondsPerMillisecond - MillisecondsOf(id.Value);
        return took is >= 0 and <= LongestMilliseconds;
    }

    /// <summary>The time in the id is more than a day after this instant: it was not made then.</summary>
    public static bool IsAhead(Guid id, Instant at) => MillisecondsOf(id) > at.UnixNanoseconds / NanosecondsPerMillisecond + LongestMilliseconds;

    /// <summary>All ids that are not ahead of this instant are below.</summary>
    public static Guid FirstAhead(Instant at) => FirstOf(at.UnixNanoseconds / NanosecondsPerMillisecond + LongestMilliseconds + 1);

    /// <summary>No id in order of a request completed at or after this instant is below.</summary>
    public static Guid LowestFrom(Instant completedAt) => FirstOf(completedAt.UnixNanoseconds / NanosecondsPerMillisecond - LongestMilliseconds);

    /// <summary>All ids in order of requests completed before this instant are below.</summary>
    public static Guid Above(Instant completedBefore) => FirstOf(completedBefore.UnixNanoseconds / NanosecondsPerMillisecond + 1);

    private static long MillisecondsOf(Guid id)
    {
        Span<byte> bytes = stackalloc byte[16];
        id.TryWriteBytes(bytes, bigEndian: true, out _);
        return (long)BinaryPrimitives.ReadUInt32BigEndian(bytes) << 16 | BinaryPrimitives.ReadUInt16BigEndian(bytes[4..]);
    }

    private static Guid FirstOf(long milliseconds)
    {
        Span<byte> bytes = stackalloc byte[16];
        long time = Math.Clamp(milliseconds, 0, (1L << 48) - 1);
        BinaryPrimitives.WriteUInt32BigEndian(bytes, (uint)(time >> 16));
        BinaryPrimitives.WriteUInt16BigEndian(bytes[4..], (ushort)(time & 0xFFFF));
        return new Guid(bytes, bigEndian: true);
    }
}
