namespace Qanat.Models.Tests;

/// <summary>Drives a network over whole sequences whose blocks are scattered over the cache.</summary>
internal sealed class Sequences : IDisposable
{
    private const int StateCount = 16;

    private readonly Network _network;
    private readonly KvCache _cache;
    private readonly Queue<int> _free;
    private readonly Queue<int> _freeStates;

    public Sequences(Network network, int blockCount, int blockTokens, int seed)
    {
        _network = network;
        _cache = network.CreateKvCache(blockCount, blockTokens, StateCount);
        int[] blocks = [.. Enumerable.Range(0, blockCount)];
        new Random(seed).Shuffle(blocks);
        _free = new Queue<int>(blocks);
        _freeStates = new Queue<int>(Enumerable.Range(0, _cache.StateCount).Reverse());
    }

    public static int[] RandomTokens(int count, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(_ => random.Next(RandomDecoder.Vocabulary))];
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
            slices.Add(new StepSlice(tokens.Count, count, tables.Count, sequence.Blocks.Count, sequence.State, NextState(sequence)));
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

    /// <summary>Every second time another state than the one read, as after a checkpoint.</summary>
    private int NextState(Sequence sequence)
    {
        if (_cache.StateCount == 0 || (sequence.State >= 0 && sequence.Done % 2 == 0))
            return sequence.State;
        if (sequence.State >= 0 && !sequence.KeepsStates)
            _freeStates.Enqueue(sequence.State);
        return sequence.State = _freeStates.Dequeue();
    }

    public float[][] Forward(int[] tokens, int[] positions, StepSlice[] slices, int[] tables, int[] logitRows)
    {
        Span<float> logits = _network.Forward(new StepBatch { Tokens = tokens, Positions = positions, Slices = slices, BlockTables = tables, LogitRows = logitRows }, _cache);
        return [.. logits.ToArray().Chunk(_network.Shape.Vocabulary)];
    }

    public void Dispose() => _cache.Dispose();

    internal sealed class Sequence(int[] tokens)
    {
        public int[] Tokens { get; } = tokens;
        public List<int> Blocks { get; } = [];
        public int Done { get; set; }
        public int State { get; set; } = StepSlice.None;

        /// <summary>States that were left stay as they are.</summary>
        public bool KeepsStates { get; init; }
    }
}
