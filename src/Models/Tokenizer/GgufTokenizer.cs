namespace Qanat.Models;

/// <summary>Reads the tokenizer of a GGUF file. Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#tokenizer.</summary>
internal static class GgufTokenizer
{
    // Marks that end a turn or a text; files do not always list both.
    private static readonly byte[][] s_stopTexts = ["<|im_end|>"u8.ToArray(), "<|endoftext|>"u8.ToArray()];
    private static readonly string[] s_stopKeys = ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id"];

    /// <exception cref="ModelFileException">A key is missing or wrong, or the tokenizer is of another kind.</exception>
    public static TokenizerParts Read(ModelSource file)
    {
        string model = file.Text("tokenizer.ggml.model");
        if (model != "gpt2")
            throw file.Bad($"metadata \"tokenizer.ggml.model\" is \"{model}\"; supported is \"gpt2\" (byte-level BPE)");
        PreTokenizer preTokenizer = file.Text("tokenizer.ggml.pre") switch
        {
            "qwen2" => PreTokenizer.Qwen2,
            "qwen35" => PreTokenizer.Qwen35,
            string other => throw file.Bad($"metadata \"tokenizer.ggml.pre\" is \"{other}\"; supported are \"qwen2\" and \"qwen35\""),
        };
        ByteStrings entries = file.Utf8Texts("tokenizer.ggml.tokens");
        TokenKind[] kinds = file.Has("tokenizer.ggml.token_type")
            ? Array.ConvertAll(file.Integers("tokenizer.ggml.token_type"), kind => (TokenKind)kind)
            : throw file.Bad($"metadata \"tokenizer.ggml.token_type\" is missing: special tokens cannot be told from text");

        List<int> stops = [.. s_stopKeys.Where(file.Has).Select(key => file.Integer(key, 0, entries.Count - 1))];
        int[] control = [.. Enumerable.Range(0, Math.Min(entries.Count, kinds.Length)).Where(id => kinds[id] == TokenKind.Control)];
        stops.AddRange(s_stopTexts.SelectMany(text => control.Where(id => entries[id].SequenceEqual(text)).Take(1)));
        return new TokenizerParts(preTokenizer, entries, kinds, file.Utf8Texts("tokenizer.ggml.merges"), [.. stops]);
    }
}
