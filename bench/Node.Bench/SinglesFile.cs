using System.Runtime.InteropServices;
using Qanat.Kernels;
using Qanat.Models;

namespace Qanat.Bench;

/// <summary>A model's weights written out in singles: what a rounded file says, exactly.</summary>
internal static unsafe class SinglesFile
{
    private const uint AllSingles = 0;

    /// <exception cref="ModelFileException">A tensor is of a type without kernels.</exception>
    public static void Write(GgufFile source, string path)
    {
        using FileStream target = File.Create(path);
        GgufWriter.Write(
            target,
            [.. source.Metadata.Where(entry => entry.Key is not ("general.file_type" or "general.alignment")), new("general.file_type", GgufValue.Of(AllSingles))],
            [.. source.Tensors.Select(tensor => new GgufTensorSource(tensor.Name, GgmlType.F32, tensor.Shape, stream => WriteRows(source, tensor, stream)))]);
    }

    private static void WriteRows(GgufFile source, GgufTensor tensor, Stream target)
    {
        if (!Enum.TryParse(tensor.Type.ToString(), out WeightFormat format))
            throw new ModelFileException(source.Path, $"{tensor}: there is no kernel of this type");
        int inputs = checked((int)tensor.Shape[0]);
        long rowBytes = WeightFormats.RowBytes(format, inputs);
        float[] singles = new float[inputs];
        using TensorData data = source.Read(tensor);
        for (long row = 0; row < tensor.Elements / inputs; row++)
        {
            Dequantize.Row(format, data.Pointer + row * rowBytes, singles);
            target.Write(MemoryMarshal.AsBytes(singles.AsSpan()));
        }
    }
}
