namespace Qanat.Kernels;

/// <summary>Calls <see cref="EmittedKernels.Zmm"/>, whose formats stand in this order, and <see cref="EmittedKernels.ZmmBFloats"/>.</summary>
internal static unsafe class ZmmKernels
{
    private const int PrefetchBytes = 3072;

    private static readonly delegate* unmanaged<PanelArgs*, void>* _table = EmittedKernels.Zmm.Table;
    private static readonly delegate* unmanaged<PanelArgs*, void>* _bfloats = EmittedKernels.ZmmBFloats.Table;

    public static void F32(PanelArgs* args) => Call(0, args);
    public static void F16(PanelArgs* args) => Call(1, args);
    public static void Q8_0(PanelArgs* args) => Call(2, args);
    public static void Q4_0(PanelArgs* args) => Call(3, args);
    public static void Q4_1(PanelArgs* args) => Call(4, args);
    public static void Q5_0(PanelArgs* args) => Call(5, args);
    public static void Q5_1(PanelArgs* args) => Call(6, args);
    public static void Q4_K(PanelArgs* args) => Call(7, args);
    public static void Q5_K(PanelArgs* args) => Call(8, args);
    public static void Q6_K(PanelArgs* args) => Call(9, args);

    /// <summary>More rows than a kernel takes are cut into parts of nearly equal size. The first asks for what it reads itself, a little ahead, because the processor's own prefetchers stop at the end of a page of 4 KiB;
    /// the others, which find it in a cache, for the panel that mostly comes next: else memory would rest meanwhile.</summary>
    public static void BF16(PanelArgs* args)
    {
        PanelArgs part = *args;
        part.Ahead = args->Weights + PrefetchBytes;
        nint left = args->Rows;
        for (nint parts = (left + BFloatAssembler.RowsMax - 1) / BFloatAssembler.RowsMax; parts > 0; parts--)
        {
            part.Rows = (left + parts - 1) / parts;
            _bfloats[part.Rows - 1](&part);
            part.Activations += part.Rows * part.ActivationStride;
            part.Output = (float*)((byte*)part.Output + part.Rows * part.OutputStride);
            part.Ahead = args->Weights + args->Blocks * WeightFormats.PackedBytes(WeightFormat.BF16);
            left -= part.Rows;
        }
    }

    private static void Call(int format, PanelArgs* args) => _table[format * PanelAssembler.RowsMax + (int)args->Rows - 1](args);
}

/// <summary>Calls <see cref="EmittedKernels.Ymm"/>, whose formats stand in this order.</summary>
internal static unsafe class YmmKernels
{
    /// <summary>Weights that several rows meet before the next ones are read: with the next and the rows' numbers they fit into the cache nearest to the core.</summary>
    private const int RunBytes = 8 << 10;

    private static readonly delegate* unmanaged<PanelArgs*, void>* _table = EmittedKernels.Ymm.Table;

    public static void F32(PanelArgs* args) => CallInRuns(0, WeightFormat.F32, args);
    public static void F16(PanelArgs* args) => CallInRuns(1, WeightFormat.F16, args);
    public static void BF16(PanelArgs* args) => CallInRuns(2, WeightFormat.BF16, args);
    public static void Q8_0(PanelArgs* args) => Call(3, args);
    public static void Q4_0(PanelArgs* args) => Call(4, args);
    public static void Q4_1(PanelArgs* args) => Call(5, args);
    public static void Q4_K(PanelArgs* args) => Call(6, args);
    public static void Q5_K(PanelArgs* args) => Call(7, args);
    public static void Q6_K(PanelArgs* args) => Call(8, args);

    /// <summary>More rows than the registers hold sums for are cut into parts of nearly equal size: 5 rows are 3 + 2.</summary>
    private static void Call(int format, PanelArgs* args)
    {
        PanelArgs part = *args;
        nint left = args->Rows;
        for (nint parts = Parts(left); parts > 0; parts--)
        {
            part.Rows = (left + parts - 1) / parts;
            _table[format * YmmAssembler.RowsMax + (int)part.Rows - 1](&part);
            part.Activations += part.Rows * part.ActivationStride;
            part.Output = (float*)((byte*)part.Output + part.Rows * part.OutputStride);
            part.Ahead += args->AheadPart;
            left -= part.Rows;
        }
    }

    /// <summary>All rows meet a run of the panel before the next run is read, and while they do, a bit for each block, that next run is asked for: else memory would rest while the later rows are computed.
    /// The kernels add to what is there, so that each sum still runs over the inputs in order.</summary>
    private static void CallInRuns(int format, WeightFormat weights, PanelArgs* args)
    {
        for (nint row = 0; row < args->Rows; row++)
            new Span<float>((byte*)args->Output + row * args->OutputStride, PackedMatrix.PanelOutputs).Clear();
        if (args->Rows == 1)
        {
            Call(format, args);
            return;
        }
        nint blockBytes = WeightFormats.PackedBytes(weights), inputs = WeightFormats.PackedElements(weights);
        PanelArgs run = *args;
        // What all inputs of a run take is asked for in as many bits as the rows' parts have turns for two inputs.
        run.AheadStep = 2 * blockBytes / inputs / (YmmFloatAssembler.Passes * Parts(args->Rows));
        for (nint left = args->Blocks; left > 0; left -= run.Blocks)
        {
            run.Blocks = Math.Min(left, RunBytes / blockBytes);
            run.Ahead = run.Weights + run.Blocks * blockBytes;
            run.AheadPart = run.Blocks * blockBytes / Parts(args->Rows);
            Call(format, &run);
            run.Weights += run.Blocks * blockBytes;
            run.Activations += run.Blocks * inputs * sizeof(float);
        }
    }

    private static nint Parts(nint rows) => (rows + YmmAssembler.RowsMax - 1) / YmmAssembler.RowsMax;
}
