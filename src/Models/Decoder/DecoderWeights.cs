using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>All weights of a decoder, packed for the kernels, or still as the file has them.</summary>
internal sealed class DecoderWeights : IDisposable
{
    private readonly WeightReader _reader;

    /// <exception cref="ModelFileException">A tensor is missing, of another shape, or of a type without kernels.</exception>
    public DecoderWeights(ModelSource file, ModelShape shape, WorkerTeam team, NetworkOptions options)
    {
        _reader = new WeightReader(file, team, options.Packing);
        try
        {
            Embedding = _reader.Matrix("token_embd.weight", shape.Hidden, shape.Vocabulary);
            Output = shape.TiedEmbeddings ? Embedding : _reader.Matrix("output.weight", shape.Hidden, shape.Vocabulary);
            OutputNorm = _reader.Vector("output_norm.weight", shape.Hidden);
            Layers = new DecoderLayer[shape.Layers];
            for (int layer = 0; layer < Layers.Length; layer++)
            {
                Layers[layer] = ReadLayer(shape, layer);
                options.LayerRead?.Invoke(layer + 1, Layers.Length);
            }
            if (options.Packing == WeightPacking.AtLoad)
                _reader.Close();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>[Vocabulary x Hidden].</summary>
    public PackedMatrix Embedding { get; }

    /// <summary>[Vocabulary x Hidden]; the embedding itself when they are tied.</summary>
    public PackedMatrix Output { get; }

    public NativeBuffer OutputNorm { get; }
    public DecoderLayer[] Layers { get; }
    public long Bytes => _reader.Bytes;

    /// <summary>Packs more of the matrices that are not packed yet.</summary>
    /// <returns>Some are left.</returns>
    public bool PackNext(long bytes) => _reader.PackNext(bytes);
    public long UnpackedBytes => _reader.UnpackedBytes;

    public void Dispose() => _reader.Dispose();

    private DecoderLayer ReadLayer(ModelShape shape, int layer)
    {
        string Name(string part) => FormattableString.Invariant($"blk.{layer}.{part}");
        return new DecoderLayer(
            _reader.Vector(Name("attn_norm.weight"), shape.Hidden),
            shape.IsRecurrent(layer) ? null : ReadAttention(shape, Name),
            shape.IsRecurrent(layer) ? ReadDeltaNet(shape, shape.DeltaNet!, Name) : null,
            _reader.Vector(Name(shape.DeltaNet is null ? "ffn_norm.weight" : "post_attention_norm.weight"), shape.Hidden),
            shape.Experts is null ? new DenseWeights(
                _reader.Matrix(Name("ffn_gate.weight"), shape.Hidden, shape.FeedForward),
                _reader.Matrix(Name("ffn_up.weight"), shape.Hidden, shape.FeedForward),
                _reader.Matrix(Name("ffn_down.weight"), shape.FeedForward, shape.Hidden)) : null,
            shape.Experts is { } experts ? ReadExperts(shape.Hidden, experts, Name) : null);
    }

    private AttentionWeights ReadAttention(ModelShape shape, Func<string, string> name)
    {
        int queries = shape.Heads * shape.HeadDim, keys = shape.KvHeads * shape.HeadDim;
        int projected = shape.HasOutputGate ? 2 * queries : queries;
        NativeBuffer? Bias(string part, int length) => shape.HasAttentionBias ? _reader.Vector(name(part), length) : null;
        NativeBuffer? HeadNorm(string part) => shape.HasHeadNorms ? _reader.Vector(name(part), shape.HeadDim) : null;
        return new AttentionWeights(
            _reader.Matrix(name("attn_q.weight"), shape.Hidden, projected),
            _reader.Matrix(name("attn_k.weight"), shape.Hidden, keys),
            _reader.Matrix(name("attn_v.weight"), shape.Hidden, keys),
            Bias("attn_q.bias", queries),
            Bias("attn_k.bias", keys),
            Bias("attn_v.bias", keys),
            HeadNorm("attn_q_norm.weight"),
            HeadNorm("attn_k_norm.weight"),
            _reader.Matrix(name("attn_output.weight"), queries, shape.Hidden));
    }

    private DeltaNetWeights ReadDeltaNet(ModelShape shape, DeltaNetShape net, Func<string, string> name)
    {
        (PackedMatrix mixed, PackedMatrix gate) = ReadProjections(shape.Hidden, net, name);
        (PackedMatrix alpha, PackedMatrix beta) = ReadRates(shape.Hidden, net, name);
        return new DeltaNetWeights(
            mixed,
            gate,
            alpha,
            beta,
            _reader.Transposed(name("ssm_conv1d.weight"), net.ConvKernel, net.Channels),
            _reader.Vector(name("ssm_dt.bias"), net.ValueHeads),
            _reader.Vector(name("ssm_a"), net.ValueHeads),
            _reader.Vector(name("ssm_norm.weight"), net.ValueDim),
            _reader.Matrix(name("ssm_out.weight"), net.Values, shape.Hidden));
    }

    /// <summary>What gives queries, keys and values, and the gates: two matrices, or one as the folder of Qwen3-Next has it, in files of before December 2025.</summary>
    private (PackedMatrix Mixed, PackedMatrix Gate) ReadProjections(int hidden, DeltaNetShape net, Func<string, string> name)
    {
        string joined = name("ssm_in.weight");
        if (!net.GroupsValueHeads || !_reader.File.HasTensor(joined))
            return (_reader.Matrix(name("attn_qkv.weight"), hidden, net.Channels), _reader.Matrix(name("attn_gate.weight"), hidden, net.Values));
        return (_reader.Rows(joined, hidden, net.JoinedRows, net.JoinedMixed()), _reader.Rows(joined, hidden, net.JoinedRows, net.JoinedGate()));
    }

    /// <summary>What gives forgetting and learning rates: two matrices, or one whose rows are, for each key head, the learning rates and then the forgetting of its value heads.</summary>
    private (PackedMatrix Alpha, PackedMatrix Beta) ReadRates(int hidden, DeltaNetShape net, Func<string, string> name)
    {
        if (!_reader.File.HasTensor(name("ssm_ba.weight")))
            return (_reader.Matrix(name("ssm_alpha.weight"), hidden, net.ValueHeads), _reader.Matrix(name("ssm_beta.weight"), hidden, net.ValueHeads));
        int perKeyHead = net.ValueHeads / net.KeyHeads;
        PackedMatrix Part(int first) => _reader.Rows(name("ssm_ba.weight"), hidden, 2 * net.ValueHeads,
            [.. Enumerable.Range(0, net.ValueHeads).Select(head => head / perKeyHead * 2 * perKeyHead + first + head % perKeyHead)]);
        return (Part(perKeyHead), Part(0));
    }

    private ExpertWeights ReadExperts(int hidden, ExpertShape experts, Func<string, string> name)
    {
        int width = experts.FeedForward;
        bool joined = _reader.File.HasTensor(name("ffn_gate_up_exps.weight"));
        ExpertMatrices First(string part, int firstRow) => joined
            ? _reader.Experts(name("ffn_gate_up_exps.weight"), hidden, width, experts.Count, firstRow, 2 * width)
            : _reader.Experts(name(part), hidden, width, experts.Count, 0, width);
        int shared = experts.SharedFeedForward;
        return new ExpertWeights(
            _reader.Singles(name("ffn_gate_inp.weight"), hidden, experts.Count),
            First("ffn_gate_exps.weight", 0),
            First("ffn_up_exps.weight", width),
            _reader.Experts(name("ffn_down_exps.weight"), width, hidden, experts.Count, 0, hidden),
            shared == 0 ? null : new DenseWeights(
                _reader.Matrix(name("ffn_gate_shexp.weight"), hidden, shared),
                _reader.Matrix(name("ffn_up_shexp.weight"), hidden, shared),
                _reader.Matrix(name("ffn_down_shexp.weight"), shared, hidden)),
            shared == 0 ? null : _reader.Vector(name("ffn_gate_inp_shexp.weight"), hidden));
    }
}

/// <summary>One layer: a mixer over the sequence (attention or a gated DeltaNet), then a feed-forward (dense or experts), each behind a norm and added to the stream.</summary>
internal sealed record DecoderLayer(NativeBuffer MixerNorm, AttentionWeights? Attention, DeltaNetWeights? DeltaNet, NativeBuffer FeedForwardNorm, DenseWeights? Dense, ExpertWeights? Experts);

/// <param name="Query">With an output gate, for each head its query's rows and then its gate's.</param>
internal sealed record AttentionWeights(PackedMatrix Query, PackedMatrix Key, PackedMatrix Value, NativeBuffer? QueryBias, NativeBuffer? KeyBias, NativeBuffer? ValueBias,
    NativeBuffer? QueryNorm, NativeBuffer? KeyNorm, PackedMatrix Output);

/// <param name="Mixed">[Channels x Hidden]: queries, keys, values.</param>
/// <param name="Conv">[ConvKernel x Channels].</param>
/// <param name="DecayRate">Per value head, negative.</param>
internal sealed record DeltaNetWeights(PackedMatrix Mixed, PackedMatrix Gate, PackedMatrix Alpha, PackedMatrix Beta, NativeBuffer Conv, NativeBuffer AlphaBias, NativeBuffer DecayRate,
    NativeBuffer Norm, PackedMatrix Output);

internal sealed record DenseWeights(PackedMatrix Gate, PackedMatrix Up, PackedMatrix Down);

/// <param name="Router">[Experts x Hidden] in singles.</param>
/// <param name="SharedGate">[Hidden]; null without a shared expert.</param>
internal sealed record ExpertWeights(PackedMatrix Router, ExpertMatrices Gate, ExpertMatrices Up, ExpertMatrices Down, DenseWeights? Shared, NativeBuffer? SharedGate);
