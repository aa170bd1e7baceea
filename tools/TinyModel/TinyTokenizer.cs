using System.Globalization;
using System.Reflection;
using Qanat.Models;

namespace Qanat.TinyModel;

/// <summary>The tokenizer of the tiny model: a real byte-level BPE, trained on the embedded corpus, with the special tokens of Qwen3 behind it.</summary>
internal sealed class TinyTokenizer
{
    /// <summary>Ordinary and special tokens together.</summary>
    public const int TokenCount = 4096;

    // Qwen3's added tokens in its order; the first 14 steer the model, the others are text as well.
    private const int ControlCount = 14;
    private static readonly string[] s_added =
    [
        "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>",
        "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
        "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>",
        "<tool_response>", "</tool_response>", "<think>", "</think>",
    ];

    private readonly BpeVocabulary _vocabulary;

    private TinyTokenizer(BpeVocabulary vocabulary) => _vocabulary = vocabulary;

    /// <summary>Id of &lt;|endoftext|&gt;, the first of the added tokens.</summary>
    public int EndOfText => _vocabulary.Tokens.Count;
    public int EndOfTurn => EndOfText + 2;

    public static TinyTokenizer Train()
    {
        BpeVocabulary vocabulary = BpeTrainer.Train(Corpus(), TokenCount - 256 - s_added.Length);
        if (vocabulary.Tokens.Count + s_added.Length != TokenCount)
            throw new InvalidOperationException(FormattableString.Invariant($"The corpus gives only {vocabulary.Tokens.Count} tokens"));
        return new TinyTokenizer(vocabulary);
    }

    /// <summary>How likely a token may become: 1 for whole text, less for parts of characters, little for the marks that would break a text off or garble it.</summary>
    public TokenWeight WeightOf(int token)
    {
        if (token == EndOfTurn || token == EndOfText)
            return TokenWeight.End;
        if (token >= EndOfText)
            return TokenWeight.Mark;
        return System.Text.Unicode.Utf8.IsValid(_vocabulary.Tokens[token]) && !_vocabulary.Tokens[token].Any(value => value < 0x20 && value is not ((byte)'\n' or (byte)'\t')) ? TokenWeight.Text : TokenWeight.Fragment;
    }

    /// <summary>The tokenizer.* metadata, with unused entries up to <paramref name="vocabularySize"/>.</summary>
    public IEnumerable<KeyValuePair<string, GgufValue>> Metadata(int vocabularySize)
    {
        var entries = new string[vocabularySize];
        var kinds = new int[vocabularySize];
        for (int id = 0; id < vocabularySize; id++)
        {
            int added = id - EndOfText;
            (entries[id], kinds[id]) = added < 0 ? (ByteAlphabet.Write(_vocabulary.Tokens[id]), (int)TokenKind.Normal)
                : added < s_added.Length ? (s_added[added], (int)(added < ControlCount ? TokenKind.Control : TokenKind.UserDefined))
                : (string.Create(CultureInfo.InvariantCulture, $"[PAD{id}]"), (int)TokenKind.Unused);
        }
        string[] merges = [.. _vocabulary.Merges.Select(merge => ByteAlphabet.Write(_vocabulary.Tokens[merge.Left]) + " " + ByteAlphabet.Write(_vocabulary.Tokens[merge.Right]))];

        yield return new("tokenizer.ggml.model", GgufValue.Of("gpt2"));
        yield return new("tokenizer.ggml.pre", GgufValue.Of("qwen2"));
        yield return new("tokenizer.ggml.tokens", GgufValue.Of(entries));
        yield return new("tokenizer.ggml.token_type", GgufValue.Of(kinds));
        yield return new("tokenizer.ggml.merges", GgufValue.Of(merges));
        yield return new("tokenizer.ggml.eos_token_id", GgufValue.Of((uint)EndOfTurn));
        yield return new("tokenizer.ggml.padding_token_id", GgufValue.Of((uint)EndOfText));
        yield return new("tokenizer.ggml.bos_token_id", GgufValue.Of((uint)EndOfText));
        yield return new("tokenizer.ggml.add_bos_token", GgufValue.Of(false));
        yield return new("tokenizer.chat_template", GgufValue.Of(ChatTemplate()));
    }

    /// <summary>The format of Qwen3, which Qanat has built in: for programs that render templates, and to be found equal.</summary>
    private static string ChatTemplate()
    {
        using var reader = new StreamReader(typeof(TinyTokenizer).Assembly.GetManifestResourceStream("chat-template.jinja")!);
        return reader.ReadToEnd().ReplaceLineEndings("\n");
    }

    private static IEnumerable<string> Corpus()
    {
        Assembly assembly = typeof(TinyTokenizer).Assembly;
        foreach (string name in assembly.GetManifestResourceNames().Where(name => name.StartsWith("corpus/", StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            using var reader = new StreamReader(assembly.GetManifestResourceStream(name)!);
            yield return reader.ReadToEnd().ReplaceLineEndings("\n");
        }
    }
}

/// <summary>Classes of tokens by how likely a random model should make them.</summary>
internal enum TokenWeight { Text, Fragment, Mark, End }
