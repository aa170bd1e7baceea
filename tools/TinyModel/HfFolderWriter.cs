using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Models;

namespace Qanat.TinyModel;

/// <summary>Writes a GGUF model as a Hugging Face folder: the way back of llama.cpp's converter, so that both forms of one random model can be compared. Types are kept; F32, F16 and BF16 only.</summary>
public sealed unsafe class HfFolderWriter
{
    private readonly GgufFile _file;
    private readonly string _architecture;
    private readonly List<HfTensor> _tensors = [];

    private HfFolderWriter(GgufFile file)
    {
        _file = file;
        _architecture = file.Text("general.architecture");
    }

    private sealed record HfTensor(string Name, string Type, long[] Shape, byte[] Data);

    private bool IsHybrid => _architecture is "qwen35" or "qwen35moe" or "qwen3next";
    private bool IsGrouped => _architecture == "qwen3next";
    private string Prefix => _architecture is "qwen35" or "qwen35moe" ? "model.language_model." : "model.";

    /// <param name="shards">Files the weights are spread over; with more than one an index is written.</param>
    public static void Write(GgufFile file, string folder, int shards)
    {
        Directory.CreateDirectory(folder);
        var writer = new HfFolderWriter(file);
        writer.Translate();
        File.WriteAllText(Path.Combine(folder, "config.json"), writer.Config().ToJsonString());
        writer.WriteWeights(folder, shards);
        if (file.Has("tokenizer.ggml.tokens"))
            writer.WriteTokenizer(folder);
    }

    private int Number(string key) => _file.Integer($"{_architecture}.{key}", 0, int.MaxValue);

    private JsonObject Config()
    {
        var text = new JsonObject
        {
            ["model_type"] = _architecture switch { "qwen3moe" => "qwen3_moe", "qwen3next" => "qwen3_next", "qwen35" => "qwen3_5_text", "qwen35moe" => "qwen3_5_moe_text", _ => _architecture },
            ["num_hidden_layers"] = Number("block_count"),
            ["max_position_embeddings"] = Number("context_length"),
            ["hidden_size"] = Number("embedding_length"),
            ["intermediate_size"] = Number("feed_forward_length"),
            ["num_attention_heads"] = Number("attention.head_count"),
            ["num_key_value_heads"] = Number("attention.head_count_kv"),
            ["head_dim"] = Number("attention.key_length"),
            ["rms_norm_eps"] = _file.Number($"{_architecture}.attention.layer_norm_rms_epsilon"),
            ["tie_word_embeddings"] = !_file.HasTensor("output.weight"),
        };
        float theta = _file.Number($"{_architecture}.rope.freq_base");
        if (_file.Has($"{_architecture}.expert_count"))
        {
            text["num_experts"] = Number("expert_count");
            text["num_experts_per_tok"] = Number("expert_used_count");
            text["moe_intermediate_size"] = Number("expert_feed_forward_length");
            if (_file.Has($"{_architecture}.expert_shared_feed_forward_length"))
                text["shared_expert_intermediate_size"] = Number("expert_shared_feed_forward_length");
            text["norm_topk_prob"] = true;
        }
        if (!IsHybrid)
        {
            text["rope_theta"] = theta;
            return text;
        }
        text["linear_conv_kernel_dim"] = Number("ssm.conv_kernel");
        text["linear_key_head_dim"] = Number("ssm.state_size");
        text["linear_num_key_heads"] = Number("ssm.group_count");
        text["linear_num_value_heads"] = Number("ssm.time_step_rank");
        text["linear_value_head_dim"] = Number("ssm.inner_size") / Number("ssm.time_step_rank");
        text["layer_types"] = new JsonArray([.. Enumerable.Range(1, Number("block_count")).Select(layer => JsonValue.Create(layer % 4 == 0 ? "full_attention" : "linear_attention"))]);
        text["rope_parameters"] = new JsonObject { ["rope_type"] = "default", ["rope_theta"] = theta, ["partial_rotary_factor"] = 0.25 };
        return IsGrouped ? text : new JsonObject { ["model_type"] = text["model_type"]!.GetValue<string>()[..^"_text".Length], ["tie_word_embeddings"] = !_file.HasTensor("output.weight"), ["text_config"] = text };
    }

    private void Translate()
    {
        Copy("token_embd.weight", Prefix + "embed_tokens.weight");
        if (_file.HasTensor("output.weight")) Copy("output.weight", "lm_head.weight");
        Norm("output_norm.weight", Prefix + "norm.weight");
        for (int layer = 0; layer < Number("block_count"); layer++)
        {
            string block = FormattableString.Invariant($"blk.{layer}."), to = FormattableString.Invariant($"{Prefix}layers.{layer}.");
            Norm(block + "attn_norm.weight", to + "input_layernorm.weight");
            Norm(block + (IsHybrid ? "post_attention_norm.weight" : "ffn_norm.weight"), to + "post_attention_layernorm.weight");
            if (_file.HasTensor(block + "ssm_a")) DeltaNet(block, to + "linear_attn.");
            else Attention(block, to + "self_attn.");
            FeedForward(block, to + "mlp.");
        }
    }

    private void Attention(string block, string to)
    {
        foreach (string part in new[] { "q", "k", "v" })
        {
            Copy($"{block}attn_{part}.weight", $"{to}{part}_proj.weight");
            if (_architecture == "qwen2") Copy($"{block}attn_{part}.bias", $"{to}{part}_proj.bias");
            else if (part != "v") Norm($"{block}attn_{part}_norm.weight", $"{to}{part}_norm.weight");
        }
        Copy(block + "attn_output.weight", to + "o_proj.weight");
    }

    private void DeltaNet(string block, string to)
    {
        int keyHeads = Number("ssm.group_count"), valueHeads = Number("ssm.time_step_rank"), keyDim = Number("ssm.state_size"), valueDim = Number("ssm.inner_size") / valueHeads, each = valueHeads / keyHeads;
        int keys = keyHeads * keyDim, kernel = Number("ssm.conv_kernel");
        // Where a value head of the folder's order is in GGUF's.
        int[] heads = [.. Enumerable.Range(0, valueHeads).Select(head => IsGrouped ? head : head / each + head % each * keyHeads)];
        int[] values = [.. heads.SelectMany(head => Enumerable.Range(head * valueDim, valueDim))];
        int[] mixed = [.. Enumerable.Range(0, 2 * keys), .. values.Select(value => 2 * keys + value)];
        byte[][] qkv = RowsOf(block + "attn_qkv.weight"), z = RowsOf(block + "attn_gate.weight");
        string type = TypeOf(block + "attn_qkv.weight");
        int hidden = Number("embedding_length");
        if (IsGrouped)
        {
            byte[][] joined = [.. Enumerable.Range(0, keyHeads).SelectMany(head => (byte[][])
            [
                .. qkv.Skip(head * keyDim).Take(keyDim), .. qkv.Skip(keys + head * keyDim).Take(keyDim),
                .. qkv.Skip(2 * keys + head * each * valueDim).Take(each * valueDim), .. z.Skip(head * each * valueDim).Take(each * valueDim),
            ])];
            Add(to + "in_proj_qkvz.weight", type, [joined.Length, hidden], joined);
            Copy(block + "ssm_ba.weight", to + "in_proj_ba.weight");
        }
        else
        {
            Add(to + "in_proj_qkv.weight", type, [qkv.Length, hidden], [.. mixed.Select(row => qkv[row])]);
            Add(to + "in_proj_z.weight", type, [z.Length, hidden], [.. values.Select(row => z[row])]);
            foreach ((string from, string name) in new[] { ("ssm_alpha", "in_proj_a"), ("ssm_beta", "in_proj_b") })
            {
                byte[][] rows = RowsOf($"{block}{from}.weight");
                Add($"{to}{name}.weight", TypeOf($"{block}{from}.weight"), [valueHeads, hidden], [.. heads.Select(head => rows[head])]);
            }
        }
        byte[][] conv = RowsOf(block + "ssm_conv1d.weight");
        Add(to + "conv1d.weight", "F32", [conv.Length, 1, kernel], [.. mixed.Select(channel => conv[channel])]);
        float[] bias = SinglesOf(block + "ssm_dt.bias"), rate = SinglesOf(block + "ssm_a");
        AddSingles(to + "dt_bias", [.. heads.Select(head => bias[head])]);
        AddSingles(to + "A_log", [.. heads.Select(head => MathF.Log(-rate[head]))]);
        Copy(block + "ssm_norm.weight", to + "norm.weight");
        int bytes = BytesOf(block + "ssm_out.weight");
        Add(to + "out_proj.weight", type, [hidden, values.Length], [.. RowsOf(block + "ssm_out.weight").Select(row => values.SelectMany(column => row.Skip(column * bytes).Take(bytes)).ToArray())]);
    }

    private void FeedForward(string block, string to)
    {
        if (_file.HasTensor(block + "ffn_gate.weight"))
        {
            foreach (string part in new[] { "gate", "up", "down" }) Copy($"{block}ffn_{part}.weight", $"{to}{part}_proj.weight");
            return;
        }
        Copy(block + "ffn_gate_inp.weight", to + "gate.weight");
        int experts = Number("expert_count"), width = Number("expert_feed_forward_length"), hidden = Number("embedding_length");
        byte[][] gate = RowsOf(block + "ffn_gate_exps.weight"), up = RowsOf(block + "ffn_up_exps.weight"), down = RowsOf(block + "ffn_down_exps.weight");
        string type = TypeOf(block + "ffn_gate_exps.weight");
        if (_architecture == "qwen35moe")
        {
            Add(to + "experts.gate_up_proj", type, [experts, 2 * width, hidden], [.. Enumerable.Range(0, experts).SelectMany(expert => gate.Skip(expert * width).Take(width).Concat(up.Skip(expert * width).Take(width)))]);
            Add(to + "experts.down_proj", type, [experts, hidden, width], down);
        }
        else
        {
            for (int expert = 0; expert < experts; expert++)
            {
                string name = FormattableString.Invariant($"{to}experts.{expert}.");
                Add(name + "gate_proj.weight", type, [width, hidden], [.. gate.Skip(expert * width).Take(width)]);
                Add(name + "up_proj.weight", type, [width, hidden], [.. up.Skip(expert * width).Take(width)]);
                Add(name + "down_proj.weight", type, [hidden, width], [.. down.Skip(expert * hidden).Take(hidden)]);
            }
        }
        if (!_file.HasTensor(block + "ffn_gate_shexp.weight")) return;
        foreach (string part in new[] { "gate", "up", "down" }) Copy($"{block}ffn_{part}_shexp.weight", $"{to}shared_expert.{part}_proj.weight");
        AddSingles(to + "shared_expert_gate.weight", SinglesOf(block + "ffn_gate_inp_shexp.weight"), 1, hidden);
    }

    private void Norm(string name, string to)
    {
        if (IsHybrid) AddSingles(to, [.. SinglesOf(name).Select(value => value - 1)]);
        else Copy(name, to);
    }

    private void Copy(string name, string to) => Add(to, TypeOf(name), [.. _file.Tensor(name).Shape.Reverse()], RowsOf(name));

    private void AddSingles(string name, float[] values, params long[] shape) => Add(name, "F32", shape.Length == 0 ? [values.Length] : shape, [MemoryMarshal.AsBytes<float>(values).ToArray()]);

    private void Add(string name, string type, long[] shape, byte[][] rows) => _tensors.Add(new HfTensor(name, type, shape, [.. rows.SelectMany(row => row)]));

    private string TypeOf(string name) => _file.Tensor(name).Type is GgmlType.F32 or GgmlType.F16 or GgmlType.BF16 ? _file.Tensor(name).Type.ToString() : throw new InvalidOperationException($"a folder has F32, F16 or BF16 weights, not {_file.Tensor(name)}");

    private int BytesOf(string name) => _file.Tensor(name).Type.Block().Bytes;

    private byte[][] RowsOf(string name)
    {
        GgufTensor tensor = _file.Tensor(name);
        long bytes = tensor.Type.RowBytes(tensor.Shape[0]);
        return [.. Enumerable.Range(0, (int)(tensor.Bytes / bytes)).Select(row => new ReadOnlySpan<byte>(_file.Pointer(tensor) + row * bytes, (int)bytes).ToArray())];
    }

    private float[] SinglesOf(string name) => MemoryMarshal.Cast<byte, float>(RowsOf(name)[0]).ToArray();

    private void WriteWeights(string folder, int shards)
    {
        var map = new JsonObject();
        Span<byte> length = stackalloc byte[sizeof(ulong)];
        for (int shard = 0; shard < shards; shard++)
        {
            string name = shards == 1 ? "model.safetensors" : FormattableString.Invariant($"model-{shard + 1:D5}-of-{shards:D5}.safetensors");
            HfTensor[] own = [.. _tensors.Where((_, i) => i % shards == shard)];
            var head = new JsonObject { ["__metadata__"] = new JsonObject { ["format"] = "pt" } };
            long offset = 0;
            foreach (HfTensor tensor in own)
            {
                head[tensor.Name] = new JsonObject { ["dtype"] = tensor.Type, ["shape"] = new JsonArray([.. tensor.Shape.Select(size => JsonValue.Create(size))]), ["data_offsets"] = new JsonArray(offset, offset + tensor.Data.Length) };
                offset += tensor.Data.Length;
                map[tensor.Name] = name;
            }
            byte[] json = JsonSerializer.SerializeToUtf8Bytes(head);
            using FileStream stream = File.Create(Path.Combine(folder, name));
            BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)json.Length);
            stream.Write(length);
            stream.Write(json);
            foreach (HfTensor tensor in own) stream.Write(tensor.Data);
        }
        if (shards > 1)
            File.WriteAllText(Path.Combine(folder, "model.safetensors.index.json"), new JsonObject { ["weight_map"] = map }.ToJsonString());
    }

    private void WriteTokenizer(string folder)
    {
        string[] entries = _file.Texts("tokenizer.ggml.tokens");
        int[] kinds = _file.Integers("tokenizer.ggml.token_type");
        var vocabulary = new JsonObject();
        var added = new JsonArray();
        for (int id = 0; id < entries.Length; id++)
        {
            if (kinds[id] == 1)
                vocabulary[entries[id]] = id;
            else if (kinds[id] is 3 or 4)
                added.Add(new JsonObject { ["id"] = id, ["content"] = entries[id], ["single_word"] = false, ["lstrip"] = false, ["rstrip"] = false, ["normalized"] = false, ["special"] = kinds[id] == 3 });
        }
        const string expression = @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
        var tokenizer = new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = added,
            ["normalizer"] = new JsonObject { ["type"] = "NFC" },
            ["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "Sequence",
                ["pretokenizers"] = new JsonArray(
                    new JsonObject { ["type"] = "Split", ["pattern"] = new JsonObject { ["Regex"] = expression }, ["behavior"] = "Isolated", ["invert"] = false },
                    new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = false, ["use_regex"] = false }),
            },
            ["model"] = new JsonObject { ["type"] = "BPE", ["vocab"] = vocabulary, ["merges"] = new JsonArray([.. _file.Texts("tokenizer.ggml.merges").Select(merge => JsonValue.Create(merge))]) },
        };
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), tokenizer.ToJsonString());
        File.WriteAllText(Path.Combine(folder, "generation_config.json"), new JsonObject { ["eos_token_id"] = new JsonArray(_file.Integer("tokenizer.ggml.eos_token_id", 0, int.MaxValue)) }.ToJsonString());
        if (_file.TextOrNull("tokenizer.chat_template") is { } template)
            File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), new JsonObject { ["chat_template"] = template }.ToJsonString());
    }
}
