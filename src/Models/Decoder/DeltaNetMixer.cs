using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>A gated DeltaNet over the rows of each sequence: convolution, gates, scan, gated norm. Each sequence's state is read before its first row and written after its last.</summary>
internal sealed unsafe class DeltaNetMixer
{
    private const int ConvChannels = 256;

    private readonly ModelShape _shape;
    private readonly DeltaNetShape _net;
    private readonly DecoderStep _step;
    private readonly RowMemory _memory;
    private readonly SequencePart[] _noParts = [];
    private SequencePart[] _parts;

    public DeltaNetMixer(ModelShape shape, DecoderStep step)
    {
        _shape = shape;
        _net = shape.DeltaNet!;
        _step = step;
        _parts = _noParts;
        _memory = RowMemory.OfPart(step.Memory, _net.Channels, _net.Values, _net.Values, _net.ValueHeads, _net.ValueHeads);
    }

    /// <summary>[Rows x Channels]: queries, keys, values.</summary>
    private float* Mixed => _memory[0];

    /// <summary>[Rows x Values].</summary>
    private float* Gate => _memory[1];

    /// <summary>[Rows x Values]: what the scan gives.</summary>
    private float* Read => _memory[2];

    /// <summary>[Rows x ValueHeads]: at first what forgetting comes from, then forgetting.</summary>
    private float* Decay => _memory[3];

    /// <summary>[Rows x ValueHeads].</summary>
    private float* Beta => _memory[4];

    /// <summary>Adds the mixed rows to the residual stream and moves each sequence's state on.</summary>
    /// <param name="layer">Number among the recurrent layers.</param>
    /// <param name="kept">Rows that go on after the states have moved; the step keeps them.</param>
    public void Run(DeltaNetWeights weights, DecoderCache cache, int layer, ReadOnlySpan<int> kept)
    {
        FindStates(cache, layer);
        _step.MatMul.Multiply([_step.Product(weights.Mixed, Mixed), _step.Product(weights.Gate, Gate), _step.Product(weights.Alpha, Decay), _step.Product(weights.Beta, Beta)]);
        fixed (SequencePart* parts = _parts)
        {
            Job job = JobOf(weights, parts);
            _step.Team.Run(&ConvChunk, &job, _step.SliceCount * ConvChunks);
            _step.Team.Run(&RowChunk, &job, _step.Chunks(job.RowsPerChunk));
            _step.Team.Run(&ScanChunk, &job, _step.SliceCount * _net.ValueHeads);
        }
        if (kept.Length < _step.Rows)
        {
            DecoderStep.Keep(Read, _net.Values, kept);
            DecoderStep.Keep(Gate, _net.Values, kept);
            _step.Keep(kept);
            if (kept.IsEmpty)
                return;
        }
        Job last = JobOf(weights, null);
        _step.Team.Run(&NormChunk, &last, _step.Chunks(last.RowsPerChunk));
        _step.Use(Read, _net.Values);
        _step.MatMul.Multiply([_step.AddTo(weights.Output, _step.Residual)]);
    }

    private int ConvChunks => (_net.Channels + ConvChannels - 1) / ConvChannels;

    private void FindStates(DecoderCache cache, int layer)
    {
        if (_parts.Length < _step.SliceCount)
            _parts = new SequencePart[2 * _step.SliceCount];
        for (int i = 0; i < _step.SliceCount; i++)
        {
            StepSlice slice = _step.Slices[i];
            float* stateIn = cache.State(slice.StateIn);
            _parts[i] = new SequencePart
            {
                FirstRow = slice.FirstRow,
                RowCount = slice.RowCount,
                StateIn = stateIn is null ? null : stateIn + (long)layer * _net.LayerState,
                StateOut = cache.State(slice.StateOut) + (long)layer * _net.LayerState,
            };
        }
    }

    private Job JobOf(DeltaNetWeights weights, SequencePart* parts) => new()
    {
        Parts = parts,
        Mixed = Mixed,
        Gate = Gate,
        Read = Read,
        Decay = Decay,
        Beta = Beta,
        Conv = (float*)weights.Conv.Pointer,
        AlphaBias = (float*)weights.AlphaBias.Pointer,
        DecayRate = (float*)weights.DecayRate.Pointer,
        Norm = (float*)weights.Norm.Pointer,
        Channels = _net.Channels,
        ConvState = _net.ConvState,
        ConvKernel = _net.ConvKernel,
        KeyHeads = _net.KeyHeads,
        ValueHeads = _net.ValueHeads,
        KeyDim = _net.KeyDim,
        ValueDim = _net.ValueDim,
        GroupsValueHeads = _net.GroupsValueHeads,
        Epsilon = _shape.RmsEpsilon,
        Rows = _step.Rows,
        RowsPerChunk = _step.RowsPerChunk(),
    };

    /// <summary>Some channels of one sequence.</summary>
    private static void ConvChunk(void* state, int chunk, int thread)
    {
        var job = (Job*)state;
        int perSequence = (job->Channels + ConvChannels - 1) / ConvChannels;
        SequencePart part = job->Parts[chunk / perSequence];
        int channel = chunk % perSequence * ConvChannels;
        CausalConv.Run(job->Mixed + (long)part.FirstRow * job->Channels + channel, job->Channels, part.RowCount, Math.Min(ConvChannels, job->Channels - channel),
            job->Conv + channel, job->Channels, job->ConvKernel, part.StateIn is null ? null : part.StateIn + channel, part.StateOut + channel);
    }

    /// <summary>Unit queries and keys, and the gates, of some rows.</summary>
    private static void RowChunk(void* state, int chunk, int thread)
    {
        var job = (Job*)state;
        int end = Math.Min(job->Rows, (chunk + 1) * job->RowsPerChunk);
        float queryLength = 1 / MathF.Sqrt(job->KeyDim);
        for (int row = chunk * job->RowsPerChunk; row < end; row++)
        {
            float* mixed = job->Mixed + (long)row * job->Channels;
            for (int head = 0; head < 2 * job->KeyHeads; head++, mixed += job->KeyDim)
                DeltaGates.Scale(mixed, job->KeyDim, head < job->KeyHeads ? queryLength : 1);
            float* decay = job->Decay + (long)row * job->ValueHeads, beta = job->Beta + (long)row * job->ValueHeads;
            for (int head = 0; head < job->ValueHeads; head++)
            {
                decay[head] = DeltaGates.Decay(decay[head], job->AlphaBias[head], job->DecayRate[head]);
                beta[head] = DeltaGates.Rate(beta[head]);
            }
        }
    }

    /// <summary>One value head of one sequence.</summary>
    private static void ScanChunk(void* state, int chunk, int thread)
    {
        var job = (Job*)state;
        SequencePart part = job->Parts[chunk / job->ValueHeads];
        int head = chunk % job->ValueHeads;
        int keyHead = job->GroupsValueHeads ? head / (job->ValueHeads / job->KeyHeads) : head % job->KeyHeads;
        float* mixed = job->Mixed + (long)part.FirstRow * job->Channels;
        long ofHead = job->ConvState + (long)head * job->KeyDim * job->ValueDim;
        GatedDelta.Run(new DeltaScan
        {
            StateIn = part.StateIn is null ? null : part.StateIn + ofHead,
            StateOut = part.StateOut + ofHead,
            Query = mixed + keyHead * job->KeyDim,
            Key = mixed + (job->KeyHeads + keyHead) * job->KeyDim,
            Value = mixed + 2 * job->KeyHeads * job->KeyDim + head * job->ValueDim,
            InputStride = job->Channels,
            Decay = job->Decay + (long)part.FirstRow * job->ValueHeads + head,
            Beta = job->Beta + (long)part.FirstRow * job->ValueHeads + head,
            GateStride = job->ValueHeads,
            Output = job->Read + ((long)part.FirstRow * job->ValueHeads + head) * job->ValueDim,
            OutputStride = job->ValueHeads * job->ValueDim,
            Rows = part.RowCount,
            KeyDim = job->KeyDim,
            ValueDim = job->ValueDim,
        });
    }

    /// <summary>Read = norm(Read) * silu(Gate), head by head.</summary>
    private static void NormChunk(void* state, int chunk, int thread)
    {
        var job = (Job*)state;
        long end = Math.Min(job->Rows, (chunk + 1) * job->RowsPerChunk) * (long)job->ValueHeads;
        for (long head = (long)chunk * job->RowsPerChunk * job->ValueHeads; head < end; head++)
        {
            float* read = job->Read + head * job->ValueDim;
            RmsNorm.Row(read, job->Norm, read, job->ValueDim, job->Epsilon);
            SiluMultiply.Row(job->Gate + head * job->ValueDim, read, read, job->ValueDim);
        }
    }

    private struct SequencePart
    {
        public int FirstRow;
        public int RowCount;
        public float* StateIn;
        public float* StateOut;
    }

    private struct Job
    {
        public SequencePart* Parts;
        public float* Mixed;
        public float* Gate;
        public float* Read;
        public float* Decay;
        public float* Beta;
        public float* Conv;
        public float* AlphaBias;
        public float* DecayRate;
        public float* Norm;
        public int Channels;
        public int ConvState;
        public int ConvKernel;
        public int KeyHeads;
        public int ValueHeads;
        public int KeyDim;
        public int ValueDim;
        public bool GroupsValueHeads;
        public float Epsilon;
        public int Rows;
        public int RowsPerChunk;
    }
}
