using Qanat.Kernels;
using static Qanat.Models.Tests.Sequences;

namespace Qanat.Models.Tests;

public sealed class Qwen3NetworkTests
{
    public static TheoryData<GgmlType, int> Types => new MatrixTheoryData<GgmlType, int>([GgmlType.F32, GgmlType.F16, GgmlType.BF16, GgmlType.Q8_0], [1, 2]);

    [Theory]
    [MemberData(nameof(Types))]
    public void Network_equals_the_reference_forward_pass(GgmlType type, int seed)
    {
        using var model = new RandomQwen3(seed % 2 == 0 ? RandomQwen3.Odd : RandomQwen3.Grouped, type, seed, tied: seed % 2 == 0);
        using Network network = Network.Load(model.File, new NetworkOptions { Threads = 2 });
        using var sequences = new Sequences(network, blockCount: 16, blockTokens: 16, seed);
        int[] tokens = RandomTokens(90, seed);

        float[][] logits = sequences.Step((new Sequence(tokens), tokens.Length));
        float[][] expected = new Qwen3Reference(model.File).Logits(tokens);

        // A sum that differs in its last bit can round to the neighbouring byte or half; tiny random networks magnify that.
        double tolerance = type switch { GgmlType.F32 => 1e-3, GgmlType.F16 => 2e-3, _ => 3e-2 };
        for (int row = 0; row < tokens.Length; row++)
            Assert.InRange(RelativeDistance(expected[row], logits[row]), 0, tolerance);
    }

    [Theory]
    [InlineData(GgmlType.F16)]
    [InlineData(GgmlType.Q8_0)]
    public void Every_tier_gives_the_same_bits(GgmlType type)
    {
        using var model = new RandomQwen3(RandomQwen3.Odd, type, seed: 3);
        float[][]? first = null;
        foreach (CpuTier tier in CpuTiers.Supported)
        {
            using Network network = Network.Load(model.File, new NetworkOptions { Threads = 1, Tier = tier });
            using var sequences = new Sequences(network, blockCount: 4, blockTokens: 32, seed: 1);
            float[][] logits = sequences.Step((new Sequence(RandomTokens(40, 3)), 40));
            AssertSame(first ??= logits, logits);
        }
    }

    [Theory]
    [InlineData(GgmlType.F32, 1)]
    [InlineData(GgmlType.F16, 2)]
    [InlineData(GgmlType.BF16, 3)]
    [InlineData(GgmlType.Q8_0, 4)]
    public void A_rows_bits_do_not_depend_on_chunks_neighbours_blocks_or_threads(GgmlType type, int seed)
    {
        using var model = new RandomQwen3(RandomQwen3.Odd, type, seed);
        int[][] texts = [RandomTokens(150, seed), RandomTokens(97, seed + 1), RandomTokens(31, seed + 2)];
        float[][][] alone;
        using (Network network = Network.Load(model.File, new NetworkOptions { Threads = 1 }))
        {
            using var sequences = new Sequences(network, blockCount: 40, blockTokens: 16, seed);
            alone = [.. texts.Select(text => sequences.Step((new Sequence(text), text.Length)))];
        }

        using (Network network = Network.Load(model.File, new NetworkOptions { Threads = 3 }))
        {
            using var sequences = new Sequences(network, blockCount: 40, blockTokens: 16, seed + 1);
            var random = new Random(seed);
            Sequence[] running = [.. texts.Select(text => new Sequence(text))];
            while (running.Any(sequence => sequence.Done < sequence.Tokens.Length))
            {
                (Sequence Sequence, int Count)[] parts = [.. running.Where(sequence => sequence.Done < sequence.Tokens.Length && random.Next(4) > 0)
                    .Select(sequence => (sequence, Math.Min(random.Next(3) == 0 ? 1 : random.Next(1, 40), sequence.Tokens.Length - sequence.Done)))];
                if (parts.Length == 0)
                    continue;
                int[] before = [.. parts.Select(part => part.Sequence.Done)];
                float[][] logits = sequences.Step(parts);
                int row = 0;
                for (int p = 0; p < parts.Length; p++)
                    for (int i = 0; i < parts[p].Count; i++)
                        AssertSame(alone[Array.IndexOf(running, parts[p].Sequence)][before[p] + i], logits[row++]);
            }
        }
    }

    [Fact]
    public void Logits_of_some_rows_are_those_of_all_rows()
    {
        using var model = new RandomQwen3(RandomQwen3.Grouped, GgmlType.Q8_0, seed: 5);
        using Network network = Network.Load(model.File, new NetworkOptions { Threads = 2 });
        int[] tokens = RandomTokens(20, 5);
        int[] positions = [.. Enumerable.Range(0, 12), .. Enumerable.Range(0, 8)];
        StepSlice[] slices = [new(0, 12, 0, 1), new(12, 8, 1, 1)];
        using var sequences = new Sequences(network, blockCount: 4, blockTokens: 16, seed: 1);
        float[][] all = sequences.Forward(tokens, positions, slices, [3, 1], [.. Enumerable.Range(0, 20)]);
        float[][] some = sequences.Forward(tokens, positions, slices, [0, 2], [0, 11, 12, 19]);
        AssertSame([all[0], all[11], all[12], all[19]], some);
        Assert.Empty(sequences.Forward(tokens, positions, slices, [3, 1], []));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(24)]
    public void Blocks_of_any_size_work(int blockTokens)
    {
        using var model = new RandomQwen3(RandomQwen3.Odd, GgmlType.F32, seed: 6);
        using Network network = Network.Load(model.File, new NetworkOptions { Threads = 1 });
        int[] tokens = RandomTokens(70, 6);
        using var sequences = new Sequences(network, blockCount: 80, blockTokens, seed: 1);
        var sequence = new Sequence(tokens);
        float[][] logits = [.. sequences.Step((sequence, 50)), .. sequences.Step((sequence, 20))];
        float[][] expected = new Qwen3Reference(model.File).Logits(tokens);
        for (int row = 0; row < tokens.Length; row++)
            Assert.InRange(RelativeDistance(expected[row], logits[row]), 0, 1e-3);
    }

    [Fact]
    public void A_steady_step_allocates_nothing()
    {
        using var model = new RandomQwen3(RandomQwen3.Odd, GgmlType.Q8_0, seed: 7);
        using Network network = Network.Load(model.File, new NetworkOptions { Threads = 2 });
        using KvCache cache = network.CreateKvCache(8, 16);
        var logits = new float[2 * RandomQwen3.Vocabulary];
        int[] tokens = [1, 2, 3, 4, 5, 6, 7, 8], positions = [0, 1, 2, 3, 4, 5, 6, 0], tables = [5, 2], rows = [6, 7];
        StepSlice[] slices = [new(0, 7, 0, 1), new(7, 1, 1, 1)];
        void Step() => network.Forward(new StepBatch { Tokens = tokens, Positions = positions, Slices = slices, BlockTables = tables, LogitRows = rows }, cache, logits);
        for (int i = 0; i < 3; i++)
            Step();
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 10; i++)
            Step();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    /// <summary>Length of the difference over length of the expected vector.</summary>
    private static double RelativeDistance(float[] expected, float[] actual) =>
        Math.Sqrt(expected.Zip(actual, (a, b) => Math.Pow((double)a - b, 2)).Sum() / expected.Sum(a => (double)a * a));

    internal static void AssertSame(float[][] expected, float[][] actual)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (int row = 0; row < expected.Length; row++)
            AssertSame(expected[row], actual[row]);
    }

    internal static void AssertSame(float[] expected, float[] actual)
    {
        for (int i = 0; i < expected.Length; i++)
            if (BitConverter.SingleToInt32Bits(expected[i]) != BitConverter.SingleToInt32Bits(actual[i]))
                Assert.Fail(FormattableString.Invariant($"number {i} is {actual[i]:R}, not {expected[i]:R}"));
    }
}
