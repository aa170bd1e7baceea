using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>Translates the tensors of a folder. What differs from GGUF, as llama.cpp's converter has it: norms of the hybrids are stored less one, decay rates as logarithms, the convolution with an
/// axis of one; Qwen3.5's value heads stand by key head and not in turns; Qwen3-Next's joined projections are one group per key head.</summary>
internal sealed unsafe class HfTensors(HfCheckpoint folder, bool tiesEmbeddings)
{
    private readonly string _prefix = folder.Stores("model.language_model.embed_tokens.weight") ? "model.language_model." : folder.Stores("embed_tokens.weight") ? "" : "model.";

    public void AddAll()
    {
        SafeTensor embedding = folder.Stored(_prefix + "embed_tokens.weight");
        if (embedding.Shape.Length != 2 || embedding.Shape[0] < 1 || embedding.Shape[1] < 1)
            throw folder.Bad($"tensor {embedding} must be a matrix");
        folder.AddMapped("token_embd.weight", embedding, embedding.Shape[1], embedding.Shape[0]);
        if (!tiesEmbeddings && folder.Stores("lm_head.weight"))
            folder.AddMapped("output.weight", folder.Stored("lm_head.weight", embedding.Shape), embedding.Shape[1], embedding.Shape[0]);
        ModelShape shape = DecoderShape.Read(folder);
        Norm("output_norm.weight", _prefix + "norm.weight", shape.Hidden, shape);
        for (int layer = 0; layer < shape.Layers; layer++)
            AddLayer(shape, layer);
    }

    private void AddLayer(ModelShape shape, int layer)
    {
        string block = FormattableString.Invariant($"blk.{layer}."), from = FormattableString.Invariant($"{_prefix}layers.{layer}.");
        Norm(block + "attn_norm.weight", from + "input_layernorm.weight", shape.Hidden, shape);
        Norm(block + (shape.DeltaNet is null ? "ffn_norm.weight" : "post_attention_norm.weight"), from + "post_attention_layernorm.weight", shape.Hidden, shape);
        if (shape.IsRecurrent(layer))
            AddDeltaNet(shape, shape.DeltaNet!, block, from + "linear_attn.");
        else
            AddAttention(shape, block, from + "self_attn.");
        if (shape.Experts is { } experts)
            AddExperts(shape.Hidden, experts, block, from + "mlp.");
        else
            AddDense(shape.Hidden, shape.FeedForward, block, "", from + "mlp.");
    }

    private void AddAttention(ModelShape shape, string block, string from)
    {
        int queries = shape.Heads * shape.HeadDim, keys = shape.KvHeads * shape.HeadDim;
        Matrix(block + "attn_q.weight", from + "q_proj.weight", shape.Hidden, shape.HasOutputGate ? 2 * queries : queries);
        Matrix(block + "attn_k.weight", from + "k_proj.weight", shape.Hidden, keys);
        Matrix(block + "attn_v.weight", from + "v_proj.weight", shape.Hidden, keys);
        Matrix(block + "attn_output.weight", from + "o_proj.weight", queries, shape.Hidden);
        if (shape.HasAttentionBias)
        {
            Vector(block + "attn_q.bias", from + "q_proj.bias", queries);
            Vector(block + "attn_k.bias", from + "k_proj.bias", keys);
            Vector(block + "attn_v.bias", from + "v_proj.bias", keys);
        }
        if (!shape.HasHeadNorms)
            return;
        Norm(block + "attn_q_norm.weight", from + "q_norm.weight", shape.HeadDim, shape);
        Norm(block + "attn_k_norm.weight", from + "k_norm.weight", shape.HeadDim, shape);
    }

    private void AddDeltaNet(ModelShape shape, DeltaNetShape net, string block, string from)
    {
        int hidden = shape.Hidden, keys = net.KeyHeads * net.KeyDim, each = net.ValueHeads / net.KeyHeads;
        // Where a value head of GGUF's order is in the folder's.
        int[] heads = [.. Enumerable.Range(0, net.ValueHeads).Select(head => net.GroupsValueHeads ? head : head % net.KeyHeads * each + head / net.KeyHeads)];
        int[] values = [.. heads.SelectMany(head => Enumerable.Range(head * net.ValueDim, net.ValueDim))];
        int[] mixed = [.. Enumerable.Range(0, 2 * keys), .. values.Select(value => 2 * keys + value)];
        if (net.GroupsValueHeads)
        {
            SafeTensor joined = folder.Stored(from + "in_proj_qkvz.weight", net.JoinedRows, hidden);
            Rows(block + "attn_qkv.weight", joined, hidden, net.JoinedMixed());
            Rows(block + "attn_gate.weight", joined, hidden, net.JoinedGate());
            Matrix(block + "ssm_ba.weight", from + "in_proj_ba.weight", hidden, 2 * net.ValueHeads);
        }
        else
        {
            Rows(block + "attn_qkv.weight", folder.Stored(from + "in_proj_qkv.weight", net.Channels, hidden), hidden, mixed);
            Rows(block + "attn_gate.weight", folder.Stored(from + "in_proj_z.weight", net.Values, hidden), hidden, values);
            Rows(block + "ssm_alpha.weight", folder.Stored(from + "in_proj_a.weight", net.ValueHeads, hidden), hidden, heads);
            Rows(block + "ssm_beta.weight", folder.Stored(from + "in_proj_b.weight", net.ValueHeads, hidden), hidden, heads);
        }
        SafeTensor conv = folder.Stored(from + "conv1d.weight", net.Channels, 1, net.ConvKernel);
        folder.AddMade(block + "ssm_conv1d.weight", GgmlType.F32, target => Gather(conv, [.. mixed.SelectMany(channel => Enumerable.Range(channel * net.ConvKernel, net.ConvKernel))], (float*)target, value => value), net.ConvKernel, net.Channels);
        SafeTensor bias = folder.Stored(from + "dt_bias", net.ValueHeads), rate = folder.Stored(from + "A_log", net.ValueHeads);
        folder.AddMade(block + "ssm_dt.bias", GgmlType.F32, target => Gather(bias, heads, (float*)target, value => value), net.ValueHeads);
        folder.AddMade(block + "ssm_a", GgmlType.F32, target => Gather(rate, heads, (float*)target, value => -MathF.Exp(value)), net.ValueHeads);
        Vector(block + "ssm_norm.weight", from + "norm.weight", net.ValueDim);
        Columns(block + "ssm_out.weight", folder.Stored(from + "out_proj.weight", hidden, net.Values), hidden, values);
    }

    private void AddDense(int hidden, int width, string block, string suffix, string from)
    {
        Matrix($"{block}ffn_gate{suffix}.weight", from + "gate_proj.weight", hidden, width);
        Matrix($"{block}ffn_up{suffix}.weight", from + "up_proj.weight", hidden, width);
        Matrix($"{block}ffn_down{suffix}.weight", from + "down_proj.weight", width, hidden);
    }

    private void AddExperts(int hidden, ExpertShape experts, string block, string from)
    {
        Matrix(block + "ffn_gate_inp.weight", from + "gate.weight", hidden, experts.Count);
        if (folder.Stores(from + "experts.gate_up_proj"))
        {
            folder.AddMapped(block + "ffn_gate_up_exps.weight", folder.Stored(from + "experts.gate_up_proj", experts.Count, 2L * experts.FeedForward, hidden), hidden, 2L * experts.FeedForward, experts.Count);
            folder.AddMapped(block + "ffn_down_exps.weight", folder.Stored(from + "experts.down_proj", experts.Count, hidden, experts.FeedForward), experts.FeedForward, hidden, experts.Count);
        }
        else
        {
            Stack(block + "ffn_gate_exps.weight", from, "gate_proj", hidden, experts.FeedForward, experts.Count);
            Stack(block + "ffn_up_exps.weight", from, "up_proj", hidden, experts.FeedForward, experts.Count);
            Stack(block + "ffn_down_exps.weight", from, "down_proj", experts.FeedForward, hidden, experts.Count);
        }
        if (experts.SharedFeedForward == 0)
            return;
        AddDense(hidden, experts.SharedFeedForward, block, "_shexp", from + "shared_expert.");
        folder.AddMapped(block + "ffn_gate_inp_shexp.weight", folder.Stored(from + "shared_expert_gate.weight", 1, hidden), hidden);
    }

    private void Matrix(string name, string stored, int inputs, int outputs) => folder.AddMapped(name, folder.Stored(stored, outputs, inputs), inputs, outputs);

    private void Vector(string name, string stored, int length) => folder.AddMapped(name, folder.Stored(stored, length), length);

    /// <summary>The hybrids' norms multiply by one more than what is stored.</summary>
    private void Norm(string name, string stored, int length, ModelShape shape)
    {
        SafeTensor tensor = folder.Stored(stored, length);
        if (shape.DeltaNet is null)
            folder.AddMapped(name, tensor, length);
        else
            folder.AddMade(name, GgmlType.F32, target => Gather(tensor, [.. Enumerable.Range(0, length)], (float*)target, value => 1 + value), length);
    }

    private void Rows(string name, SafeTensor stored, int inputs, int[] rows) => folder.AddMade(name, HfCheckpoint.TypeOf(stored), target =>
    {
        int bytes = inputs * HfType.Bytes(stored.Type);
        for (int i = 0; i < rows.Length; i++)
            new ReadOnlySpan<byte>(stored.File.Pointer(stored) + (long)rows[i] * bytes, bytes).CopyTo(new Span<byte>((byte*)target + (long)i * bytes, bytes));
    }, inputs, rows.Length);

    private void Columns(string name, SafeTensor stored, int outputs, int[] columns) => folder.AddMade(name, HfCheckpoint.TypeOf(stored), target =>
    {
        int bytes = HfType.Bytes(stored.Type);
        byte* source = stored.File.Pointer(stored), to = (byte*)target;
        for (long row = 0; row < outputs; row++)
            for (int i = 0; i < columns.Length; i++, to += bytes)
                new ReadOnlySpan<byte>(source + (row * columns.Length + columns[i]) * bytes, bytes).CopyTo(new Span<byte>(to, bytes));
    }, columns.Length, outputs);

    /// <summary>The matrices of all experts, one after the other.</summary>
    private void Stack(string name, string from, string part, int inputs, int outputs, int count)
    {
        SafeTensor[] each = [.. Enumerable.Range(0, count).Select(expert => folder.Stored(FormattableString.Invariant($"{from}experts.{expert}.{part}.weight"), outputs, inputs))];
        if (each.FirstOrDefault(tensor => tensor.Type != each[0].Type) is { } other)
            throw folder.Bad($"tensor {other} is of another type than the other experts'");
        folder.AddMade(name, HfCheckpoint.TypeOf(each[0]), target =>
        {
            for (int i = 0; i < count; i++)
                Buffer.MemoryCopy(each[i].File.Pointer(each[i]), (byte*)target + i * each[i].Bytes, each[i].Bytes, each[i].Bytes);
        }, inputs, outputs, count);
    }

    /// <summary>Some numbers of a tensor as singles, each changed.</summary>
    private static void Gather(SafeTensor stored, int[] places, float* target, Func<float, float> change)
    {
        WeightFormat format = stored.Type switch { "F32" => WeightFormat.F32, "F16" => WeightFormat.F16, _ => WeightFormat.BF16 };
        var all = new float[stored.Shape.Aggregate(1L, (product, size) => product * size)];
        Dequantize.Row(format, stored.File.Pointer(stored), all);
        for (int i = 0; i < places.Length; i++)
            target[i] = change(all[places[i]]);
    }
}
