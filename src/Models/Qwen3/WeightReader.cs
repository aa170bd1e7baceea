using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>Takes tensors out of a GGUF file in the form kernels want, checking type and shape.</summary>
internal sealed unsafe class WeightReader(GgufFile file, WorkerTeam team)
{
    /// <summary>The matrix [outputs x inputs] of that name, packed.</summary>
    /// <exception cref="ModelFileException">The tensor is missing, of another shape, or of a type without kernels.</exception>
    public PackedMatrix Matrix(string name, int inputs, int outputs)
    {
        GgufTensor tensor = Tensor(file, name, inputs, outputs);
        return PackedMatrix.Pack(Format(file, tensor), outputs, inputs, file.Pointer(tensor), team);
    }

    /// <summary>The vector of that name as singles.</summary>
    public NativeBuffer Vector(string name, int length)
    {
        var buffer = new NativeBuffer((long)length * sizeof(float));
        Dequantize.Row(Format(file, Tensor(file, name, length)), file.Pointer(file.Tensor(name)), new Span<float>(buffer.Pointer, length));
        return buffer;
    }

    /// <summary>The tensor of that name, with exactly that shape (ggml order).</summary>
    public static GgufTensor Tensor(GgufFile file, string name, params ReadOnlySpan<long> shape)
    {
        GgufTensor tensor = file.Tensor(name);
        return tensor.Shape.AsSpan().SequenceEqual(shape) ? tensor : throw file.Bad($"tensor {tensor} must have shape [{string.Join(", ", shape.ToArray())}]");
    }

    /// <summary>The kernels' name for the tensor's type.</summary>
    public static WeightFormat Format(GgufFile file, GgufTensor tensor)
    {
        WeightFormat? format = tensor.Type switch
        {
            GgmlType.F32 => WeightFormat.F32,
            GgmlType.F16 => WeightFormat.F16,
            GgmlType.BF16 => WeightFormat.BF16,
            GgmlType.Q8_0 => WeightFormat.Q8_0,
            GgmlType.Q4_0 => WeightFormat.Q4_0,
            GgmlType.Q4_1 => WeightFormat.Q4_1,
            GgmlType.Q5_0 => WeightFormat.Q5_0,
            GgmlType.Q5_1 => WeightFormat.Q5_1,
            GgmlType.Q4_K => WeightFormat.Q4_K,
            GgmlType.Q5_K => WeightFormat.Q5_K,
            GgmlType.Q6_K => WeightFormat.Q6_K,
            _ => null,
        };
        if (format is not { } known)
            throw file.Bad($"tensor {tensor} has a type without kernels; there are kernels for {string.Join(", ", Enum.GetNames<WeightFormat>())}");
        int block = WeightFormats.BlockElements(known);
        return tensor.Shape[0] % block == 0 ? known : throw file.Bad($"tensor {tensor} has rows of {tensor.Shape[0]} numbers, which are not whole blocks of {block}");
    }
}
