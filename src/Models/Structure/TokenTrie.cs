namespace Qanat.Models;

/// <summary>The vocabulary as a tree of bytes, flat in depth-first order: what lies under a node follows it. Walking it with an automaton visits each shared beginning once.</summary>
internal sealed class TokenTrie
{
    private readonly byte[] bytes;
    private readonly int[] ends;
    private readonly int[] depths;
    private readonly int[][] tokens;

    public TokenTrie(BpeTokenizer tokenizer)
    {
        Vocabulary = tokenizer.Count;
        StopTokens = [.. tokenizer.StopTokens];
        int[] order = [.. Enumerable.Range(0, tokenizer.Count).Where(token => tokenizer.Bytes(token).Length > 0)];
        byte[][] texts = [.. order.Select(token => tokenizer.Bytes(token).ToArray())];
        Array.Sort(texts, order, Comparer<byte[]>.Create((a, b) => a.AsSpan().SequenceCompareTo(b)));
        Texts = new byte[tokenizer.Count][];
        for (int i = 0; i < order.Length; i++) Texts[order[i]] = texts[i];

        List<byte> nodeBytes = [];
        List<int> nodeDepths = [];
        List<int[]> nodeTokens = [];
        byte[] path = [];
        for (int i = 0; i < order.Length; i++)
        {
            int shared = texts[i].AsSpan().CommonPrefixLength(path);
            for (int depth = shared; depth < texts[i].Length; depth++)
            {
                nodeBytes.Add(texts[i][depth]);
                nodeDepths.Add(depth);
                nodeTokens.Add([]);
            }
            // Two tokens may stand for the same bytes, as when an added token is also an ordinary one.
            nodeTokens[^1] = [.. nodeTokens[^1], order[i]];
            path = texts[i];
            LongestToken = Math.Max(LongestToken, path.Length);
        }
        (bytes, depths, tokens) = ([.. nodeBytes], [.. nodeDepths], [.. nodeTokens]);
        ends = new int[bytes.Length];
        for (int node = bytes.Length - 1; node >= 0; node--)
        {
            int next = node + 1;
            while (next < bytes.Length && depths[next] > depths[node]) next = ends[next];
            ends[node] = next;
        }
    }

    public int Vocabulary { get; }
    public int[] StopTokens { get; }

    /// <summary>Bytes of the longest token.</summary>
    public int LongestToken { get; }

    /// <summary>The bytes of each token; null for those that are no text.</summary>
    public byte[]?[] Texts { get; }

    public int Count => bytes.Length;
    public ReadOnlySpan<byte> Bytes => bytes;

    /// <summary>For each node the first that no longer lies under it.</summary>
    public ReadOnlySpan<int> Ends => ends;

    public ReadOnlySpan<int> Depths => depths;

    /// <summary>Tokens that end at a node.</summary>
    public ReadOnlySpan<int> TokensAt(int node) => tokens[node];
}
