using System.Text.Json;

namespace Qanat.Models;

/// <summary>Reads tokenizer.json of the Hugging Face library, as far as Qwen's tokenizers use it: NFC, a Split by one of two expressions, ByteLevel, BPE.</summary>
internal static class TokenizerJson
{
    private static readonly string[] s_stopTexts = ["<|im_end|>", "<|endoftext|>"];

    /// <summary>Vocabularies of Qwen have up to 248320 entries; an id far beyond would make an absurd table.</summary>
    private const int TokensMax = 1 << 22;

    /// <exception cref="ModelFileException">The file cannot be read, or is not such a tokenizer.</exception>
    public static TokenizerParts Read(string path)
    {
        try
        {
            using FileStream stream = File.OpenRead(path);
            using JsonDocument document = JsonDocument.Parse(stream);
            return Read(path, document.RootElement);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ModelFileException(path, $"the file cannot be read: {e.Message}", e);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            // What JsonElement throws when a property is missing or of another type.
            throw new ModelFileException(path, $"this is not a tokenizer.json: {e.Message}", e);
        }
    }

    private static TokenizerParts Read(string path, JsonElement root)
    {
        JsonElement model = root.GetProperty("model");
        if (model.TryGetProperty("type", out JsonElement type) && type.GetString() != "BPE")
            throw new ModelFileException(path, $"the tokenizer is {type.GetString()}; supported is BPE");
        if (root.GetProperty("normalizer") is not { ValueKind: JsonValueKind.Object } normalizer || normalizer.GetProperty("type").GetString() != "NFC")
            throw new ModelFileException(path, "the tokenizer's normaliser is not NFC");

        PreTokenizer preTokenizer = ReadPreTokenizer(path, root.GetProperty("pre_tokenizer"));
        var entries = new Dictionary<int, (string Text, TokenKind Kind)>();
        foreach (JsonProperty entry in model.GetProperty("vocab").EnumerateObject())
            Add(path, entries, entry.Value.GetInt32(), entry.Name, TokenKind.Normal);
        foreach (JsonElement added in root.GetProperty("added_tokens").EnumerateArray())
        {
            string text = added.GetProperty("content").GetString() ?? "";
            if (added.GetProperty("lstrip").GetBoolean() || added.GetProperty("rstrip").GetBoolean() || added.GetProperty("single_word").GetBoolean() || added.GetProperty("normalized").GetBoolean())
                throw new ModelFileException(path, $"the added token \"{text}\" strips, stands alone or is normalised; supported are exact ones");
            Add(path, entries, added.GetProperty("id").GetInt32(), text, added.GetProperty("special").GetBoolean() ? TokenKind.Control : TokenKind.UserDefined);
        }

        int count = entries.Count == 0 ? 0 : entries.Keys.Max() + 1;
        var texts = new string[count];
        var kinds = new TokenKind[count];
        for (int id = 0; id < count; id++)
            (texts[id], kinds[id]) = entries.TryGetValue(id, out (string Text, TokenKind Kind) entry) ? entry : ("", TokenKind.Unused);

        int[] stops = [.. s_stopTexts.Select(text => Array.IndexOf(texts, text)).Where(id => id >= 0 && kinds[id] == TokenKind.Control)];
        return new TokenizerParts(preTokenizer, ByteStrings.Of(texts), kinds, ByteStrings.Of(model.GetProperty("merges").EnumerateArray().Select(ReadMerge)), stops);
    }

    private static void Add(string path, Dictionary<int, (string Text, TokenKind Kind)> entries, int id, string text, TokenKind kind)
    {
        if (id is < 0 or >= TokensMax)
            throw new ModelFileException(path, FormattableString.Invariant($"token \"{text}\" has the id {id}, allowed are 0 to {TokensMax - 1}"));
        // An added token may be listed in the vocabulary as well; being added wins.
        if (!entries.TryAdd(id, (text, kind)) && (kind == TokenKind.Normal || entries[id].Text != text))
            throw new ModelFileException(path, FormattableString.Invariant($"tokens \"{entries[id].Text}\" and \"{text}\" have the same id {id}"));
        entries[id] = (text, kind);
    }

    /// <summary>"a b" in older files, ["a", "b"] in newer ones.</summary>
    private static string ReadMerge(JsonElement merge) =>
        merge.ValueKind == JsonValueKind.String ? merge.GetString()! : $"{merge[0].GetString()} {merge[1].GetString()}";

    private static PreTokenizer ReadPreTokenizer(string path, JsonElement preTokenizer)
    {
        string? expression = preTokenizer.TryGetProperty("pretokenizers", out JsonElement steps)
            ? steps.EnumerateArray().Where(step => step.GetProperty("type").GetString() == "Split").Select(step => step.GetProperty("pattern").GetProperty("Regex").GetString()).FirstOrDefault()
            : null;
        return expression switch
        {
            @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+" => PreTokenizer.Qwen2,
            @"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+" => PreTokenizer.Qwen35,
            _ => throw new ModelFileException(path, $"the tokenizer splits by an expression that is neither Qwen2's nor Qwen3.5's: {expression ?? "none"}"),
        };
    }
}
