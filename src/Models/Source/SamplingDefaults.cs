using System.Text.Json;

namespace Qanat.Models;

/// <summary>How those who trained a model advise to draw its tokens: generation_config.json of a folder, general.sampling.* of a GGUF file. Null: nothing is said.</summary>
public sealed record SamplingDefaults
{
    public static readonly SamplingDefaults None = new();

    /// <summary>From a number of generation_config.json to GGUF's key.</summary>
    internal static readonly (string Field, string Key)[] Fields =
    [
        ("temperature", Temp), ("top_k", K), ("top_p", P), ("min_p", Min), ("repetition_penalty", Repeat),
    ];

    private const string Temp = "general.sampling.temp", K = "general.sampling.top_k", P = "general.sampling.top_p", Min = "general.sampling.min_p", Repeat = "general.sampling.penalty_repeat";

    public float? Temperature { get; init; }
    public int? TopK { get; init; }
    public float? TopP { get; init; }
    public float? MinP { get; init; }
    public float? RepetitionPenalty { get; init; }

    /// <exception cref="ModelFileException">One of them is no number, or out of range.</exception>
    public static SamplingDefaults Read(ModelSource source) => new()
    {
        Temperature = Number(source, Temp, 0, 2),
        TopK = source.Has(K) ? source.Integer(K, 0, int.MaxValue) : null,
        TopP = Number(source, P, 0, 1) is { } topP ? Math.Max(topP, float.Epsilon) : null,
        MinP = Number(source, Min, 0, 1),
        RepetitionPenalty = Number(source, Repeat, 0.01f, 10),
    };

    /// <summary>The numbers of a generation_config.json under GGUF's keys. Where it says that nothing is drawn, the likeliest token is taken.</summary>
    internal static IEnumerable<KeyValuePair<string, GgufValue>> FromGenerationConfig(JsonElement config)
    {
        if (config.TryGetProperty("do_sample", out JsonElement draws) && draws.ValueKind == JsonValueKind.False)
        {
            yield return new(Temp, GgufValue.Of(0f));
            yield break;
        }
        foreach ((string field, string key) in Fields)
        {
            if (!config.TryGetProperty(field, out JsonElement value) || value.ValueKind != JsonValueKind.Number) continue;
            yield return new(key, key == K && value.TryGetInt32(out int count) ? GgufValue.Of(count) : GgufValue.Of((float)value.GetDouble()));
        }
    }

    private static float? Number(ModelSource source, string key, float min, float max)
    {
        if (!source.Has(key)) return null;
        float number = source.Number(key);
        return number >= min && number <= max ? number : throw source.Bad($"metadata \"{key}\" is {number}; it must be between {min} and {max}");
    }
}
