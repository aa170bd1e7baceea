namespace Qanat.Kernels;

/// <summary>Calls <see cref="EmittedKernels.Zmm"/>, whose formats stand in this order.</summary>
internal static unsafe class ZmmKernels
{
    private static readonly delegate* unmanaged<PanelArgs*, void>* _table = EmittedKernels.Zmm.Table;

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

    private static void Call(int format, PanelArgs* args) => _table[format * PanelArgs.RowsMax + (int)args->Rows - 1](args);
}

/// <summary>Calls <see cref="EmittedKernels.Ymm"/>, whose formats stand in this order.</summary>
internal static unsafe class YmmKernels
{
    private static readonly delegate* unmanaged<PanelArgs*, void>* _table = EmittedKernels.Ymm.Table;

    public static void F32(PanelArgs* args) => Call(0, args);
    public static void F16(PanelArgs* args) => Call(1, args);
    public static void BF16(PanelArgs* args) => Call(2, args);
    public static void Q8_0(PanelArgs* args) => Call(3, args);
    public static void Q4_0(PanelArgs* args) => Call(4, args);
    public static void Q4_1(PanelArgs* args) => Call(5, args);
    public static void Q4_K(PanelArgs* args) => Call(6, args);
    public static void Q5_K(PanelArgs* args) => Call(7, args);
    public static void Q6_K(PanelArgs* args) => Call(8, args);

    /// <summary>More rows than the registers hold sums for are cut.</summary>
    private static void Call(int format, PanelArgs* args)
    {
        PanelArgs part = *args;
        for (nint left = args->Rows; left > 0; left -= part.Rows)
        {
            part.Rows = Math.Min(left, YmmAssembler.RowsMax);
            _table[format * YmmAssembler.RowsMax + (int)part.Rows - 1](&part);
            part.Activations += part.Rows * part.ActivationStride;
            part.Output = (float*)((byte*)part.Output + part.Rows * part.OutputStride);
        }
    }
}
