using Qanat.Models;

namespace Qanat.TinyModel;

/// <summary>Learns a byte-level BPE vocabulary: again and again the most frequent pair of neighbours becomes a new token.
/// Ties go to the pair with the lower token ids, so the same corpus gives the same vocabulary everywhere.</summary>
internal sealed class BpeTrainer
{
    private readonly List<byte[]> _tokens = [.. Enumerable.Range(0, 256).Select(value => new[] { (byte)value })];
    private readonly List<TrainedMerge> _merges = [];
    private readonly List<Word> _words = [];
    private readonly Dictionary<Pair, PairUse> _uses = [];
    private readonly PriorityQueue<Pair, PairOrder> _queue = new();

    private BpeTrainer(IEnumerable<string> texts)
    {
        foreach ((byte[] piece, int count) in CountPieces(texts))
        {
            var word = new Word([.. piece.Select(value => (int)value)], count);
            _words.Add(word);
            for (int i = 0; i + 1 < word.Tokens.Count; i++)
                Add(new Pair(word.Tokens[i], word.Tokens[i + 1]), _words.Count - 1, count);
        }
        foreach ((Pair pair, PairUse use) in _uses)
            _queue.Enqueue(pair, new PairOrder(use.Count, pair));
    }

    /// <summary>Tokens 0 to 255 are the bytes; each merge adds one. Stops early when no pair is left.</summary>
    public static BpeVocabulary Train(IEnumerable<string> texts, int mergeCount)
    {
        var trainer = new BpeTrainer(texts);
        while (trainer._merges.Count < mergeCount && trainer.TryMergeNext())
        {
        }
        return new BpeVocabulary(trainer._tokens, trainer._merges);
    }

    private static List<KeyValuePair<byte[], int>> CountPieces(IEnumerable<string> texts)
    {
        var counts = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (string text in texts)
        {
            foreach (string piece in PieceCutter.Cut(text, PreTokenizer.Qwen2))
                counts[piece] = counts.GetValueOrDefault(piece) + 1;
        }
        return [.. counts.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => KeyValuePair.Create(System.Text.Encoding.UTF8.GetBytes(pair.Key), pair.Value))];
    }

    private bool TryMergeNext()
    {
        while (_queue.TryDequeue(out Pair pair, out PairOrder order))
        {
            PairUse use = _uses[pair];
            if (use.Count != order.Count)
            {
                // The count has changed since the pair was queued; it stands where its present count puts it.
                if (use.Count > 0)
                    _queue.Enqueue(pair, new PairOrder(use.Count, pair));
                continue;
            }
            if (use.Count == 0)
                return false;
            Merge(pair, use);
            return true;
        }
        return false;
    }

    private void Merge(Pair pair, PairUse use)
    {
        int merged = _tokens.Count;
        _tokens.Add([.. _tokens[pair.Left], .. _tokens[pair.Right]]);
        _merges.Add(new TrainedMerge(pair.Left, pair.Right));
        foreach (int index in use.Words)
        {
            Word word = _words[index];
            List<int> tokens = word.Tokens;
            for (int i = 0; i + 1 < tokens.Count; i++)
            {
                if (tokens[i] != pair.Left || tokens[i + 1] != pair.Right)
                    continue;
                if (i > 0)
                {
                    Add(new Pair(tokens[i - 1], tokens[i]), index, -word.Count);
                    Add(new Pair(tokens[i - 1], merged), index, word.Count);
                }
                if (i + 2 < tokens.Count)
                {
                    Add(new Pair(tokens[i + 1], tokens[i + 2]), index, -word.Count);
                    Add(new Pair(merged, tokens[i + 2]), index, word.Count);
                }
                tokens[i] = merged;
                tokens.RemoveAt(i + 1);
            }
        }
        use.Count = 0;
    }

    private void Add(Pair pair, int word, int count)
    {
        if (!_uses.TryGetValue(pair, out PairUse? use))
            _uses[pair] = use = new PairUse();
        use.Count += count;
        if (count > 0)
        {
            use.Words.Add(word);
            if (_merges.Count > 0)
                _queue.Enqueue(pair, new PairOrder(use.Count, pair));
        }
    }

    private readonly record struct Pair(int Left, int Right);

    private sealed record Word(List<int> Tokens, int Count);

    private sealed class PairUse
    {
        public int Count { get; set; }
        public SortedSet<int> Words { get; } = [];
    }

    /// <summary>The most frequent first, then the lowest ids.</summary>
    private readonly record struct PairOrder(int Count, Pair Pair) : IComparable<PairOrder>
    {
        public int CompareTo(PairOrder other) =>
            Count != other.Count ? other.Count.CompareTo(Count)
            : Pair.Left != other.Pair.Left ? Pair.Left.CompareTo(other.Pair.Left)
            : Pair.Right.CompareTo(other.Pair.Right);
    }
}

/// <summary>Left followed by Right became the next token (ids).</summary>
internal readonly record struct TrainedMerge(int Left, int Right);

/// <param name="Tokens">The bytes of each token, by id.</param>
/// <param name="Merges">The merge that made token 256 + n, by n.</param>
internal sealed record BpeVocabulary(IReadOnlyList<byte[]> Tokens, IReadOnlyList<TrainedMerge> Merges);
