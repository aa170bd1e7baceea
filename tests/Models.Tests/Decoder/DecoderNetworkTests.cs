using Qanat.Kernels;
using static Qanat.Models.Tests.Sequences;

namespace Qanat.Models.Tests;

public sealed class DecoderNetworkTests
{
    public static TheoryData<GgmlType, int> Types => new MatrixTheoryData<GgmlType, int>([GgmlType.F32, GgmlType.F16, GgmlType.BF16, GgmlType.Q8_0], [1, 2]);

    [Theory]
    [MemberData(nameof(Types))]
    public void Network_equals_the_reference_forward_pass(GgmlType type, int seed)
    {
        using var model = new RandomDecoder(seed % 2 == 0 ? RandomDecoder.Odd : RandomDecoder.Grouped, type, seed, tied: seed % 2 == 0);
        using Network network = Network.Load(model.File, new NetworkOptions { Threads = 2 });
        using var sequences = new Sequences(network, blockCount: 16, blockTokens: 16, seed);
        int[] tokens = RandomTokens(90, seed);

        float[][] logits = sequences.Step((new Sequence(tokens), tokens.Length));
        float[][] expected = new DecoderReference(model.File).Logits(tokens);

        // A sum that differs in its last bit can round to the neighbouring byte or half; tiny random networks magnify that.
        double tolerance = type switch { GgmlType.F32 => 1e-3, GgmlType.F16 => 2e-3, _ => 3e-2 };
        for (int row = 0; row < tokens.Length; row++)
            Assert.InRange(RelativeDistance(expected[row], logits[row]), 0, tolerance);
    }

    public static TheoryData<string, GgmlType> Architectures => new MatrixTheoryData<string, GgmlType>([.. RandomDecoder.Architectures.Select(size => size.Architecture)], [GgmlType.F32, GgmlType.BF16, GgmlType.Q8_0]);

    [Theory]
    [MemberData(nameof(Architectures))]
    public void Every_architecture_equals_its_reference_forward_pass(string architecture, GgmlType type)
    {
        using var model = new RandomDecoder(RandomDecoder.Of(architecture), type, seed: 11, tied: type == GgmlType.F32);
        using Network network = Network.Load(model.File, new NetworkOptions { Threads = 2 });
        using var sequences = new Sequences(network, blockCount: 16, blockTokens: 16, seed: 2);
        int[] tokens = RandomTokens(60, 12);

        float[][] logits = sequences.Step((new Sequence(tokens), tokens.Length));
        float[][] expected = new DecoderReference(model.File).Logits(tokens);

        // A rounded activation can send a row to another expert: then one row differs as a whole, and those that attend to it a little.
        double tolerance = type == GgmlType.F32 ? 1e-3 : 4e-2;
        int[] far = [.. Enumerable.Range(0, tokens.Length).Where(row => RelativeDistance(expected[row], logits[row]) > tolerance)];
        bool chooses = network.Shape.Experts is not null && type != GgmlType.F32;
        Assert.True(far.Length <= (chooses ? tokens.Length / 4 : 0), FormattableString.Invariant($"{far.Length} of {tokens.Length} rows differ, the first is {far.FirstOrDefault()} by {far.Select(row => RelativeDistance(expected[row], logits[row])).FirstOrDefault()}"));
    }

    [Theory]
    [InlineData(1f)]
    [InlineData(4f)]
    public void Stretched_positions_equal_the_reference_and_a_factor_of_1_changes_nothing(float factor)
    {
        using var plain = new RandomDecoder(RandomDecoder.Odd, GgmlType.F32, seed: 4);
        using var stretched = new RandomDecoder(RandomDecoder.Odd, GgmlType.F32, seed: 4, change: (metadata, _) =>
        {
            metadata.Add(new("qwen3.rope.scaling.type", GgufValue.Of("yarn")));
            metadata.Add(new("qwen3.rope.scaling.factor", GgufValue.Of(factor)));
            metadata.Add(new("qwen3.rope.scaling.original_context_length", GgufValue.Of(64u)));
        });
        int[] tokens = RandomTokens(90, 4);
        float[][] Compute(ModelSource file)
        {
            using Network network = Network.Load(file, new NetworkOptions { Threads = 1 });
            using var sequences = new Sequences(network, blockCount: 8, blockTokens: 16, seed: 1);
            return sequences.Step((new Sequence(tokens), tokens.Length));
        }
        float[][] actual = Compute(stretched.File), unchanged = Compute(plain.File), expected = new DecoderReference(stretched.File).Logits(tokens);
        for (int row = 0; row < tokens.Length; row++)
            Assert.InRange(RelativeDistance(expected[row], actual[row]), 0, 1e-3);
        Assert.Equal(factor == 1, unchanged.Zip(actual, (a, b) => a.AsSpan().SequenceEqual(b)).All(same => same));
    }

    [Fact]
    public void Keys_and_values_in_bytes_hardly_change_the_logits()
    {
        using var model = new RandomDecoder(RandomDecoder.Grouped, GgmlType.F32, seed: 1);
        int[] tokens = RandomTokens(200, 1);
        float[][] Logits(KvFormat kv)
        {
            using Network network = Network.Load(model.File, new NetworkOptions { Threads = 2, Kv = kv });
            using var sequences = new Sequences(network, blockCount: 16, blockTokens: 16, seed: 1);
            return sequences.Step((new Sequence(tokens), tokens.Length));
        }

        float[][] halves = Logits(KvFormat.F16), bytes = Logits(KvFormat.Q8);
        double[] distances = [.. halves.Zip(bytes, RelativeDistance)];
        Assert.InRange(distances.Max(), 1e-6, 0.03);
    }

    [Theory]
    [InlineData(GgmlType.F16)]
    [InlineData(GgmlType.Q8_0)]
    public void Every_tier_gives_the_same_bits(GgmlType type)
    {
        using var model = new RandomDecoder(type == GgmlType.F16 ? RandomDecoder.Odd : RandomDecoder.Of("qwen35moe"), type, seed: 3);
        float[][]? first = null;
        foreach (CpuTier tier in CpuTiers.Supported)
        {
            using Network network = Network.Load(model.File, new NetworkOptions { Threads = 1, Tier = tier });
            using var sequences = new Sequences(network, blockCount: 4, blockTokens: 32, seed: 1);
            float[][] logits = sequences.Step((new Sequence(RandomTokens(40, 3)), 40));
            AssertSame(first ??= logits, logits);
        }
    }

    [Fact]
    public void A_file_whose_weights_are_packed_later_is_closed_when_they_are_or_with_the_network()
    {
        using var model = new RandomDecoder(RandomDecoder.Odd, GgmlType.Q8_0, seed: 3);
        GgufTensor tensor = model.File.Tensor("token_embd.weight");
        using (Network network = Network.Load(model.File, new NetworkOptions { Threads = 1, Packing = WeightPacking.Later }))
        {
            long all = network.UnpackedBytes;
            Assert.InRange(all, 1, network.WeightBytes * 2);
            Assert.True(network.PackNext(1));
            Assert.InRange(network.UnpackedBytes, 1, all - 1);
            model.File.Read(tensor).Dispose();
            Assert.False(network.PackNext(long.MaxValue));
            Assert.Equal(0, network.UnpackedBytes);
            Assert.Throws<ObjectDisposedException>(() => model.File.Read(tensor));
            Assert.False(network.PackNext(1));
        }
        using var other = new RandomDecoder(RandomDecoder.Odd, GgmlType.Q8_0, seed: 3);
        Network.Load(other.File, new NetworkOptions { Threads = 1, Packing = WeightPacking.Later }).Dispose();
        Assert.Throws<ObjectDisposedException>(() => other.File.Read(tensor));
    }

    [Theory]
    [InlineData("qwen3", GgmlType.F32, 1)]
    [InlineData("qwen3", GgmlType.F16, 2)]
    [InlineData("qwen3", GgmlType.BF16, 3)]
    [InlineData("qwen3", GgmlType.Q8_0, 4)]
    [InlineData("qwen2", GgmlType.Q8_0, 5)]
    [InlineData("qwen3moe", GgmlType.Q8_0, 6)]
    [InlineData("qwen35", GgmlType.F32, 7)]
    [InlineData("qwen35", GgmlType.Q8_0, 8)]
    [InlineData("qwen35moe", GgmlType.BF16, 9)]
    [InlineData("qwen3next", GgmlType.Q8_0, 10)]
    public void A_rows_bits_do_not_depend_on_chunks_neighbours_blocks_states_or_threads(string architecture, GgmlType type, int seed)
    {
        using var model = new RandomDecoder(RandomDecoder.Of(architecture), type, seed);
        int[][] texts = [RandomTokens(150, seed), RandomTokens(97, seed + 1), RandomTokens(31, seed + 2)];
        float[][][] alone;
        KvFormat kv = seed % 2 == 0 ? KvFormat.Q8 : KvFormat.F16;
        using (Network network = Network.Load(model.File, new NetworkOptions { Threads = 1, Kv = kv }))
        {
            using var sequences = new Sequences(network, blockCount: 40, blockTokens: 16, seed);
            alone = [.. texts.Select(text => sequences.Step((new Sequence(text), text.Length)))];
        }

        // Nor on how many of the weights are packed yet, or on what was computed for nobody.
        using (Network network = Network.Load(model.File, new NetworkOptions { Threads = 3, Kv = kv, Packing = WeightPacking.Later }))
        {
            network.WarmUp();
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
                network.PackNext(random.Next(2) == 0 ? 1 : 20_000);
                int row = 0;
                for (int p = 0; p < parts.Length; p++)
                    for (int i = 0; i < parts[p].Count; i++)
                        AssertSame(alone[Array.IndexOf(running, parts[p].Sequence)][before[p] + i], logits[row++]);
            }
        }
    }

    [Theory]
    [InlineData("qwen3")]
    [InlineData("qwen35")]
    [InlineData("qwen35moe")]
    public void Hidden_vectors_come_beside_logits_and_change_neither(string architecture)
    {
        using var model = new RandomDecoder(RandomDecoder.Of(architecture), GgmlType.F32, seed: 15);
        using Network network = Network.Load(model.File, new NetworkOptions { Threads = 2 });
        int[] tokens = RandomTokens(12, 15);
        using KvCache cache = network.CreateKvCache(2, 16, 2);
        var hidden = new float[3 * network.Shape.Hidden];
        float[] Forward(int[] hiddenRows, float[] hidden) => network.Forward(new StepBatch
        {
            Tokens = tokens,
            Positions = [.. Enumerable.Range(0, 12)],
            Slices = [new StepSlice(0, 12, 0, 1, StepSlice.None, 1)],
            BlockTables = [1],
            LogitRows = [4, 11],
            HiddenRows = hiddenRows,
        }, cache, hidden).ToArray();
        float[] logits = Forward([2, 4, 7], hidden);
        Assert.Equal(2 * RandomDecoder.Vocabulary, logits.Length);
        AssertSame(Forward([], []), logits);
        float[][] expected = new DecoderReference(model.File).Hidden(tokens);
        for (int i = 0; i < 3; i++)
            Assert.InRange(RelativeDistance(expected[new[] { 2, 4, 7 }[i]], hidden[(i * network.Shape.Hidden)..((i + 1) * network.Shape.Hidden)]), 0, 1e-3);
    }

    [Fact]
    public void Logits_of_some_rows_are_those_of_all_rows()
    {
        using var model = new RandomDecoder(RandomDecoder.Grouped, GgmlType.Q8_0, seed: 5);
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
    [InlineData("narrow")]
    [InlineData("qwen3moe")]
    [InlineData("qwen35")]
    [InlineData("qwen35moe")]
    public void Logits_take_the_rows_memory_and_stay_until_the_next_step(string shape)
    {
        using var model = new RandomDecoder(shape == "narrow" ? RandomDecoder.Narrow : RandomDecoder.Of(shape), GgmlType.F32, seed: 16);
        using Network network = Network.Load(model.File, new NetworkOptions { Threads = 2, Packing = WeightPacking.Later });
        int[] tokens = RandomTokens(60, 16), rows = [.. Enumerable.Range(0, 60)];
        using KvCache cache = network.CreateKvCache(4, 16, 1);
        float[] alone = Of(60);
        float[][] expected = new DecoderReference(model.File).Logits(tokens);
        Assert.InRange(RelativeDistance([.. expected.SelectMany(row => row)], alone), 0, 1e-3);
        // After steps that left the memory large, small parts of it changed, and full of other logits.
        foreach (int count in new[] { 1, 17, 60, 2, 33 })
            AssertSame(alone[..(count * RandomDecoder.Vocabulary)], Of(count));

        float[] Of(int count)
        {
            Span<float> logits = network.Forward(new StepBatch
            {
                Tokens = tokens.AsSpan(0, count),
                Positions = rows.AsSpan(0, count),
                Slices = [new StepSlice(0, count, 0, 4, StepSlice.None, 0)],
                BlockTables = [2, 0, 3, 1],
                LogitRows = rows.AsSpan(0, count),
            }, cache);
            float[] before = logits.ToArray();
            network.PackNext(1);
            AssertSame(before, logits.ToArray());
            logits.Fill(float.NaN); // Whoever chooses a token may change them: nothing of the next step may come from here.
            return before;
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(24)]
    public void Blocks_of_any_size_work(int blockTokens)
    {
        using var model = new RandomDecoder(RandomDecoder.Odd, GgmlType.F32, seed: 6);
        using Network network = Network.Load(model.File, new NetworkOptions { Threads = 1 });
        int[] tokens = RandomTokens(70, 6);
        using var sequences = new Sequences(network, blockCount: 80, blockTokens, seed: 1);
        var sequence = new Sequence(tokens);
        float[][] logits = [.. sequences.Step((sequence, 50)), .. sequences.Step((sequence, 20))];
        float[][] expected = new DecoderReference(model.File).Logits(tokens);
        for (int row = 0; row < tokens.Length; row++)
            Assert.InRange(RelativeDistance(expected[row], logits[row]), 0, 1e-3);
    }

    /// <summary>What a step allocates, it allocates in every run of the same steps. What the runtime allocates beside, as where this thread waits for another for the first time, is in one of them.</summary>
    [Theory]
    [InlineData("qwen3")]
    [InlineData("qwen3moe")]
    [InlineData("qwen35")]
    [InlineData("qwen35moe")]
    public void A_steady_step_allocates_nothing(string architecture)
    {
        const int Runs = 4, WarmUpSteps = 3, Steps = 23;
        using var model = new RandomDecoder(RandomDecoder.Of(architecture), GgmlType.Q8_0, seed: 7);
        int[] tokens = [1, 2, 3, 4, 5, 6, 7, 8], positions = [0, 1, 2, 3, 4, 5, 6, 0], tables = [5, 2], rows = [6, 7];
        StepSlice[] slices = [new(0, 7, 0, 1, StepSlice.None, 0), new(7, 1, 1, 1, StepSlice.None, 1)];
        var least = new long[Steps];
        Array.Fill(least, long.MaxValue);
        for (int run = 0; run < Runs; run++)
        {
            using Network network = Network.Load(model.File, new NetworkOptions { Threads = 2 });
            using KvCache cache = network.CreateKvCache(8, 16, 2);
            for (int i = 0; i < Steps; i++)
            {
                long before = GC.GetAllocatedBytesForCurrentThread();
                network.Forward(new StepBatch { Tokens = tokens, Positions = positions, Slices = slices, BlockTables = tables, LogitRows = rows }, cache);
                least[i] = Math.Min(least[i], GC.GetAllocatedBytesForCurrentThread() - before);
            }
        }
        Assert.All(least[WarmUpSteps..], bytes => Assert.Equal(0, bytes));
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
