namespace Qanat.Kernels;

/// <summary>Consecutive rows that go through one expert.</summary>
public readonly record struct ExpertRows(int Expert, int FirstRow, int RowCount);

/// <summary>Products in which different rows meet different matrices, as one job over a worker team. A number depends only on its row, its expert and its output channel.</summary>
public sealed unsafe class ExpertMatMul(KernelSet kernels, WorkerTeam team)
{
    /// <summary>Most experts a row can use.</summary>
    public const int UsedMax = 64;

    private const int Width = PackedMatrix.PanelOutputs;
    private const int ChunksPerThread = 8;

    /// <summary>output[row] = the row's expert's matrix times the row.</summary>
    /// <param name="matrices">One per expert.</param>
    /// <param name="rows">Prepared for the matrices, those of an expert together.</param>
    /// <param name="parts">Which expert's rows are where; pinned by the caller until this returns.</param>
    /// <param name="partCount">Number of parts.</param>
    /// <param name="output">[rows.Count x Outputs].</param>
    public void Multiply(ExpertMatrices matrices, PreparedRows rows, ExpertRows* parts, int partCount, float* output) =>
        Run(&MultiplyChunk, new Job { Matrices = matrices.Panels, Shape = Shape.Of(matrices.First), Kernel = (nint)kernels.Panel(matrices.First.Format), RowsPerTile = kernels.RowsTogether(matrices.First.Format), Rows = rows, Parts = parts, PartCount = partCount, Output = output });

    /// <summary>output[row] = silu(gate times the row) * (up times the row), with the matrices of the row's expert.</summary>
    public void MultiplySwiGlu(ExpertMatrices gate, ExpertMatrices up, PreparedRows rows, ExpertRows* parts, int partCount, float* output)
    {
        if (gate.First.Outputs != up.First.Outputs || gate.First.Inputs != up.First.Inputs || WeightFormats.Activations(gate.First.Format) != WeightFormats.Activations(up.First.Format))
            throw new ArgumentException("gate and up must have the same shape and ask for the same activations", nameof(up));
        Run(&SwiGluChunk, new Job
        {
            Matrices = gate.Panels,
            Shape = Shape.Of(gate.First),
            Kernel = (nint)kernels.Panel(gate.First.Format),
            Ups = up.Panels,
            UpShape = Shape.Of(up.First),
            UpKernel = (nint)kernels.Panel(up.First.Format),
            RowsPerTile = Math.Min(kernels.RowsTogether(gate.First.Format), kernels.RowsTogether(up.First.Format)),
            Rows = rows,
            Parts = parts,
            PartCount = partCount,
            Output = output,
        });
    }

    private void Run(delegate*<void*, int, int, void> body, Job job)
    {
        int units = job.PartCount * job.Shape.Panels;
        job.UnitsPerChunk = Math.Max(1, units / (team.Threads * ChunksPerThread));
        team.Run(body, &job, (units + job.UnitsPerChunk - 1) / job.UnitsPerChunk);
    }

    private static void MultiplyChunk(void* state, int chunk, int thread)
    {
        var job = (Job*)state;
        int end = Math.Min(job->PartCount * job->Shape.Panels, (chunk + 1) * job->UnitsPerChunk);
        float* sums = stackalloc float[PanelArgs.RowsMax * Width];
        for (int unit = chunk * job->UnitsPerChunk; unit < end; unit++)
        {
            ExpertRows part = job->Parts[unit / job->Shape.Panels];
            int panel = unit % job->Shape.Panels;
            for (int row = 0; row < part.RowCount; row += job->RowsPerTile)
            {
                int count = Math.Min(job->RowsPerTile, part.RowCount - row);
                Panel(job->Kernel, job->Matrices[part.Expert], job->Shape, panel, job->Rows, part.FirstRow + row, count, sums);
                Store(job, sums, part.FirstRow + row, count, panel);
            }
        }
    }

    private static void SwiGluChunk(void* state, int chunk, int thread)
    {
        var job = (Job*)state;
        int end = Math.Min(job->PartCount * job->Shape.Panels, (chunk + 1) * job->UnitsPerChunk);
        float* gates = stackalloc float[PanelArgs.RowsMax * Width];
        float* ups = stackalloc float[PanelArgs.RowsMax * Width];
        for (int unit = chunk * job->UnitsPerChunk; unit < end; unit++)
        {
            ExpertRows part = job->Parts[unit / job->Shape.Panels];
            int panel = unit % job->Shape.Panels;
            for (int row = 0; row < part.RowCount; row += job->RowsPerTile)
            {
                int count = Math.Min(job->RowsPerTile, part.RowCount - row);
                Panel(job->Kernel, job->Matrices[part.Expert], job->Shape, panel, job->Rows, part.FirstRow + row, count, gates);
                Panel(job->UpKernel, job->Ups[part.Expert], job->UpShape, panel, job->Rows, part.FirstRow + row, count, ups);
                SiluMultiply.Row(gates, ups, gates, count * Width);
                Store(job, gates, part.FirstRow + row, count, panel);
            }
        }
    }

    private static void Panel(nint kernel, byte* matrix, in Shape shape, int panel, in PreparedRows rows, int firstRow, int count, float* output)
    {
        PanelArgs args = default;
        args.Weights = matrix + panel * shape.PanelBytes;
        args.Activations = rows.Row(firstRow);
        args.ActivationStride = rows.Stride;
        args.Output = output;
        args.OutputStride = Width * sizeof(float);
        args.Blocks = shape.Blocks;
        args.Rows = count;
        ((delegate*<PanelArgs*, void>)kernel)(&args);
    }

    private static void Store(Job* job, float* sums, int firstRow, int rows, int panel)
    {
        int width = Math.Min(Width, job->Shape.Outputs - panel * Width);
        float* output = job->Output + (long)firstRow * job->Shape.Outputs + panel * Width;
        for (int row = 0; row < rows; row++, sums += Width, output += job->Shape.Outputs)
            new ReadOnlySpan<float>(sums, width).CopyTo(new Span<float>(output, width));
    }

    private struct Shape
    {
        public long PanelBytes;
        public int Panels;
        public int Blocks;
        public int Outputs;

        public static Shape Of(PackedMatrix matrix) => new() { PanelBytes = matrix.PanelBytes, Panels = matrix.Panels, Blocks = matrix.Blocks, Outputs = matrix.Outputs };
    }

    private struct Job
    {
        public byte** Matrices;
        public byte** Ups;
        public nint Kernel;
        public nint UpKernel;
        public Shape Shape;
        public Shape UpShape;
        public PreparedRows Rows;
        public ExpertRows* Parts;
        public int PartCount;
        public float* Output;
        public int UnitsPerChunk;
        public int RowsPerTile;
    }
}
