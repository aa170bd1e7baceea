namespace Qanat.Models.Tests;

/// <summary>Drives a network over whole sequences whose blocks are scattered over the cache.</summary>
internal sealed class Sequences : IDisposable
{
    private readonly Network _network;
    private readonly KvCache _cache;
    private readonly Queue<int> _free;

    public Sequences(Network network, int blockCount, int blockTokens, int seed)
    {
        _network = network;
        _cache = network.CreateKvCache(blockCount, blockTokens);
        int[] blocks = [.. Enumerable.Range(0, blockCount)];
        new Random(seed).Shuffle(blocks);
        _free = new Queue<int>(blocks);
    }

    public static int[] RandomTokens(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(RandomQwen3.Vocabulary))];
    }

    /// <summary>One step: each part's next tokens; returns logits of every row.</summary>
    public float[][] Step(params (Sequence Sequence, int Count)[] parts)
    {
        List<int> tokens = [], positions = [], tables = [];
        List<StepSlice> slices = [];
        foreach ((Sequence sequence, int count) in parts)
        {
            while (sequence.Blocks.Count * _cache.BlockTokens < sequence.Done + count)
                sequence.Blocks.Add(_free.Dequeue());
            slices.Add(new StepSlice(tokens.Count, count, tables.Count, sequence.Blocks.Count));
            tables.AddRange(sequence.Blocks);
            for (int i = 0; i < count; i++)
            {
                tokens.Add(sequence.Tokens[sequence.Done]);
                positions.Add(sequence.Done++);
            }
        }
        int[] rows = [.. Enumerable.Range(0, tokens.Count)];
        return Forward([.. tokens], [.. positions], [.. slices], [.. tables], rows);
    }

    public float[][] Forward(int[] tokens, int[] positions, StepSlice[] slices, int[] tables, int[] logitRows)
    {
        int vocabulary = _network.Shape.Vocabulary;
        var logits = new float[logitRows.Length * vocabulary];
        _network.Forward(new StepBatch { Tokens = tokens, Positions = positions, Slices = slices, BlockTables = tables, LogitRows = logitRows }, _cache, logits);
        return [.. logits.Chunk(vocabulary)];
    }

    public void Dispose() => _cache.Dispose();

    internal sealed class Sequence(int[] tokens)
    {
        public int[] Tokens { get; } = tokens;
        public List<int> Blocks { get; } = [];
        public int Done { get; set; }
    }
}
