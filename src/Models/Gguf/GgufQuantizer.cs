using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>Writes a GGUF file anew with fewer bits per weight. Memory never holds more than a few megabytes of a tensor.</summary>
public static unsafe class GgufQuantizer
{
    private const long ChunkElements = 1 << 22;

    /// <param name="source">A file or a folder. Any types that have kernels; best F32, F16 or BF16, because what was rounded once is rounded again.</param>
    /// <param name="mix">What to write.</param>
    /// <param name="target">Receives the file.</param>
    /// <param name="threads">That compute.</param>
    /// <param name="progress">Told the name of each tensor before it is written.</param>
    /// <param name="cancel">Noticed every few megabytes.</param>
    /// <exception cref="ModelFileException">The source has a tensor of a type without kernels.</exception>
    public static void Write(ModelSource source, QuantMix mix, Stream target, int threads, IProgress<string>? progress, CancellationToken cancel)
    {
        using var team = new WorkerTeam(threads);
        int layers = source.Integer(source.Text("general.architecture") + ".block_count", 1, 100_000);
        bool tied = !source.TryTensor("output.weight", out _);
        KeyValuePair<string, GgufValue>[] metadata =
        [
            .. source.Metadata.Where(entry => entry.Key is not ("general.file_type" or "general.quantization_version" or "general.alignment") && !entry.Key.StartsWith("split.", StringComparison.Ordinal)),
            new("general.file_type", GgufValue.Of(QuantMixes.FileType(mix))),
            new("general.quantization_version", GgufValue.Of(2u)),
        ];
        GgufWriter.Write(target, metadata, [.. source.Tensors.Select(Converted)]);

        GgufTensorSource Converted(GgufTensor tensor)
        {
            GgmlType type = QuantMixes.TypeOf(mix, tensor, layers, tied);
            return new GgufTensorSource(tensor.Name, type, tensor.Shape, stream =>
            {
                cancel.ThrowIfCancellationRequested();
                progress?.Report(tensor.Name);
                if (type == tensor.Type)
                {
                    using TensorData data = source.Read(tensor);
                    Copy(data.Pointer, tensor.Bytes, stream, cancel);
                }
                else
                    Convert(source, tensor, type, team, stream, cancel);
            });
        }
    }

    private static void Copy(byte* from, long bytes, Stream stream, CancellationToken cancel)
    {
        for (long at = 0; at < bytes; at += 1 << 22)
        {
            cancel.ThrowIfCancellationRequested();
            stream.Write(new ReadOnlySpan<byte>(from + at, (int)Math.Min(1 << 22, bytes - at)));
        }
    }

    private static void Convert(ModelSource source, GgufTensor tensor, GgmlType type, WorkerTeam team, Stream stream, CancellationToken cancel)
    {
        int inputs = checked((int)tensor.Shape[0]);
        long rows = tensor.Elements / inputs;
        int chunkRows = (int)Math.Clamp(ChunkElements / inputs, 1, Math.Min(rows, WorkerTeam.ChunksMax));
        WeightFormat from = WeightReader.Format(source, tensor), to = Enum.Parse<WeightFormat>(type.ToString());
        long fromBytes = WeightFormats.RowBytes(from, inputs), toBytes = WeightFormats.RowBytes(to, inputs);
        using TensorData data = source.Read(tensor);
        using var target = new NativeBuffer(chunkRows * toBytes);
        using var singles = new NativeBuffer((long)team.Threads * inputs * sizeof(float));
        for (long first = 0; first < rows; first += chunkRows)
        {
            var job = new Job { From = from, To = to, Source = data.Pointer + first * fromBytes, SourceBytes = fromBytes, Target = target.Pointer, TargetBytes = toBytes, Singles = (float*)singles.Pointer, Inputs = inputs };
            int count = (int)Math.Min(chunkRows, rows - first);
            team.Run(&ConvertRow, &job, count);
            Copy(target.Pointer, count * toBytes, stream, cancel);
        }
    }

    private static void ConvertRow(void* state, int row, int thread)
    {
        var job = (Job*)state;
        var singles = new Span<float>(job->Singles + (long)thread * job->Inputs, job->Inputs);
        Dequantize.Row(job->From, job->Source + row * job->SourceBytes, singles);
        Quantize.Row(job->To, singles, new Span<byte>(job->Target + row * job->TargetBytes, (int)job->TargetBytes));
    }

    private struct Job
    {
        public WeightFormat From;
        public WeightFormat To;
        public byte* Source;
        public long SourceBytes;
        public byte* Target;
        public long TargetBytes;
        public float* Singles;
        public int Inputs;
    }
}
