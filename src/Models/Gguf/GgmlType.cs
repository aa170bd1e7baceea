namespace Qanat.Models;

/// <summary>How a tensor's numbers are stored: the ids of ggml (ggml/include/ggml.h). Ids that ggml has withdrawn (4, 5, 31-33, 36-38) are not listed.</summary>
public enum GgmlType
{
    F32 = 0,
    F16 = 1,
    Q4_0 = 2,
    Q4_1 = 3,
    Q5_0 = 6,
    Q5_1 = 7,
    Q8_0 = 8,
    Q8_1 = 9,
    Q2_K = 10,
    Q3_K = 11,
    Q4_K = 12,
    Q5_K = 13,
    Q6_K = 14,
    Q8_K = 15,
    IQ2_XXS = 16,
    IQ2_XS = 17,
    IQ3_XXS = 18,
    IQ1_S = 19,
    IQ4_NL = 20,
    IQ3_S = 21,
    IQ2_S = 22,
    IQ4_XS = 23,
    I8 = 24,
    I16 = 25,
    I32 = 26,
    I64 = 27,
    F64 = 28,
    IQ1_M = 29,
    BF16 = 30,
    TQ1_0 = 34,
    TQ2_0 = 35,
    MXFP4 = 39,
}

/// <summary>A type's unit of storage: <paramref name="Elements"/> consecutive numbers of a row take <paramref name="Bytes"/> bytes.</summary>
public readonly record struct GgmlBlock(int Elements, int Bytes);

public static class GgmlTypes
{
    /// <summary>The block of a type; false when the id is not one of ggml's.</summary>
    public static bool TryBlock(GgmlType type, out GgmlBlock block)
    {
        block = type switch
        {
            GgmlType.F32 or GgmlType.I32 => new(1, 4),
            GgmlType.F16 or GgmlType.BF16 or GgmlType.I16 => new(1, 2),
            GgmlType.I8 => new(1, 1),
            GgmlType.I64 or GgmlType.F64 => new(1, 8),
            GgmlType.Q4_0 or GgmlType.IQ4_NL => new(32, 18),
            GgmlType.Q4_1 => new(32, 20),
            GgmlType.Q5_0 => new(32, 22),
            GgmlType.Q5_1 => new(32, 24),
            GgmlType.Q8_0 => new(32, 34),
            GgmlType.Q8_1 => new(32, 36),
            GgmlType.MXFP4 => new(32, 17),
            GgmlType.Q2_K => new(256, 84),
            GgmlType.Q3_K or GgmlType.IQ3_S => new(256, 110),
            GgmlType.Q4_K => new(256, 144),
            GgmlType.Q5_K => new(256, 176),
            GgmlType.Q6_K => new(256, 210),
            GgmlType.Q8_K => new(256, 292),
            GgmlType.IQ2_XXS or GgmlType.TQ2_0 => new(256, 66),
            GgmlType.IQ2_XS => new(256, 74),
            GgmlType.IQ3_XXS => new(256, 98),
            GgmlType.IQ1_S => new(256, 50),
            GgmlType.IQ2_S => new(256, 82),
            GgmlType.IQ4_XS => new(256, 136),
            GgmlType.IQ1_M => new(256, 56),
            GgmlType.TQ1_0 => new(256, 54),
            _ => default,
        };
        return block.Elements > 0;
    }

    /// <summary>The block of a type that is known to be ggml's.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The id is not one of ggml's.</exception>
    public static GgmlBlock Block(this GgmlType type) =>
        TryBlock(type, out GgmlBlock block) ? block : throw new ArgumentOutOfRangeException(nameof(type), type, "not a ggml type");

    /// <summary>Bytes of a row of <paramref name="elements"/> numbers, a multiple of the block's elements.</summary>
    public static long RowBytes(this GgmlType type, long elements)
    {
        GgmlBlock block = type.Block();
        if (elements % block.Elements != 0)
            throw new ArgumentException(FormattableString.Invariant($"{elements} numbers are not whole blocks of {block.Elements} ({type})"), nameof(elements));
        return elements / block.Elements * block.Bytes;
    }
}
