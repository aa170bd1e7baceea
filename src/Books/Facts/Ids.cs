using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace Qanat.Books;

/// <summary>Who a request belongs to and what it is: every id is its own type, made as a UUIDv7 so that ids sort by time.</summary>
public readonly record struct TenantId(Guid Value)
{
    public static TenantId New(TimeProvider clock) => new(Guid.CreateVersion7(clock.GetUtcNow()));
    public override string ToString() => Value.ToString("D");
}

public readonly record struct ProjectId(Guid Value)
{
    public static ProjectId New(TimeProvider clock) => new(Guid.CreateVersion7(clock.GetUtcNow()));
    public override string ToString() => Value.ToString("D");
}

public readonly record struct KeyId(Guid Value)
{
    public static KeyId New(TimeProvider clock) => new(Guid.CreateVersion7(clock.GetUtcNow()));
    public override string ToString() => Value.ToString("D");
}

/// <summary>Made before the first token; the one id a request keeps in its hold, its usage record and its charge.</summary>
public readonly record struct RequestId(Guid Value)
{
    public static RequestId New(TimeProvider clock) => new(Guid.CreateVersion7(clock.GetUtcNow()));
    public override string ToString() => Value.ToString("D");
}

public readonly record struct PriceVersionId(Guid Value)
{
    public static PriceVersionId New(TimeProvider clock) => new(Guid.CreateVersion7(clock.GetUtcNow()));
    public override string ToString() => Value.ToString("D");
}

public readonly record struct PoolRateId(Guid Value)
{
    public static PoolRateId New(TimeProvider clock) => new(Guid.CreateVersion7(clock.GetUtcNow()));
    public override string ToString() => Value.ToString("D");
}

public readonly record struct TransactionId(Guid Value)
{
    public static TransactionId New(TimeProvider clock) => new(Guid.CreateVersion7(clock.GetUtcNow()));

    /// <summary>The id that a posting made at an instant from this content always gets: made twice, it is stored once. Has the shape of a UUIDv7, with a SHA-256 of the content for its random part.</summary>
    public static TransactionId OfContent(Instant at, string content)
    {
        Span<byte> bytes = stackalloc byte[32];
        SHA256.HashData(Encoding.UTF8.GetBytes(content), bytes);
        BinaryPrimitives.WriteUInt16BigEndian(bytes, (ushort)(at.UnixNanoseconds / 1_000_000 >> 32 & 0xFFFF));
        BinaryPrimitives.WriteUInt32BigEndian(bytes[2..], (uint)(at.UnixNanoseconds / 1_000_000 & 0xFFFF_FFFF));
        bytes[6] = (byte)(bytes[6] & 0x0F | 0x70);
        bytes[8] = (byte)(bytes[8] & 0x3F | 0x80);
        return new(new Guid(bytes[..16], bigEndian: true));
    }
    public override string ToString() => Value.ToString("D");
}

/// <summary>A name that the API and the price book use for a model, e.g. "qwen3-0.6b".</summary>
public readonly record struct ModelName(string Value)
{
    public override string ToString() => Value;
}

/// <summary>One served copy of a model on one device or upstream, e.g. "builtin/qanat-tiny".</summary>
public readonly record struct DeploymentName(string Value)
{
    public override string ToString() => Value;
}

/// <summary>A cost pool: one kind of capacity whose cost is collected together, e.g. "this-machine".</summary>
public readonly record struct PoolName(string Value)
{
    public override string ToString() => Value;
}
