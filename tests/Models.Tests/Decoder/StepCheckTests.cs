namespace Qanat.Models.Tests;

public sealed class StepCheckTests
{
    public static TheoryData<string, int[], int[], StepSlice[], int[], int[]> Wrong => new()
    {
        { "2 tokens but 1 positions", [1, 2], [0], [new(0, 2, 0, 1)], [0], [1] },
        { "token 203", [203], [0], [new(0, 1, 0, 1)], [0], [0] },
        { "token -1", [-1], [0], [new(0, 1, 0, 1)], [0], [0] },
        { "cover 1 of 2 rows", [1, 2], [0, 1], [new(0, 1, 0, 1)], [0], [1] },
        { "does not continue at row 1", [1, 2, 3], [0, 1, 0], [new(0, 1, 0, 1), new(2, 1, 0, 1)], [0], [2] },
        { "reaches beyond the 1 entries", [1], [0], [new(0, 1, 0, 2)], [0], [0] },
        { "block 4 is not among the 4", [1], [0], [new(0, 1, 0, 1)], [4], [0] },
        { "are not consecutive", [1, 2], [0, 2], [new(0, 2, 0, 1)], [0], [0] },
        { "do not fit 1 blocks", [1], [16], [new(0, 1, 0, 1)], [0], [0] },
        { "do not fit 1 blocks", [1], [-1], [new(0, 1, 0, 1)], [0], [0] },
        { "logit row 1 after -1", [1], [0], [new(0, 1, 0, 1)], [0], [1] },
        { "logit row 0 after 0", [1, 2], [0, 1], [new(0, 2, 0, 1)], [0], [0, 0] },
    };

    [Theory]
    [MemberData(nameof(Wrong))]
    public void A_step_that_contradicts_itself_is_refused(string expected, int[] tokens, int[] positions, StepSlice[] slices, int[] tables, int[] rows)
    {
        using var model = new RandomDecoder(RandomDecoder.Odd, GgmlType.F32, seed: 1);
        using Network network = Network.Load(model.File, new NetworkOptions { Threads = 1 });
        using KvCache cache = network.CreateKvCache(4, 16);
        ArgumentException e = Assert.Throws<ArgumentException>(() =>
            network.Forward(new StepBatch { Tokens = tokens, Positions = positions, Slices = slices, BlockTables = tables, LogitRows = rows }, cache));
        Assert.Contains(expected, e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Too_little_room_for_vectors_is_refused()
    {
        using var model = new RandomDecoder(RandomDecoder.Odd, GgmlType.F32, seed: 1);
        using Network network = Network.Load(model.File, new NetworkOptions { Threads = 1 });
        using KvCache cache = network.CreateKvCache(4, 16);
        Assert.Throws<ArgumentException>(() => network.Forward(
            new StepBatch { Tokens = [1], Positions = [0], Slices = [new(0, 1, 0, 1)], BlockTables = [0], LogitRows = [], HiddenRows = [0] }, cache, new float[network.Shape.Hidden - 1]));
    }
}
