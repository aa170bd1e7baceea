using System.Collections.Immutable;

namespace Qanat.Models;

/// <summary>One tensor of a GGUF file.</summary>
/// <param name="Shape">1 to 4 sizes in ggml order, the fastest first: a matrix [out x in] row-major has Shape [in, out].</param>
/// <param name="Offset">Of the first byte, from the start of the file.</param>
/// <param name="Bytes">Within the file: Offset + Bytes never exceeds its length.</param>
public sealed record GgufTensor(string Name, GgmlType Type, ImmutableArray<long> Shape, long Offset, long Bytes)
{
    /// <summary>Numbers in the tensor.</summary>
    public long Elements => Shape.Aggregate(1L, (product, size) => product * size);

    public override string ToString() => $"{Name} {Type} [{string.Join(", ", Shape)}]";
}
