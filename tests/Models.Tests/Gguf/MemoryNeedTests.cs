using Qanat.TinyModel;

namespace Qanat.Models.Tests;

public sealed class MemoryNeedTests
{
    [Fact]
    public void The_need_told_from_the_directory_is_what_the_network_takes()
    {
        using TempFile temp = TinyFile.Write();
        using GgufFile file = GgufFile.Open(temp.Path);
        using Network network = Network.Load(file, new NetworkOptions { Threads = 1 });
        Assert.Equal(network.WeightBytes, MemoryNeed.Of(file.Tensors, 0).WeightBytes);
    }

    [Theory]
    [InlineData(GgmlType.F32, 4.0)]
    [InlineData(GgmlType.Q4_0, 0.5625)]
    [InlineData(GgmlType.Q4_K, 0.579)]
    [InlineData(GgmlType.Q6_K, 0.8204)]
    public void Packed_weights_take_hardly_more_than_in_the_file(GgmlType type, double bytesPerWeight)
    {
        var tensor = new GgufTensor("experts", type, [1024, 320, 8], 0, 0);
        Assert.Equal(bytesPerWeight, MemoryNeed.Of([tensor], 0).WeightBytes / (1024.0 * 320 * 8), 0.001);
    }

    [Fact]
    public void A_model_that_does_not_fit_is_refused_with_figures_and_what_to_do()
    {
        var need = new MemoryNeed(WeightBytes: 60_000_000_000, WeightBytesSmall: 20_000_000_000, KvBytes: 1_000_000_000);
        need.ThrowIfMoreThan(62_000_000_000, "big.gguf");
        ModelFileException e = Assert.Throws<ModelFileException>(() => need.ThrowIfMoreThan(8_000_000_000, "big.gguf"));
        Assert.Contains("it needs 61.3 GB (60.0 GB of weights, 1.0 GB of keys and values), 8.0 GB are available", e.Message, StringComparison.Ordinal);
        Assert.Contains("Q4_K_M takes about 21.3 GB", e.Message, StringComparison.Ordinal);
        Assert.Contains("less memory for keys and values", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_that_does_not_fit_is_refused_before_it_is_read()
    {
        using TempFile temp = TinyFile.Write();
        ModelFileException e = Assert.Throws<ModelFileException>(() => LoadedModel.Load(temp.Path, new LoadOptions { Threads = 1, KvBytesMax = 1L << 50 }, progress: null, TestContext.Current.CancellationToken));
        Assert.Contains("does not fit into memory", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void States_of_a_hybrid_are_part_of_the_need_and_those_of_others_are_not()
    {
        var options = new LoadOptions { Threads = 1, StateBytesMax = 1L << 50 };
        using TempFile plain = TinyFile.Write();
        using var hybrid = new RandomDecoder(RandomDecoder.Of("qwen35"), GgmlType.F32, seed: 1);
        LoadedModel.Load(plain.Path, options, progress: null, TestContext.Current.CancellationToken).Dispose();
        ModelFileException e = Assert.Throws<ModelFileException>(() => LoadedModel.Load(hybrid.File.Path, options, progress: null, TestContext.Current.CancellationToken));
        Assert.Contains("of recurrent states", e.Message, StringComparison.Ordinal);
        Assert.Contains("less memory for states", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_released_tensor_can_be_read_again()
    {
        using TempFile temp = TinyFile.Write();
        using GgufFile file = GgufFile.Open(temp.Path);
        GgufTensor tensor = file.Tensor("token_embd.weight");
        byte[] Bytes()
        {
            using TensorData data = file.Read(tensor);
            unsafe
            {
                return new ReadOnlySpan<byte>(data.Pointer, (int)tensor.Bytes).ToArray();
            }
        }
        byte[] before = Bytes();
        Assert.Equal(before, Bytes());
    }
}
