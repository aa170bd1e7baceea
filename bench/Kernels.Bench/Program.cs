using System.Diagnostics;
using System.Globalization;
using Qanat.Bench;
using Qanat.Kernels;

const string Usage =
    """
    Measures the matrix products alone: for each format and number of rows, billions of multiplications and gigabytes of packed weights per second, all threads together; then attention alone.
    usage: Kernels.Bench [--threads N] [--tier NAME] [--formats Q8_0,Q4_0] [--rows 1,4,8,512] [--inputs N] [--outputs N]
    """;

int threads = 2, inputs = 1024, outputs = 6144;
CpuTier tier = CpuTiers.Best;
WeightFormat[] formats = Enum.GetValues<WeightFormat>();
int[] rowCounts = [1, 4, 8, 512];
for (int i = 0; i + 1 < args.Length; i += 2)
{
    switch (args[i])
    {
        case "--threads": threads = Number(args[i + 1]); break;
        case "--inputs": inputs = Number(args[i + 1]); break;
        case "--outputs": outputs = Number(args[i + 1]); break;
        case "--tier": tier = Enum.Parse<CpuTier>(args[i + 1], ignoreCase: true); break;
        case "--formats": formats = [.. args[i + 1].Split(',').Select(Enum.Parse<WeightFormat>)]; break;
        case "--rows": rowCounts = [.. args[i + 1].Split(',').Select(Number)]; break;
        default:
            Console.Error.WriteLine(Usage);
            return 2;
    }
}

Console.WriteLine(CpuTiers.Describe(tier));
using var team = new WorkerTeam(threads);
Console.WriteLine(ReadProbe.Measure(team));
foreach (WeightFormat format in formats)
    Console.WriteLine($"{format,-5} " + string.Join("   ", rowCounts.Select(rows => Measure(format, rows))));
foreach ((int tokens, int rows) in new[] { (256, 256), (2048, 256), (2048, 1) })
    Console.WriteLine(AttentionProbe.Measure(team, tokens, rows));
return 0;

unsafe string Measure(WeightFormat format, int rows)
{
    // Several matrices in turn, more than the caches hold, as the layers of a network follow one another.
    const int Matrices = 8;
    var random = new Random(1);
    var file = new byte[outputs * WeightFormats.RowBytes(format, inputs)];
    random.NextBytes(file);
    var matrices = new PackedMatrix[Matrices];
    fixed (byte* source = file)
        for (int i = 0; i < Matrices; i++)
            matrices[i] = PackedMatrix.Pack(format, outputs, inputs, source, team);
    var matMul = new MatMul(KernelSet.For(tier), team);
    ActivationFormat form = WeightFormats.Activations(format);
    using var activations = new NativeBuffer((long)rows * inputs * sizeof(float));
    for (int i = 0; i < rows * inputs; i++)
        ((float*)activations.Pointer)[i] = random.NextSingle() - 0.5f;
    using var prepared = new NativeBuffer((long)rows * ActivationRows.Stride(form, inputs));
    using var output = new NativeBuffer((long)rows * outputs * sizeof(float));
    PreparedRows input = matMul.Prepare(form, (float*)activations.Pointer, inputs, inputs, rows, prepared.Pointer);

    double best = double.PositiveInfinity;
    long began = Stopwatch.GetTimestamp();
    for (int round = 0; round < 3 || Stopwatch.GetElapsedTime(began).TotalSeconds < 0.7; round++)
    {
        long started = Stopwatch.GetTimestamp();
        foreach (PackedMatrix matrix in matrices)
            matMul.Multiply([new Product(matrix, input, (float*)output.Pointer, outputs, ProductTarget.Write)]);
        best = Math.Min(best, Stopwatch.GetElapsedTime(started).TotalSeconds / Matrices);
    }
    double products = (double)rows * inputs * outputs / best / 1e9, bytes = matrices[0].Bytes / best / 1e9;
    foreach (PackedMatrix matrix in matrices)
        matrix.Dispose();
    return string.Create(CultureInfo.InvariantCulture, $"{rows,3} rows: {products,6:F1} Gmul/s {bytes,5:F1} GB/s");
}

static int Number(string text) => int.Parse(text, NumberStyles.None, CultureInfo.InvariantCulture);
