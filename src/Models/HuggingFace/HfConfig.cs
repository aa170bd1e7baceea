using System.Text.Json;
using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>config.json in GGUF's terms. Keys of vision-language models lie under text_config, those of newer ones about rotation under rope_parameters.</summary>
internal sealed class HfConfig
{
    private readonly string _path;
    private readonly JsonElement _root;
    private readonly JsonElement _text;
    private readonly Dictionary<string, GgufValue> _metadata = new(StringComparer.Ordinal);

    private HfConfig(string path, JsonElement root)
    {
        _path = path;
        _root = root;
        _text = root.TryGetProperty("text_config", out JsonElement text) && text.ValueKind == JsonValueKind.Object ? text : root;
        Architecture = (Find("model_type")?.GetString() ?? "") switch
        {
            "qwen2" => "qwen2",
            "qwen3" => "qwen3",
            "qwen3_moe" => "qwen3moe",
            "qwen3_next" => "qwen3next",
            "qwen3_5" or "qwen3_5_text" => "qwen35",
            "qwen3_5_moe" or "qwen3_5_moe_text" => "qwen35moe",
            string other => throw Bad($"the model type is \"{other}\"; known: qwen2, qwen3, qwen3_moe, qwen3_next, qwen3_5, qwen3_5_moe"),
        };
        if (_root.TryGetProperty("quantization_config", out _) || _text.TryGetProperty("quantization_config", out _))
            throw Bad($"the weights are quantised in a way of their own (quantization_config); supported are F32, F16 and BF16");
        Translate();
    }

    public string Architecture { get; }
    public bool TiesEmbeddings { get; private set; }
    public IReadOnlyDictionary<string, GgufValue> Metadata => _metadata;

    /// <exception cref="ModelFileException">The file cannot be read, or says nothing of a known decoder.</exception>
    public static HfConfig Read(string path)
    {
        try
        {
            using JsonDocument document = HfFolder.ReadJson(path);
            return new HfConfig(path, document.RootElement.Clone());
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or FormatException)
        {
            throw new ModelFileException(path, $"this is not a model's config.json: {e.Message}", e);
        }
    }

    private void Translate()
    {
        bool isHybrid = Architecture is "qwen35" or "qwen35moe" or "qwen3next";
        _metadata["general.architecture"] = GgufValue.Of(Architecture);
        Number("block_count", "num_hidden_layers");
        Number("context_length", "max_position_embeddings");
        Number("embedding_length", "hidden_size");
        Number("attention.head_count", "num_attention_heads");
        if (Find("num_key_value_heads") is not null) Number("attention.head_count_kv", "num_key_value_heads");
        if (HeadDim is { } headDim)
        {
            Set("attention.key_length", headDim);
            Set("attention.value_length", headDim);
        }
        Set("attention.layer_norm_rms_epsilon", (float)(Real("rms_norm_eps") ?? 1e-6));
        Set("rope.freq_base", (float)(Rope("rope_theta") ?? Real("rope_theta") ?? 10_000));
        TiesEmbeddings = (Find("tie_word_embeddings") ?? FindOutside("tie_word_embeddings")) is { ValueKind: JsonValueKind.True };
        if (Architecture is "qwen2" or "qwen3" or "qwen35") Number("feed_forward_length", "intermediate_size");
        else Experts();
        if (isHybrid) Hybrid();
        Stretch();
    }

    private void Experts()
    {
        if (Find("mlp_only_layers") is { ValueKind: JsonValueKind.Array } dense && dense.GetArrayLength() > 0 || Find("decoder_sparse_step") is { } step && step.GetInt32() != 1)
            throw Bad($"some layers have no experts (mlp_only_layers, decoder_sparse_step); supported are experts in all");
        Number("expert_count", "num_experts");
        Number("expert_used_count", "num_experts_per_tok");
        Number("expert_feed_forward_length", "moe_intermediate_size");
        if (Find("shared_expert_intermediate_size") is not null) Number("expert_shared_feed_forward_length", "shared_expert_intermediate_size");
        // The reference's default differs: off for qwen3_moe, on for the others; Qwen3.5 always does it.
        bool normalises = Architecture == "qwen35moe" || (Find("norm_topk_prob") is { } flag ? flag.GetBoolean() : Architecture != "qwen3moe");
        _metadata[$"{Architecture}.expert_weights_norm"] = GgufValue.Of(normalises);
    }

    private void Hybrid()
    {
        Number("ssm.conv_kernel", "linear_conv_kernel_dim");
        Number("ssm.state_size", "linear_key_head_dim");
        Number("ssm.group_count", "linear_num_key_heads");
        Number("ssm.time_step_rank", "linear_num_value_heads");
        Set("ssm.inner_size", checked((long)Whole("linear_value_head_dim") * Whole("linear_num_value_heads")));
        double part = Rope("partial_rotary_factor") ?? Real("partial_rotary_factor") ?? 0.25;
        if (part is not (> 0 and <= 1)) throw Bad($"partial_rotary_factor is {part}; it must be above 0 and at most 1");
        int rotary = (int)(HeadDim!.Value * part);
        Set("rope.dimension_count", rotary);
        if (Architecture != "qwen3next") _metadata[$"{Architecture}.rope.dimension_sections"] = GgufValue.Of(Sections(rotary / 2));
        if (Find("layer_types") is { ValueKind: JsonValueKind.Array } types)
            _metadata[$"{Architecture}.attention.recurrent_layers"] = GgufValue.Of(types.EnumerateArray().Select(type => type.GetString() == "linear_attention").ToArray());
        else if (Find("full_attention_interval") is not null)
            Number("full_attention_interval", "full_attention_interval");
    }

    /// <summary>What cosines and sines are multiplied by in all, where it is not YaRN's own: attention_factor, else the quotient that mscale and mscale_all_dim make. Null: YaRN's own.</summary>
    private static double? MagnitudeOf(JsonElement scaling, double factor)
    {
        double? Told(string name) => scaling.TryGetProperty(name, out JsonElement value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() : null;
        double Grown(double scale) => factor <= 1 ? 1 : 0.1 * scale * Math.Log(factor) + 1;
        if (Told("attention_factor") is { } whole) return whole;
        return Told("mscale") is { } over and not 0 && Told("mscale_all_dim") is { } under and not 0 ? Grown(over) / Grown(under) : null;
    }

    /// <summary>How many of the pairs that turn go by each axis of a position. Those of text are the same on all axes, so it makes no difference here; llama.cpp asks for it.</summary>
    private int[] Sections(int pairs)
    {
        if (Find("rope_parameters") is { ValueKind: JsonValueKind.Object } rope && rope.TryGetProperty("mrope_section", out JsonElement sections) && sections.ValueKind == JsonValueKind.Array && sections.GetArrayLength() is > 0 and <= 4)
            return [.. sections.EnumerateArray().Select(section => section.GetInt32()), .. new int[4 - sections.GetArrayLength()]];
        int third = pairs / 3;
        return [pairs - 2 * third, third, third, 0];
    }

    /// <summary>YaRN, from rope_scaling or rope_parameters.</summary>
    private void Stretch()
    {
        foreach (string name in new[] { "rope_scaling", "rope_parameters" })
        {
            if (Find(name) is not { ValueKind: JsonValueKind.Object } scaling) continue;
            string type = (scaling.TryGetProperty("rope_type", out JsonElement kind) || scaling.TryGetProperty("type", out kind) ? kind.GetString() : null) ?? "default";
            if (type is "default" or "mrope") continue;
            _metadata[$"{Architecture}.rope.scaling.type"] = GgufValue.Of(type);
            if (type != "yarn") return;
            if (!scaling.TryGetProperty("factor", out JsonElement factor)) throw Bad($"{name} says yarn without a factor");
            Set("rope.scaling.factor", (float)factor.GetDouble());
            Set("rope.scaling.original_context_length", scaling.TryGetProperty("original_max_position_embeddings", out JsonElement original) ? original.GetInt64() : Whole("max_position_embeddings"));
            if (scaling.TryGetProperty("beta_fast", out JsonElement fast)) Set("rope.scaling.yarn_beta_fast", (float)fast.GetDouble());
            if (scaling.TryGetProperty("beta_slow", out JsonElement slow)) Set("rope.scaling.yarn_beta_slow", (float)slow.GetDouble());
            if (scaling.TryGetProperty("truncate", out JsonElement truncate) && truncate.ValueKind == JsonValueKind.False) throw Bad($"{name} says \"truncate\": false; supported is YaRN with whole pairs");
            if (MagnitudeOf(scaling, factor.GetDouble()) is { } magnitude) Set("rope.scaling.attn_factor", (float)(magnitude / Yarn.Magnitude(factor.GetDouble())));
            return;
        }
    }

    /// <summary>Null: what is left of the hidden size for a head.</summary>
    private int? HeadDim => Find("head_dim") is not null ? Whole("head_dim") : Architecture == "qwen2" ? null : 128;

    private JsonElement? Find(string name) => _text.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private JsonElement? FindOutside(string name) => _root.TryGetProperty(name, out JsonElement value) ? value : null;

    private double? Real(string name) => Find(name)?.GetDouble();

    private double? Rope(string name) => Find("rope_parameters") is { ValueKind: JsonValueKind.Object } rope && rope.TryGetProperty(name, out JsonElement value) ? value.GetDouble() : null;

    private int Whole(string name) => (Find(name) ?? throw Bad($"\"{name}\" is missing")).TryGetInt32(out int number) && number >= 0 ? number : throw Bad($"\"{name}\" is {Find(name)}; it must be a whole number");

    private void Number(string key, string name) => Set(key, Whole(name));

    private void Set(string key, long number) => _metadata[$"{Architecture}.{key}"] = number is >= 0 and <= int.MaxValue ? GgufValue.Of((uint)number) : throw Bad($"{key} would be {number}");

    private void Set(string key, float number) => _metadata[$"{Architecture}.{key}"] = GgufValue.Of(number);

    private ModelFileException Bad(FormattableString problem) => new(_path, FormattableString.Invariant(problem));
}
