using Qanat.TinyModel;

namespace Qanat.Models.Tests;

public sealed class GgufQuantizerTests
{
    [Theory]
    [InlineData(QuantMix.Q8_0, GgmlType.Q8_0, GgmlType.Q8_0, GgmlType.Q8_0, 7u)]
    [InlineData(QuantMix.Q4_0, GgmlType.Q4_0, GgmlType.Q4_0, GgmlType.Q6_K, 2u)]
    [InlineData(QuantMix.Q4_K_S, GgmlType.Q4_K, GgmlType.Q4_K, GgmlType.Q6_K, 14u)]
    [InlineData(QuantMix.Q4_K_M, GgmlType.Q4_K, GgmlType.Q6_K, GgmlType.Q6_K, 15u)]
    [InlineData(QuantMix.Q5_K_M, GgmlType.Q5_K, GgmlType.Q6_K, GgmlType.Q6_K, 17u)]
    public void A_mix_gives_each_tensor_its_type_and_leaves_vectors_alone(QuantMix mix, GgmlType usual, GgmlType precious, GgmlType head, uint fileType)
    {
        using TempFile temp = Quantised(mix);
        using GgufFile file = GgufFile.Open(temp.Path);
        Assert.Equal(usual, file.Tensor("blk.0.attn_q.weight").Type);
        Assert.Equal(usual, file.Tensor("token_embd.weight").Type);
        Assert.Equal(usual, file.Tensor("blk.0.ffn_down.weight").Type);
        Assert.Equal(precious, file.Tensor("blk.2.ffn_down.weight").Type);
        Assert.Equal(precious, file.Tensor("blk.3.attn_v.weight").Type);
        Assert.Equal(head, file.Tensor("output.weight").Type);
        Assert.Equal(GgmlType.F32, file.Tensor("blk.0.attn_norm.weight").Type);
        Assert.Equal(fileType, (uint)file.Integer("general.file_type", 0, 100));
        Assert.Equal("qanat-tiny", file.Text("general.name"));
    }

    [Fact]
    public void It_is_stopped_within_a_tensor()
    {
        using TempFile temp = TinyFile.Write();
        using GgufFile file = GgufFile.Open(temp.Path);
        using CancellationTokenSource stop = new();
        // The last tensor has begun: no other would notice.
        int left = file.Tensors.Count;
        Reports progress = new(_ => { if (--left == 0) stop.Cancel(); });
        using var target = new MemoryStream();
        Assert.ThrowsAny<OperationCanceledException>(() => GgufQuantizer.Write(file, QuantMix.Q8_0, target, threads: 1, progress, stop.Token));
    }

    private sealed class Reports(Action<string> tell) : IProgress<string>
    {
        public void Report(string value) => tell(value);
    }

    [Fact]
    public void Rows_that_are_not_whole_blocks_get_the_nearest_type_with_smaller_ones()
    {
        static GgmlType Of(QuantMix mix, string name, long inputs) => QuantMixes.TypeOf(mix, new GgufTensor(name, GgmlType.F32, [inputs, 64], 0, 0), layers: 8, tied: false);
        Assert.Equal(GgmlType.Q5_0, Of(QuantMix.Q4_K_M, "blk.4.attn_q.weight", 896));
        Assert.Equal(GgmlType.Q5_1, Of(QuantMix.Q5_K_S, "blk.4.attn_q.weight", 896));
        Assert.Equal(GgmlType.Q8_0, Of(QuantMix.Q4_K_M, "output.weight", 896));
        Assert.Equal(GgmlType.F16, Of(QuantMix.Q4_0, "blk.4.attn_q.weight", 40));
        Assert.Equal(GgmlType.F32, Of(QuantMix.Q4_0, "blk.4.ffn_gate_inp.weight", 896));
    }

    [Fact]
    public void A_quantised_file_is_small_and_loads()
    {
        using TempFile temp = Quantised(QuantMix.Q4_K_M);
        Assert.InRange(new FileInfo(temp.Path).Length, 0, TinyFile.Bytes.Length * 3 / 4);
        using GgufFile file = GgufFile.Open(temp.Path);
        using Network network = Network.Load(file, new NetworkOptions { Threads = 1 });
        Assert.Equal(TinyModelRecipe.Tiny.Vocabulary, network.Shape.Vocabulary);
    }

    private static TempFile Quantised(QuantMix mix)
    {
        using TempFile source = TinyFile.Write();
        using GgufFile file = GgufFile.Open(source.Path);
        using var target = new MemoryStream();
        GgufQuantizer.Write(file, mix, target, threads: 2, progress: null, TestContext.Current.CancellationToken);
        return new TempFile(target.ToArray());
    }
}
