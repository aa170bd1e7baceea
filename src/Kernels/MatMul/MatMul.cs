using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Qanat.Kernels;

/// <summary>Matrix products shared over a worker team. A number depends only on its row and its output channel: not on other rows, threads or tiers.</summary>
/// <remarks>Panels of matrices that are not packed yet are packed into memory of the thread that multiplies them, and forgotten: it stays in that core's cache.</remarks>
public sealed unsafe class MatMul(KernelSet kernels, WorkerTeam team) : IDisposable
{
    /// <summary>Most products of one job.</summary>
    public const int ProductsMax = 4;

    private const int Width = PackedMatrix.PanelOutputs;

    private const int RowsPerChunkMin = 48;

    private NativeBuffer? _unpacked;

    public KernelSet Kernels { get; } = kernels;

    /// <summary>Computes all products as one job.</summary>
    /// <param name="products">1 to <see cref="ProductsMax"/>, all with the same number of rows.</param>
    public void Multiply(ReadOnlySpan<Product> products)
    {
        if (products.IsEmpty || products.Length > ProductsMax)
            throw new ArgumentException(FormattableString.Invariant($"a job has 1 to {ProductsMax} products"), nameof(products));
        Job job = default;
        job.Count = products.Length;
        for (int i = 0; i < products.Length; i++)
        {
            if (products[i].Rows.Count != products[0].Rows.Count)
                throw new ArgumentException("the products have different numbers of rows", nameof(products));
            job.Products[i] = products[i];
            job.Kernels[i] = (nint)Kernels.Panel(products[i].Format);
            job.Panels += products[i].Panels;
        }
        Run(&MultiplyChunk, &job);
    }

    /// <summary>output = silu(gate product) * (up product): the first half of a SwiGLU feed-forward.</summary>
    /// <param name="gate">Its output receives the result; its target must be Write.</param>
    /// <param name="up">Same shape; its output is not used.</param>
    public void MultiplySwiGlu(Product gate, Product up)
    {
        if (gate.Outputs != up.Outputs || gate.Rows.Count != up.Rows.Count || gate.Target != ProductTarget.Write)
            throw new ArgumentException("gate and up must have the same shape and be written", nameof(up));
        Job job = default;
        job.Count = 2;
        job.Products[0] = gate;
        job.Products[1] = up;
        job.Kernels[0] = (nint)Kernels.Panel(gate.Format);
        job.Kernels[1] = (nint)Kernels.Panel(up.Format);
        job.Panels = gate.Panels;
        Run(&SwiGluChunk, &job);
    }

    /// <summary>Prepares rows for products, shared over the team when there are many.</summary>
    /// <param name="format">The form to prepare.</param>
    /// <param name="source">[count x sourceStride] singles.</param>
    /// <param name="sourceStride">Singles between rows.</param>
    /// <param name="inputs">Numbers of a row.</param>
    /// <param name="count">Rows.</param>
    /// <param name="target">count * ActivationRows.Stride(format, inputs) bytes.</param>
    public PreparedRows Prepare(ActivationFormat format, float* source, int sourceStride, int inputs, int count, byte* target)
    {
        var job = new PrepareJob { Format = format, Source = source, SourceStride = sourceStride, Inputs = inputs, Count = count, Target = target, RowsPerChunk = RowsPerPrepareChunk(count) };
        team.Run(&PrepareChunk, &job, (count + job.RowsPerChunk - 1) / job.RowsPerChunk);
        return new PreparedRows((nint)target, ActivationRows.Stride(format, inputs), count);
    }

    // Up to eight rows, a microsecond each, are prepared sooner than the team is told of them and waited for.
    private int RowsPerPrepareChunk(int count) => count <= 8 ? count : Math.Max(1, count / (4 * team.Threads));

    public void Dispose()
    {
        _unpacked?.Dispose();
        _unpacked = null;
    }

    private void Run(delegate*<void*, int, int, void> body, Job* job)
    {
        int rows = job->Products[0].Rows.Count;
        if (rows == 0)
            return;
        ReserveForUnpacked(job);
        job->Cuts = new TaperedCuts(job->Panels, team.Threads);
        // A narrow matrix and many rows: cut the rows too, though the panels are then read once per cut.
        int rowChunks = Math.Clamp(TaperedCuts.ChunksWanted(team.Threads) / job->Cuts.Count, 1, Math.Max(1, rows / RowsPerChunkMin));
        job->RowsPerChunk = (rows + rowChunks - 1) / rowChunks;
        job->RowsPerTile = PanelArgs.RowsMax;
        for (int i = 0; i < job->Count; i++)
            job->RowsPerTile = Math.Min(job->RowsPerTile, Kernels.RowsTogether(job->Products[i].Format));
        team.Run(body, job, job->Cuts.Count * ((rows + job->RowsPerChunk - 1) / job->RowsPerChunk));
    }

    /// <summary>Two panels for each thread, where a matrix of the job is not packed.</summary>
    private void ReserveForUnpacked(Job* job)
    {
        long panelBytes = 0;
        for (int i = 0; i < job->Count; i++)
            panelBytes = Math.Max(panelBytes, job->Products[i].MatrixRows is null ? 0 : job->Products[i].PanelBytes);
        if (panelBytes == 0)
            return;
        if (_unpacked is null || _unpacked.Bytes < 2 * team.Threads * panelBytes)
        {
            _unpacked?.Dispose();
            _unpacked = new NativeBuffer(2 * team.Threads * panelBytes);
        }
        job->Unpacked = _unpacked.Pointer;
        job->UnpackedBytes = panelBytes;
    }

    private static void MultiplyChunk(void* state, int chunk, int thread)
    {
        var job = (Job*)state;
        int firstRow = chunk / job->Cuts.Count * job->RowsPerChunk;
        int first = job->Cuts.First(chunk % job->Cuts.Count), end = job->Cuts.First(chunk % job->Cuts.Count + 1);
        int rows = Math.Min(job->RowsPerChunk, job->Products[0].Rows.Count - firstRow);
        float* sums = stackalloc float[PanelArgs.RowsMax * Width];
        for (int global = first; global < end; global++)
        {
            int index = 0;
            int panel = global;
            while (panel >= job->Products[index].Panels)
                panel -= job->Products[index++].Panels;
            ref readonly Product product = ref job->Products[index];
            int width = Math.Min(Width, product.Outputs - panel * Width);
            bool direct = width == Width && product.Target == ProductTarget.Write;
            byte* weights = Weights(product, panel, job->Unpacked + 2 * thread * job->UnpackedBytes);
            for (Tiles tiles = new(firstRow, rows, job->RowsPerTile); tiles.Next();)
            {
                float* output = product.Output + (long)tiles.Row * product.OutputStride + panel * Width;
                Panel((delegate*<PanelArgs*, void>)job->Kernels[index], product, weights, tiles, direct ? output : sums, direct ? product.OutputStride : Width);
                if (!direct)
                    Store(sums, output, product.OutputStride, tiles.Count, width, product.Target);
            }
        }
    }

    private static void SwiGluChunk(void* state, int chunk, int thread)
    {
        var job = (Job*)state;
        int firstRow = chunk / job->Cuts.Count * job->RowsPerChunk;
        int first = job->Cuts.First(chunk % job->Cuts.Count), end = job->Cuts.First(chunk % job->Cuts.Count + 1);
        int rows = Math.Min(job->RowsPerChunk, job->Products[0].Rows.Count - firstRow);
        ref readonly Product gate = ref job->Products[0];
        ref readonly Product up = ref job->Products[1];
        float* gates = stackalloc float[PanelArgs.RowsMax * Width];
        float* ups = stackalloc float[PanelArgs.RowsMax * Width];
        for (int panel = first; panel < end; panel++)
        {
            int width = Math.Min(Width, gate.Outputs - panel * Width);
            byte* unpacked = job->Unpacked + 2 * thread * job->UnpackedBytes;
            byte* gateWeights = Weights(gate, panel, unpacked), upWeights = Weights(up, panel, unpacked + job->UnpackedBytes);
            for (Tiles tiles = new(firstRow, rows, job->RowsPerTile); tiles.Next();)
            {
                Panel((delegate*<PanelArgs*, void>)job->Kernels[0], gate, gateWeights, tiles, gates, Width);
                Panel((delegate*<PanelArgs*, void>)job->Kernels[1], up, upWeights, tiles, ups, Width);
                SiluMultiply.Row(gates, ups, gates, tiles.Count * Width);
                Store(gates, gate.Output + (long)tiles.Row * gate.OutputStride + panel * Width, gate.OutputStride, tiles.Count, width, ProductTarget.Write);
            }
        }
    }

    /// <summary>A panel where it lies, or packed into <paramref name="unpacked"/>.</summary>
    private static byte* Weights(in Product product, int panel, byte* unpacked)
    {
        if (panel < product.PackedPanels)
            return product.Weights + panel * product.PanelBytes;
        if (product.Outputs - panel * Width < Width)
            new Span<byte>(unpacked, checked((int)product.PanelBytes)).Clear();
        Packing.Panel(product.Format, product.MatrixRows, product.Outputs, product.Inputs, panel, unpacked);
        return unpacked;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Panel(delegate*<PanelArgs*, void> kernel, in Product product, byte* weights, in Tiles tiles, float* output, int outputStride)
    {
        PanelArgs args = default;
        args.Weights = weights;
        args.Activations = product.Rows.Row(tiles.Row);
        args.ActivationStride = product.Rows.Stride;
        args.Output = output;
        args.OutputStride = (nint)outputStride * sizeof(float);
        args.Blocks = product.Blocks;
        args.Rows = tiles.Count;
        kernel(&args);
    }

    private static void Store(float* sums, float* output, int outputStride, int rows, int width, ProductTarget target)
    {
        for (int row = 0; row < rows; row++, sums += Width, output += outputStride)
        {
            if (width == Width && target == ProductTarget.Add)
            {
                for (int o = 0; o < Width; o += 8)
                    (Vector256.Load(output + o) + Vector256.Load(sums + o)).Store(output + o);
                continue;
            }
            for (int o = 0; o < width; o++)
                output[o] = target == ProductTarget.Add ? output[o] + sums[o] : sums[o];
        }
    }

    private static void PrepareChunk(void* state, int chunk, int thread)
    {
        var job = (PrepareJob*)state;
        int stride = ActivationRows.Stride(job->Format, job->Inputs);
        int end = Math.Min(job->Count, (chunk + 1) * job->RowsPerChunk);
        for (int row = chunk * job->RowsPerChunk; row < end; row++)
            ActivationRows.Prepare(job->Format, job->Source + (long)row * job->SourceStride, job->Inputs, job->Target + (long)row * stride);
    }

    /// <summary>Cuts rows into the fewest tiles of at most so many, of nearly equal size: 8 rows are 4 + 4, not 6 + 2.</summary>
    private struct Tiles(int firstRow, int rows, int rowsMax)
    {
        private int _left = rows;
        private int _tilesLeft = (rows + rowsMax - 1) / rowsMax;

        public int Row { get; private set; } = firstRow;
        public int Count { get; private set; }

        public bool Next()
        {
            if (_tilesLeft == 0)
                return false;
            Row += Count;
            Count = (_left + _tilesLeft - 1) / _tilesLeft;
            _left -= Count;
            _tilesLeft--;
            return true;
        }
    }

    [InlineArray(ProductsMax)]
    private struct Products
    {
        private Product _first;
    }

    [InlineArray(ProductsMax)]
    private struct Pointers
    {
        private nint _first;
    }

    private struct Job
    {
        public Products Products;
        public Pointers Kernels;
        public byte* Unpacked;
        public long UnpackedBytes;
        public int Count;
        public int Panels;
        public TaperedCuts Cuts;
        public int RowsPerChunk;
        public int RowsPerTile;
    }

    private struct PrepareJob
    {
        public ActivationFormat Format;
        public float* Source;
        public byte* Target;
        public int SourceStride;
        public int Inputs;
        public int Count;
        public int RowsPerChunk;
    }
}
