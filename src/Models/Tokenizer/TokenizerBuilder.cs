namespace Qanat.Models;

/// <summary>Checks the parts that a file gives and makes a tokenizer of them.</summary>
internal static class TokenizerBuilder
{
    /// <param name="path">The file, for messages.</param>
    /// <exception cref="ModelFileException">The parts do not fit together.</exception>
    public static BpeTokenizer Build(string path, TokenizerParts parts)
    {
        ModelFileException Bad(FormattableString problem) => new(path, "tokenizer: " + FormattableString.Invariant(problem));

        int count = parts.Entries.Length;
        if (parts.Kinds.Length != count)
            throw Bad($"{count} tokens but {parts.Kinds.Length} token kinds");

        var bytes = new byte[count][];
        var added = new List<AddedToken>();
        var addedTexts = new HashSet<string>(StringComparer.Ordinal);
        var idByEntry = new Dictionary<string, int>(count, StringComparer.Ordinal);
        for (int id = 0; id < count; id++)
        {
            string entry = parts.Entries[id];
            TokenKind kind = parts.Kinds[id];
            bytes[id] = [];
            switch (kind)
            {
                case TokenKind.Normal:
                    if (!ByteAlphabet.TryBytes(entry, out bytes[id]) || entry.Length == 0)
                        throw Bad($"token {id} (\"{entry}\") is not written in the byte alphabet");
                    if (!idByEntry.TryAdd(entry, id))
                        throw Bad($"tokens {idByEntry[entry]} and {id} are the same (\"{entry}\")");
                    break;
                case TokenKind.Control or TokenKind.UserDefined:
                    if (entry.Length == 0 || !addedTexts.Add(entry))
                        throw Bad($"token {id} (\"{entry}\") is an empty or repeated special token");
                    added.Add(new AddedToken(id, entry, kind));
                    bytes[id] = kind == TokenKind.UserDefined ? System.Text.Encoding.UTF8.GetBytes(entry) : [];
                    break;
                case TokenKind.Unused:
                    break;
                default:
                    throw Bad($"token {id} (\"{entry}\") has the unknown kind {(int)kind}");
            }
        }

        if (parts.StopTokens.Any(id => id < 0 || id >= count))
            throw Bad($"an end-of-text token is not in the vocabulary of {count}");
        return new BpeTokenizer(parts.PreTokenizer, bytes, [.. added], ByteTokens(idByEntry, Bad), Merges(parts.Merges, idByEntry, Bad), [.. parts.StopTokens.Distinct()]);
    }

    private static int[] ByteTokens(Dictionary<string, int> idByEntry, Func<FormattableString, ModelFileException> bad)
    {
        var tokens = new int[256];
        for (int value = 0; value < tokens.Length; value++)
        {
            if (!idByEntry.TryGetValue(ByteAlphabet.CharacterOf((byte)value).ToString(), out tokens[value]))
                throw bad($"there is no token for the single byte {value}");
        }
        return tokens;
    }

    private static MergeTable Merges(string[] lines, Dictionary<string, int> idByEntry, Func<FormattableString, ModelFileException> bad)
    {
        Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>> ids = idByEntry.GetAlternateLookup<ReadOnlySpan<char>>();
        var merges = new Merge[lines.Length];
        for (int rank = 0; rank < lines.Length; rank++)
        {
            string line = lines[rank];
            int space = line.IndexOf(' ', StringComparison.Ordinal);
            if (space <= 0 || line.AsSpan(space + 1).Contains(' '))
                throw bad($"merge {rank} (\"{line}\") is not a pair of tokens");
            if (!ids.TryGetValue(line.AsSpan(0, space), out int left) || !ids.TryGetValue(line.AsSpan(space + 1), out int right)
                || !idByEntry.TryGetValue(line.Remove(space, 1), out int merged))
                throw bad($"merge {rank} (\"{line}\") names a token that is not in the vocabulary");
            merges[rank] = new Merge(left, right, merged);
        }
        return new MergeTable(merges);
    }
}
