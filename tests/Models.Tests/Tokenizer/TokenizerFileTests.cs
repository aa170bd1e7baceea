using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Qanat.Models.Tests;

/// <summary>Tokenizers as files give them: both kinds of file, and damaged ones.</summary>
public sealed class TokenizerFileTests
{
    /// <summary>A vocabulary of the 256 bytes, "ab", and one mark.</summary>
    private static Dictionary<string, GgufValue> Small()
    {
        string[] tokens = [.. Enumerable.Range(0, 256).Select(value => ByteAlphabet.CharacterOf((byte)value).ToString()), "ab", "<|im_end|>"];
        return new(StringComparer.Ordinal)
        {
            ["tokenizer.ggml.model"] = GgufValue.Of("gpt2"),
            ["tokenizer.ggml.pre"] = GgufValue.Of("qwen2"),
            ["tokenizer.ggml.tokens"] = GgufValue.Of(tokens),
            ["tokenizer.ggml.token_type"] = GgufValue.Of([.. Enumerable.Repeat(1, 257), 3]),
            ["tokenizer.ggml.merges"] = GgufValue.Of(["a b"]),
            ["tokenizer.ggml.eos_token_id"] = GgufValue.Of(257u),
        };
    }

    private static BpeTokenizer Read(Dictionary<string, GgufValue> metadata)
    {
        using var stream = new MemoryStream();
        GgufWriter.Write(stream, [.. metadata], []);
        using var temp = new TempFile(stream.ToArray());
        using GgufFile file = GgufFile.Open(temp.Path);
        return BpeTokenizer.FromGguf(file);
    }

    private static string Refusal(string key, GgufValue? value)
    {
        Dictionary<string, GgufValue> metadata = Small();
        if (value is null)
            metadata.Remove(key);
        else
            metadata[key] = value;
        return Assert.Throws<ModelFileException>(() => Read(metadata)).Problem;
    }

    [Fact]
    public void A_small_tokenizer_works()
    {
        BpeTokenizer tokenizer = Read(Small());
        Assert.Equal([256, (int)'c'], tokenizer.Encode("abc", SpecialText.AsPlainText)); // the tokens of bytes are in the order of bytes here
        Assert.Equal([257], tokenizer.StopTokens);
        Assert.Equal(258, tokenizer.Count);
    }

    [Fact]
    public void Damaged_metadata_is_refused_by_name()
    {
        string[] tokens = (string[])Small()["tokenizer.ggml.tokens"].Raw;
        Assert.Contains("\"tokenizer.ggml.model\" is missing", Refusal("tokenizer.ggml.model", null), StringComparison.Ordinal);
        Assert.Contains("\"llama\"; supported is \"gpt2\"", Refusal("tokenizer.ggml.model", GgufValue.Of("llama")), StringComparison.Ordinal);
        Assert.Contains("supported are \"qwen2\" and \"qwen35\"", Refusal("tokenizer.ggml.pre", GgufValue.Of("llama-bpe")), StringComparison.Ordinal);
        Assert.Contains("\"tokenizer.ggml.tokens\" is missing", Refusal("tokenizer.ggml.tokens", null), StringComparison.Ordinal);
        Assert.Contains("\"tokenizer.ggml.token_type\" is missing", Refusal("tokenizer.ggml.token_type", null), StringComparison.Ordinal);
        Assert.Contains("258 tokens but 2 token kinds", Refusal("tokenizer.ggml.token_type", GgufValue.Of([1, 1])), StringComparison.Ordinal);
        Assert.Contains("\"tokenizer.ggml.merges\" is missing", Refusal("tokenizer.ggml.merges", null), StringComparison.Ordinal);
        Assert.Contains("is not a pair of tokens", Refusal("tokenizer.ggml.merges", GgufValue.Of(["ab"])), StringComparison.Ordinal);
        Assert.Contains("is not a pair of tokens", Refusal("tokenizer.ggml.merges", GgufValue.Of(["a b c"])), StringComparison.Ordinal);
        Assert.Contains("names a token that is not in the vocabulary", Refusal("tokenizer.ggml.merges", GgufValue.Of(["a b", "a c"])), StringComparison.Ordinal);
        Assert.Contains("must be between 0 and 257", Refusal("tokenizer.ggml.eos_token_id", GgufValue.Of(258u)), StringComparison.Ordinal);
        Assert.Contains("not written in the byte alphabet", Refusal("tokenizer.ggml.tokens", GgufValue.Of([.. tokens[..256], "a b", "<|im_end|>"])), StringComparison.Ordinal);
        Assert.Contains("tokens 64 and 256 are the same", Refusal("tokenizer.ggml.tokens", GgufValue.Of([.. tokens[..256], tokens[64], "<|im_end|>"])), StringComparison.Ordinal);
        Assert.Contains("no token for the single byte 65", Refusal("tokenizer.ggml.tokens", GgufValue.Of([.. tokens[..65], "cd", .. tokens[66..]])), StringComparison.Ordinal);
    }

    /// <summary>The tiny tokenizer as the tokenizer.json that the Hugging Face library would write.</summary>
    private static JsonObject TinyJson()
    {
        using TempFile temp = TinyFile.Write();
        using GgufFile file = GgufFile.Open(temp.Path);
        string[] tokens = file.Texts("tokenizer.ggml.tokens");
        int[] kinds = file.Integers("tokenizer.ggml.token_type");
        var vocabulary = new JsonObject();
        var added = new JsonArray();
        for (int id = 0; id < tokens.Length; id++)
        {
            if (kinds[id] == 1)
                vocabulary[tokens[id]] = id;
            else
                added.Add(new JsonObject { ["id"] = id, ["content"] = tokens[id], ["single_word"] = false, ["lstrip"] = false, ["rstrip"] = false, ["normalized"] = false, ["special"] = kinds[id] == 3 });
        }
        return new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = added,
            ["normalizer"] = new JsonObject { ["type"] = "NFC" },
            ["pre_tokenizer"] = JsonNode.Parse("""
                {"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"},"behavior":"Isolated"},{"type":"ByteLevel"}]}
                """),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray([.. file.Texts("tokenizer.ggml.merges").Select(merge => (JsonNode)new JsonArray([.. merge.Split(' ').Select(part => (JsonNode)part)]))]),
            },
        };
    }

    private static BpeTokenizer ReadJson(string json)
    {
        using var temp = new TempFile(Encoding.UTF8.GetBytes(json));
        return BpeTokenizer.FromTokenizerJson(temp.Path);
    }

    [Fact]
    public void Both_kinds_of_file_make_the_same_tokenizer()
    {
        BpeTokenizer fromJson = ReadJson(TinyJson().ToJsonString()), fromGguf = TinyFile.Tokenizer;
        Assert.Equal(fromGguf.Count, fromJson.Count);
        Assert.Equal(fromGguf.StopTokens.Order(), fromJson.StopTokens.Order());
        Assert.Equal(fromGguf.AddedTokens, fromJson.AddedTokens);
        foreach (string text in new[] { "The water of the village.", "水渠\n\n  पानी <think>x</think><|im_end|>", "def f(x):\n    return x" })
            Assert.Equal(fromGguf.Encode(text, SpecialText.Parse), fromJson.Encode(text, SpecialText.Parse));
    }

    [Fact]
    public void Damaged_tokenizer_json_is_refused()
    {
        string whole = TinyJson().ToJsonString(new JsonSerializerOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        for (int length = 0; length < whole.Length; length += whole.Length / 50)
            Assert.Throws<ModelFileException>(() => ReadJson(whole[..length]));
        Assert.Throws<ModelFileException>(() => ReadJson("[]"));
        Assert.Throws<ModelFileException>(() => ReadJson("""{"model":{"vocab":3}}"""));
        Assert.Contains("NFC", Assert.Throws<ModelFileException>(() => ReadJson(whole.Replace("\"NFC\"", "\"NFKC\"", StringComparison.Ordinal))).Problem, StringComparison.Ordinal);
        Assert.Contains("Unigram", Assert.Throws<ModelFileException>(() => ReadJson(whole.Replace("\"BPE\"", "\"Unigram\"", StringComparison.Ordinal))).Problem, StringComparison.Ordinal);
        Assert.Contains("splits by", Assert.Throws<ModelFileException>(() => ReadJson(whole.Replace("|'ll|", "|", StringComparison.Ordinal))).Problem, StringComparison.Ordinal);
        Assert.Contains("has the id", Assert.Throws<ModelFileException>(() => ReadJson(whole.Replace("\"id\":4070", "\"id\":2000000000", StringComparison.Ordinal))).Problem, StringComparison.Ordinal);
        Assert.Contains("same id", Assert.Throws<ModelFileException>(() => ReadJson(whole.Replace("\"id\":4070", "\"id\":7", StringComparison.Ordinal))).Problem, StringComparison.Ordinal);
        Assert.Contains("strips", Assert.Throws<ModelFileException>(() => ReadJson(whole.Replace("\"rstrip\":false", "\"rstrip\":true", StringComparison.Ordinal))).Problem, StringComparison.Ordinal);
    }
}
