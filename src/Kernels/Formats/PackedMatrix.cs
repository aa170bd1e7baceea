namespace Qanat.Kernels;

/// <summary>A weight matrix [outputs x inputs], rearranged so that the lanes of a vector are output channels. The layout of each format is told in <see cref="Packing"/>.</summary>
/// <remarks>Outputs are cut into panels of 32 (the last one padded with zero weights), a panel is a run of blocks, each covering a few inputs of all 32 outputs:
/// a product reads a panel from its first byte to its last, and each output's sum runs over the inputs in order, whatever the kernel.</remarks>
public sealed unsafe class PackedMatrix : IDisposable
{
    /// <summary>Output channels of a panel: two vectors of 16 lanes.</summary>
    public const int PanelOutputs = 32;

    // Of rows: enough for a team to share.
    private const long PartBytes = 16L << 20;

    private NativeBuffer? _own;
    private byte* _start;
    private byte* _rows;
    private int _packed;

    private PackedMatrix(WeightFormat format, int outputs, int inputs, byte* rows)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(outputs, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(inputs, 1);
        if (inputs % WeightFormats.BlockElements(format) != 0)
            throw new ArgumentException(FormattableString.Invariant($"{inputs} inputs are not whole blocks of {WeightFormats.BlockElements(format)} ({format})"), nameof(inputs));
        Format = format;
        Outputs = outputs;
        Inputs = inputs;
        Panels = (outputs + PanelOutputs - 1) / PanelOutputs;
        Blocks = (inputs + WeightFormats.PackedElements(format) - 1) / WeightFormats.PackedElements(format);
        PanelBytes = (long)Blocks * WeightFormats.PackedBytes(format);
        _rows = rows;
    }

    public WeightFormat Format { get; }
    public int Outputs { get; }
    public int Inputs { get; }
    public int Panels { get; }

    /// <summary>Packed blocks of a panel.</summary>
    public int Blocks { get; }
    public long PanelBytes { get; }
    public long Bytes => PanelBytes * Panels;

    /// <summary>All panels are packed.</summary>
    public bool IsPacked => _rows is null;

    /// <summary>The rows as the file stores them, while not all are packed; else null. Those of packed panels may be gone.</summary>
    internal byte* Rows => _rows;

    /// <summary>Panels that are packed: the first ones.</summary>
    internal int PackedPanels => _packed;

    /// <summary>Where the packed panels lie; null before there are any.</summary>
    internal byte* Start => _start;

    /// <summary>Packs a matrix as a file stores it.</summary>
    /// <param name="format">Layout of the source.</param>
    /// <param name="outputs">Rows of the source.</param>
    /// <param name="inputs">Columns; a multiple of the format's block.</param>
    /// <param name="source">Row-major; not kept.</param>
    /// <param name="team">Shares the work.</param>
    /// <param name="memory">Where the matrix will lie, for as long as that lives; null: in memory of its own.</param>
    /// <param name="read">Told, part by part, how many bytes of the source are not needed any more.</param>
    public static PackedMatrix Pack(WeightFormat format, int outputs, int inputs, byte* source, WorkerTeam team, NativeArena? memory = null, Action<long>? read = null)
    {
        var matrix = new PackedMatrix(format, outputs, inputs, source);
        matrix.Pack(team, memory, read);
        return matrix;
    }

    /// <summary>A matrix that stays as a file stores it until it is packed: a product then packs each panel on its way.</summary>
    /// <param name="rows">Row-major; must stay until the matrix is packed.</param>
    public static PackedMatrix Over(WeightFormat format, int outputs, int inputs, byte* rows) => new(format, outputs, inputs, rows);

    /// <summary>Packs what is not packed yet; the rows are not needed any more.</summary>
    /// <param name="read">Told, part by part, how many bytes of the rows are packed: the largest matrix of a model is a third of it, and need not be held twice.</param>
    public void Pack(WorkerTeam team, NativeArena? memory = null, Action<long>? read = null) => PackNext(long.MaxValue, team, memory, read);

    /// <summary>Packs the next panels, at least one, and no more than so many bytes if there is more than one. Not while a product uses the matrix.</summary>
    /// <returns>Bytes that were packed; 0 when all are.</returns>
    public long PackNext(long bytes, WorkerTeam team, NativeArena? memory = null, Action<long>? read = null)
    {
        if (_rows is null)
            return 0;
        if (_start is null)
        {
            if (memory is null)
                _own = new NativeBuffer(Bytes);
            _start = memory is null ? _own!.Pointer : memory.Take(Bytes);
        }
        long rowBytes = WeightFormats.RowBytes(Format, Inputs);
        int before = _packed, last = (int)Math.Min(Panels, before + Math.Max(1, bytes / PanelBytes));
        int panelsOfPart = (int)Math.Clamp(PartBytes / (rowBytes * PanelOutputs), 1, Panels);
        while (_packed < last)
        {
            int end = Math.Min(last, _packed + panelsOfPart);
            PackPart(team, _packed, end);
            _packed = end;
            read?.Invoke(Math.Min((long)end * PanelOutputs, Outputs) * rowBytes);
        }
        if (_packed == Panels)
            _rows = null;
        return (_packed - before) * PanelBytes;
    }

    /// <summary>The first byte of a panel.</summary>
    /// <exception cref="InvalidOperationException">The matrix is not packed yet.</exception>
    public byte* Panel(int panel) => IsPacked ? _start + panel * PanelBytes : throw new InvalidOperationException("the matrix is not packed yet");

    /// <summary>The weights of one output, as singles.</summary>
    /// <param name="output">In [0, Outputs).</param>
    /// <param name="target">[Inputs].</param>
    public void Dequantize(int output, float* target)
    {
        if ((uint)output >= (uint)Outputs)
            throw new ArgumentOutOfRangeException(nameof(output), output, FormattableString.Invariant($"the matrix has {Outputs} outputs"));
        int panel = output / PanelOutputs;
        if (panel < _packed)
        {
            Packing.UnpackRow(Format, _start + panel * PanelBytes, output % PanelOutputs, Inputs, target);
            return;
        }
        Kernels.Dequantize.Row(Format, _rows + output * WeightFormats.RowBytes(Format, Inputs), new Span<float>(target, Inputs));
        for (int k = 0; k < Inputs && Format == WeightFormat.BF16; k++)
            target[k] = BFloat.WithoutTiny(target[k]);
    }

    public void Dispose() => _own?.Dispose();

    private void PackPart(WorkerTeam team, int first, int end)
    {
        int panelsPerChunk = Math.Max(1, (end - first + 255) / 256);
        var job = new PackJob
        {
            Format = Format,
            Rows = _rows,
            Target = _start,
            PanelBytes = PanelBytes,
            Outputs = Outputs,
            Inputs = Inputs,
            FirstPanel = first,
            EndPanel = end,
            PanelsPerChunk = panelsPerChunk,
        };
        team.Run(&PackChunk, &job, (end - first + panelsPerChunk - 1) / panelsPerChunk);
    }

    private static void PackChunk(void* state, int chunk, int thread)
    {
        var job = (PackJob*)state;
        int end = Math.Min(job->EndPanel, job->FirstPanel + (chunk + 1) * job->PanelsPerChunk);
        for (int panel = job->FirstPanel + chunk * job->PanelsPerChunk; panel < end; panel++)
            Packing.Panel(job->Format, job->Rows, job->Outputs, job->Inputs, panel, job->Target + panel * job->PanelBytes);
    }

    private struct PackJob
    {
        public WeightFormat Format;
        public byte* Rows;
        public byte* Target;
        public long PanelBytes;
        public int Outputs;
        public int Inputs;
        public int FirstPanel;
        public int EndPanel;
        public int PanelsPerChunk;
    }
}
