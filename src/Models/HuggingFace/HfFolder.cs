using System.Text.Json;

namespace Qanat.Models;

/// <summary>The files of a Hugging Face folder.</summary>
internal static class HfFolder
{
    private const string Index = "model.safetensors.index.json";
    private const string GenerationConfig = "generation_config.json";
    private const long JsonBytesMax = 256 << 20;
    private const long CardBytesMax = 1 << 20;
    private const int LicenceLengthMax = 200;

    /// <summary>A JSON file of at most 256 MiB.</summary>
    /// <exception cref="ModelFileException">There is no such file, it cannot be read, it is too large, or it is no JSON.</exception>
    public static JsonDocument ReadJson(string path)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            if (stream.Length > JsonBytesMax)
                throw new ModelFileException(path, "the file is too large");
            return JsonDocument.Parse(stream);
        }
        catch (JsonException e)
        {
            throw new ModelFileException(path, $"this is no JSON: {e.Message}", e);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new ModelFileException(path, "there is no such file", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelFileException(path, $"the file cannot be read: {e.Message}", e);
        }
    }

    /// <summary>The weight files: those an index names, else the one file there is.</summary>
    public static string[] WeightFiles(string folder)
    {
        string index = Path.Combine(folder, Index);
        if (!File.Exists(index))
            return [Path.Combine(folder, "model.safetensors")];
        using JsonDocument document = ReadJson(index);
        if (document.RootElement.ValueKind != JsonValueKind.Object || !document.RootElement.TryGetProperty("weight_map", out JsonElement map) || map.ValueKind != JsonValueKind.Object)
            throw new ModelFileException(index, "there is no \"weight_map\"");
        var names = new SortedSet<string>(StringComparer.Ordinal);
        foreach (JsonProperty entry in map.EnumerateObject())
        {
            string name = entry.Value.ValueKind == JsonValueKind.String ? entry.Value.GetString()! : "";
            if (name.Length == 0 || name != Path.GetFileName(name) || name is "." or ".." || name.Contains('\\', StringComparison.Ordinal))
                throw new ModelFileException(index, $"\"{name}\" is not the name of a file beside it");
            names.Add(name);
        }
        return [.. names.Select(name => Path.Combine(folder, name))];
    }

    /// <summary>The chat template: a file of its own, else a part of tokenizer_config.json; null when there is none.</summary>
    public static string? ChatTemplate(string folder)
    {
        string own = Path.Combine(folder, "chat_template.jinja"), config = Path.Combine(folder, "tokenizer_config.json");
        if (File.Exists(own))
            return File.ReadAllText(own);
        if (!File.Exists(config))
            return null;
        using JsonDocument document = ReadJson(config);
        return document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("chat_template", out JsonElement template) && template.ValueKind == JsonValueKind.String ? template.GetString() : null;
    }

    /// <summary>The licence that the model card (README.md) names in its head; null: there is no card, or it names none.</summary>
    public static string? Licence(string folder)
    {
        string card = Path.Combine(folder, "README.md");
        if (!File.Exists(card) || new FileInfo(card).Length > CardBytesMax)
            return null;
        const string key = "license:";
        // The head of a card lies between two lines of dashes, as YAML.
        using IEnumerator<string> lines = File.ReadLines(card).GetEnumerator();
        if (!lines.MoveNext() || lines.Current.TrimEnd() != "---")
            return null;
        while (lines.MoveNext() && lines.Current.TrimEnd() != "---")
            if (lines.Current.StartsWith(key, StringComparison.Ordinal) && lines.Current[key.Length..].Trim().Trim('"', '\'') is { Length: > 0 and <= LicenceLengthMax } licence)
                return licence;
        return null;
    }

    /// <summary>The ends of generation that generation_config.json names: one id or several.</summary>
    public static int[] StopTokens(string folder)
    {
        string path = Path.Combine(folder, GenerationConfig);
        return ReadGenerationConfig(folder, config =>
        {
            if (!config.TryGetProperty("eos_token_id", out JsonElement ids) || ids.ValueKind == JsonValueKind.Null) return [];
            JsonElement[] each = ids.ValueKind == JsonValueKind.Array ? [.. ids.EnumerateArray()] : [ids];
            return each.Select(id => id.ValueKind == JsonValueKind.Number && id.TryGetInt32(out int number) ? number : throw new ModelFileException(path, $"\"eos_token_id\" is {ids}; it must be one token or several")).ToArray();
        }) ?? [];
    }

    /// <summary>How generation_config.json advises to draw tokens, under GGUF's keys.</summary>
    public static KeyValuePair<string, GgufValue>[] Sampling(string folder) => ReadGenerationConfig(folder, config => SamplingDefaults.FromGenerationConfig(config).ToArray()) ?? [];

    private static T? ReadGenerationConfig<T>(string folder, Func<JsonElement, T> read) where T : class
    {
        string path = Path.Combine(folder, GenerationConfig);
        if (!File.Exists(path)) return null;
        using JsonDocument document = ReadJson(path);
        return document.RootElement.ValueKind == JsonValueKind.Object ? read(document.RootElement) : null;
    }
}
