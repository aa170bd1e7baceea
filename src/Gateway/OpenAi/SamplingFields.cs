using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Reads how tokens are to be drawn, and where to stop.</summary>
internal sealed class SamplingFields(GatewayOptions options, SeedSource seeds)
{
    /// <summary>A shorter repetition is no loop.</summary>
    public const int LoopTokensMin = 16;

    /// <summary>For how many tokens an answer may repeat itself; null: as long as it likes.</summary>
    public static int? ReadLoop(JsonFields fields) => fields.IntegerAtLeast("loop_tokens_max", LoopTokensMin);

    public SamplingOptions Read(JsonFields fields, ServedModel model)
    {
        SamplingDefaults advice = model.Sampling;
        float topP = fields.Number("top_p", 0, 1) ?? advice.TopP ?? 1;
        return new SamplingOptions
        {
            Temperature = fields.Number("temperature", 0, 2) ?? advice.Temperature ?? 1,
            // Nothing at all would be left of 0: it asks for the most likely token only, as the smallest positive part does.
            TopP = topP > 0 ? topP : float.Epsilon,
            TopK = ReadTopK(fields, model),
            MinP = fields.Number("min_p", 0, 1) ?? advice.MinP ?? 0,
            PresencePenalty = fields.Number("presence_penalty", -2, 2) ?? 0,
            FrequencyPenalty = fields.Number("frequency_penalty", -2, 2) ?? 0,
            RepetitionPenalty = fields.Number("repetition_penalty", 0.01, 10) ?? advice.RepetitionPenalty ?? 1,
            LogitBias = ReadLogitBias(fields, model),
            Seed = fields.Integer("seed", long.MinValue, long.MaxValue) is { } seed ? unchecked((ulong)seed) : seeds.Next(),
        };
    }

    /// <summary>A string, or an array of strings.</summary>
    public ImmutableArray<string> ReadStop(JsonFields fields, string name = "stop")
    {
        if (!fields.TryGet(name, out JsonElement value)) return [];
        string param = fields.PathOf(name);
        if (value.ValueKind == JsonValueKind.String) return [CheckStop(JsonFields.TextOf(value, param), param)];
        if (value.ValueKind != JsonValueKind.Array) throw Refusal.Type(param, "a string or an array of strings", JsonFields.Kind(value));
        if (value.GetArrayLength() > options.StopStringsMax) throw Refusal.Value(param, FormattableString.Invariant($"at most {options.StopStringsMax} strings are allowed."));
        ImmutableArray<string>.Builder stops = ImmutableArray.CreateBuilder<string>(value.GetArrayLength());
        foreach (JsonElement item in value.EnumerateArray())
        {
            string itemParam = FormattableString.Invariant($"{param}[{stops.Count}]");
            stops.Add(CheckStop(JsonFields.TextOf(item, itemParam), itemParam));
        }
        return stops.MoveToImmutable();
    }

    /// <summary>How many alternatives each token is told with; -1: its log probability is not wanted either.</summary>
    public int ReadTopLogprobs(JsonFields fields)
    {
        bool wanted = fields.Flag("logprobs") ?? false;
        long? count = fields.Integer("top_logprobs", 0, options.TopLogprobsMax);
        if (count > 0 && !wanted) throw Refusal.Value(fields.PathOf("top_logprobs"), "it needs 'logprobs' to be true.");
        return wanted ? (int)(count ?? 0) : -1;
    }

    /// <summary>0 and -1 both mean no limit, as clients of either convention send it.</summary>
    private static int ReadTopK(JsonFields fields, ServedModel model)
    {
        if (!fields.TryGet("top_k", out JsonElement value)) return model.Sampling.TopK is { } advised && advised < model.VocabularySize ? advised : 0;
        string param = fields.PathOf("top_k");
        if (JsonFields.IntegerOf(value, param) is not { } topK || topK < -1) throw Refusal.Value(param, "it must be an integer of at least 1, or 0 or -1 for no limit.");
        return topK >= model.VocabularySize ? 0 : (int)Math.Max(0, topK);
    }

    private ImmutableDictionary<int, float> ReadLogitBias(JsonFields fields, ServedModel model)
    {
        if (!fields.TryGet("logit_bias", out JsonElement value)) return ImmutableDictionary<int, float>.Empty;
        string param = fields.PathOf("logit_bias");
        if (value.ValueKind != JsonValueKind.Object) throw Refusal.Type(param, "an object of token ids and numbers", JsonFields.Kind(value));
        ImmutableDictionary<int, float>.Builder bias = ImmutableDictionary.CreateBuilder<int, float>();
        foreach (JsonProperty entry in value.EnumerateObject())
        {
            bool isToken = int.TryParse(NameOf(entry, param), NumberStyles.None, CultureInfo.InvariantCulture, out int token) && token < model.VocabularySize;
            if (!isToken) throw Refusal.Value(param, FormattableString.Invariant($"its names must be token ids from 0 to {model.VocabularySize - 1}."));
            bias[token] = JsonFields.NumberOf(entry.Value, FormattableString.Invariant($"{param}.{token}"), -100, 100);
            if (bias.Count > options.LogitBiasMax) throw Refusal.Value(param, FormattableString.Invariant($"at most {options.LogitBiasMax} tokens are allowed."));
        }
        return bias.ToImmutable();
    }

    private string CheckStop(string stop, string param) => stop.Length > 0 && stop.Length <= options.StopStringLengthMax
        ? stop
        : throw Refusal.Value(param, FormattableString.Invariant($"a stop string needs 1 to {options.StopStringLengthMax} characters."));

    private static string NameOf(JsonProperty entry, string param)
    {
        try
        {
            return entry.Name;
        }
        catch (InvalidOperationException)
        {
            throw Refusal.Value(param, "its names must be token ids.");
        }
    }
}
