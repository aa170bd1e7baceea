using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;

namespace Qanat.Models;

public enum SpecialText
{
    /// <summary>The text of a special token is text like any other: what users write never steers the model.</summary>
    AsPlainText,

    /// <summary>The text of an added token becomes that token.</summary>
    Parse,
}

/// <summary>Byte-level BPE as Qwen uses it: added tokens are cut out, the rest is put in NFC, cut into pieces, and each piece merged by rank.
/// Gives the ids of the Hugging Face library, also where llama.cpp differs (it does not apply NFC). Safe for any number of threads.</summary>
public sealed class BpeTokenizer
{
    private readonly PreTokenizer _preTokenizer;
    private readonly ByteStrings _bytes;
    private readonly Dictionary<int, AddedToken> _addedById;
    private readonly Dictionary<string, int> _addedByText;
    private readonly AddedTokenFinder _finder;
    private readonly int[] _byteTokens;
    private readonly MergeTable _merges;
    private readonly PieceCache _cache = new();

    internal BpeTokenizer(PreTokenizer preTokenizer, ByteStrings bytes, AddedToken[] addedTokens, int[] byteTokens, MergeTable merges, int[] stopTokens)
    {
        _preTokenizer = preTokenizer;
        _bytes = bytes;
        _byteTokens = byteTokens;
        _merges = merges;
        AddedTokens = addedTokens;
        StopTokens = stopTokens;
        _addedById = addedTokens.ToDictionary(token => token.Id);
        _addedByText = addedTokens.ToDictionary(token => token.Text, token => token.Id, StringComparer.Ordinal);
        _finder = new AddedTokenFinder(addedTokens);
    }

    /// <summary>Tokens in the vocabulary; ids are 0 to Count - 1.</summary>
    public int Count => _bytes.Count;

    /// <summary>Ends of generation: &lt;|im_end|&gt;, &lt;|endoftext|&gt;.</summary>
    public IReadOnlyList<int> StopTokens { get; }

    /// <summary>Control and user-defined tokens.</summary>
    public IReadOnlyList<AddedToken> AddedTokens { get; }

    /// <summary>Reads the tokenizer.ggml.* metadata.</summary>
    /// <exception cref="ModelFileException">The file has no tokenizer, not one of Qwen's kind, or a damaged one.</exception>
    public static BpeTokenizer FromGguf(ModelSource file) => TokenizerBuilder.Build(file.Path, GgufTokenizer.Read(file));

    /// <summary>Reads a tokenizer.json of the Hugging Face library.</summary>
    /// <exception cref="ModelFileException">The file cannot be read, is not a tokenizer of Qwen's kind, or damaged.</exception>
    public static BpeTokenizer FromTokenizerJson(string path) => TokenizerBuilder.Build(path, TokenizerJson.Read(path));

    /// <summary>Token ids of a text. Special-token text becomes special tokens only with <see cref="SpecialText.Parse"/>.</summary>
    public int[] Encode(string text, SpecialText special)
    {
        var tokens = new List<int>((text.Length / 3) + 8);
        Encode(text, special, tokens);
        return [.. tokens];
    }

    /// <summary>Appends the token ids of a text.</summary>
    public void Encode(string text, SpecialText special, List<int> tokens)
    {
        if (special == SpecialText.AsPlainText)
        {
            EncodePlain(text, tokens);
            return;
        }
        ReadOnlySpan<char> rest = text;
        while (_finder.TryFind(rest, out int index, out AddedToken added))
        {
            EncodePlain(rest[..index].ToString(), tokens);
            tokens.Add(added.Id);
            rest = rest[(index + added.Text.Length)..];
        }
        EncodePlain(rest.ToString(), tokens);
    }

    /// <summary>The first text of an added token; false when there is none.</summary>
    internal bool TryFindAdded(ReadOnlySpan<char> text, out int index, out AddedToken added) => _finder.TryFind(text, out index, out added);

    /// <summary>The bytes a token stands for; empty for control tokens and unused entries.</summary>
    /// <exception cref="ArgumentOutOfRangeException">No such id.</exception>
    public ReadOnlySpan<byte> Bytes(int token) => token >= 0 && token < _bytes.Count ? _bytes[token] : throw NoSuchToken(token);

    /// <summary>The text of a control or user-defined token, e.g. "&lt;|im_end|&gt;"; null for an ordinary one.</summary>
    public string? SpecialTextOf(int token) => _addedById.TryGetValue(token, out AddedToken? added) ? added.Text : null;

    /// <summary>The id of a control or user-defined token by its text, e.g. "&lt;/think&gt;".</summary>
    public bool TryTokenOf(string specialText, out int token) => _addedByText.TryGetValue(specialText, out token);

    /// <summary>The text of tokens: their bytes as UTF-8, with U+FFFD for what is none. Control tokens leave nothing.</summary>
    public string Decode(ReadOnlySpan<int> tokens)
    {
        var bytes = new ArrayBufferWriter<byte>();
        foreach (int token in tokens)
            bytes.Write(Bytes(token));
        return Encoding.UTF8.GetString(bytes.WrittenSpan);
    }

    private void EncodePlain(string text, List<int> tokens)
    {
        var pieces = new PieceScanner(Nfc.Normalize(text), _preTokenizer);
        while (pieces.MoveNext())
        {
            if (_cache.TryGet(pieces.Current, out ReadOnlySpan<int> known))
                tokens.AddRange(known);
            else
                EncodePiece(pieces.Current, tokens);
        }
    }

    private void EncodePiece(ReadOnlySpan<char> piece, List<int> tokens)
    {
        const int StackBytes = 3 * PieceCache.PieceUnitsMax;
        int bytesMax = checked(piece.Length * 3);
        byte[]? rentedBytes = bytesMax > StackBytes ? ArrayPool<byte>.Shared.Rent(bytesMax) : null;
        int[]? rentedTokens = bytesMax > StackBytes ? ArrayPool<int>.Shared.Rent(bytesMax) : null;
        Span<byte> bytes = rentedBytes ?? stackalloc byte[StackBytes];
        Span<int> merged = rentedTokens ?? stackalloc int[StackBytes];

        bytes = bytes[..Encoding.UTF8.GetBytes(piece, bytes)];
        for (int i = 0; i < bytes.Length; i++)
            merged[i] = _byteTokens[bytes[i]];
        merged = merged[..PieceMerger.Merge(merged[..bytes.Length], _merges)];
        tokens.AddRange(merged);
        _cache.Put(piece, merged);

        if (rentedBytes is not null)
            ArrayPool<byte>.Shared.Return(rentedBytes);
        if (rentedTokens is not null)
            ArrayPool<int>.Shared.Return(rentedTokens);
    }

    private ArgumentOutOfRangeException NoSuchToken(int token) =>
        new(nameof(token), token, FormattableString.Invariant($"the vocabulary has {Count} tokens"));
}
