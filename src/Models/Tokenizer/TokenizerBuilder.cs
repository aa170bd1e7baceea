using System.Runtime.CompilerServices;

namespace Qanat.Models;

/// <summary>Checks the parts that a file gives and makes a tokenizer of them. Works on bytes: making strings of a vocabulary and its merges takes longer than all the rest.</summary>
internal static class TokenizerBuilder
{
    /// <param name="path">The file, for messages.</param>
    /// <exception cref="ModelFileException">The parts do not fit together.</exception>
    public static BpeTokenizer Build(string path, TokenizerParts parts)
    {
        ModelFileException Bad(FormattableString problem) => new(path, "tokenizer: " + FormattableString.Invariant(problem));

        int count = parts.Entries.Count;
        if (parts.Kinds.Length != count)
            throw Bad($"{count} tokens but {parts.Kinds.Length} token kinds");
        ByteStrings tokens = BytesOf(parts, Bad);
        TokenIndex index = IndexOf(tokens, parts, Bad);
        if (parts.StopTokens.Any(id => id < 0 || id >= count))
            throw Bad($"an end-of-text token is not in the vocabulary of {count}");
        return new BpeTokenizer(parts.PreTokenizer, tokens, Added(parts, Bad), ByteTokens(index, Bad), Merges(parts, tokens, index, Bad), [.. parts.StopTokens.Distinct()]);
    }

    /// <summary>What each token stands for: nothing for control tokens and unused ones.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static ByteStrings BytesOf(TokenizerParts parts, Func<FormattableString, ModelFileException> bad)
    {
        ByteStrings entries = parts.Entries;
        var bytes = new byte[entries.ByteCount];
        var ends = new int[entries.Count];
        int end = 0;
        for (int id = 0; id < ends.Length; id++)
        {
            ReadOnlySpan<byte> entry = entries[id];
            switch (parts.Kinds[id])
            {
                case TokenKind.Normal:
                    if (!ByteAlphabet.TryBytes(entry, bytes.AsSpan(end), out int written) || written == 0)
                        throw bad($"token {id} (\"{entries.Text(id)}\") is not written in the byte alphabet");
                    end += written;
                    break;
                case TokenKind.UserDefined:
                    entry.CopyTo(bytes.AsSpan(end));
                    end += entry.Length;
                    break;
                case TokenKind.Control or TokenKind.Unused:
                    break;
                default:
                    throw bad($"token {id} (\"{entries.Text(id)}\") has the unknown kind {(int)parts.Kinds[id]}");
            }
            ends[id] = end;
        }
        return new ByteStrings(bytes, ends);
    }

    /// <summary>The tokens that merging can give.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static TokenIndex IndexOf(ByteStrings tokens, TokenizerParts parts, Func<FormattableString, ModelFileException> bad)
    {
        var index = new TokenIndex(tokens);
        for (int id = 0; id < tokens.Count; id++)
        {
            int same = id;
            if (parts.Kinds[id] == TokenKind.Normal && !index.TryAdd(ref same))
                throw bad($"tokens {same} and {id} are the same (\"{parts.Entries.Text(id)}\")");
        }
        return index;
    }

    private static AddedToken[] Added(TokenizerParts parts, Func<FormattableString, ModelFileException> bad)
    {
        var added = new List<AddedToken>();
        var texts = new HashSet<string>(StringComparer.Ordinal);
        for (int id = 0; id < parts.Kinds.Length; id++)
        {
            if (parts.Kinds[id] is not (TokenKind.Control or TokenKind.UserDefined))
                continue;
            string text = parts.Entries.Text(id);
            if (text.Length == 0 || !texts.Add(text))
                throw bad($"token {id} (\"{text}\") is an empty or repeated special token");
            added.Add(new AddedToken(id, text, parts.Kinds[id]));
        }
        return [.. added];
    }

    private static int[] ByteTokens(TokenIndex index, Func<FormattableString, ModelFileException> bad)
    {
        var tokens = new int[256];
        for (int value = 0; value < tokens.Length; value++)
        {
            if (!index.TryGet([(byte)value], out tokens[value]))
                throw bad($"there is no token for the single byte {value}");
        }
        return tokens;
    }

    private static MergeTable Merges(TokenizerParts parts, ByteStrings tokens, TokenIndex index, Func<FormattableString, ModelFileException> bad)
    {
        ByteStrings lines = parts.Merges;
        var merges = new Merge[lines.Count];
        byte[] bytes = [];
        // Vocabularies list what merging gives in the order of the merges: mostly a token is found where the one before it lets expect it.
        int ahead = 0;
        for (int rank = 0; rank < merges.Length; rank++)
        {
            ReadOnlySpan<byte> line = lines[rank];
            int space = line.IndexOf((byte)' ');
            if (space <= 0 || line[(space + 1)..].Contains((byte)' '))
                throw bad($"merge {rank} (\"{lines.Text(rank)}\") is not a pair of tokens");
            if (bytes.Length < line.Length)
                bytes = new byte[2 * line.Length];
            // The pair's bytes side by side are those of what it becomes.
            int merged = rank + ahead;
            if (!ByteAlphabet.TryBytes(line[..space], bytes, out int left) || !ByteAlphabet.TryBytes(line[(space + 1)..], bytes.AsSpan(left), out int right)
                || !index.TryGet(bytes.AsSpan(0, left), out int leftId) || !index.TryGet(bytes.AsSpan(left, right), out int rightId)
                || !(IsAt(merged, bytes.AsSpan(0, left + right)) || index.TryGet(bytes.AsSpan(0, left + right), out merged)))
                throw bad($"merge {rank} (\"{lines.Text(rank)}\") names a token that is not in the vocabulary");
            ahead = merged - rank;
            merges[rank] = new Merge(leftId, rightId, merged);
        }
        return new MergeTable(merges);

        bool IsAt(int id, ReadOnlySpan<byte> wanted) => id < tokens.Count && parts.Kinds[id] == TokenKind.Normal && tokens[id].SequenceEqual(wanted);
    }
}
