namespace Qanat.Models.Tests;

public sealed class LoadedModelTests
{
    private sealed class Stages : IProgress<string>
    {
        public List<string> Seen { get; } = [];
        public Action? OnReport { get; init; }

        public void Report(string value)
        {
            Seen.Add(value);
            OnReport?.Invoke();
        }
    }

    [Fact]
    public void The_tiny_model_loads_and_says_that_its_weights_are_random()
    {
        using TempFile file = TinyFile.Write();
        var stages = new Stages();
        using LoadedModel model = LoadedModel.Load(file.Path, new LoadOptions { Threads = 1 }, stages, TestContext.Current.CancellationToken);
        Assert.Equal("qanat-tiny", model.Name);
        Assert.Contains("random", model.Notice, StringComparison.Ordinal);
        Assert.Equal(model.Tokenizer.Count, model.Network.Shape.Vocabulary);
        Assert.Equal(128, model.Network.Shape.HeadDim);
        Assert.False(model.Network.Shape.TiedEmbeddings);
        Assert.Equal(ThinkingAbility.Switchable, model.Chat.Ability);
        Assert.Equal(4, stages.Seen.Count);
        Assert.StartsWith("Loaded: the process takes ", stages.Seen[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void The_file_is_free_after_loading()
    {
        using TempFile file = TinyFile.Write();
        using LoadedModel model = LoadedModel.Load(file.Path, new LoadOptions { Threads = 1 }, null, TestContext.Current.CancellationToken);
        using FileStream exclusive = new(file.Path, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        Assert.True(exclusive.Length > 0);
    }

    [Fact]
    public void Loading_can_be_cancelled_between_its_stages()
    {
        using TempFile file = TinyFile.Write();
        using var cancel = new CancellationTokenSource();
        Assert.Throws<OperationCanceledException>(() => LoadedModel.Load(file.Path, new LoadOptions { Threads = 1 }, new Stages { OnReport = cancel.Cancel }, cancel.Token));
    }

    [Fact]
    public void How_far_the_experts_are_is_told_and_their_packing_can_be_stopped()
    {
        using var experts = new RandomDecoder(RandomDecoder.Of("qwen35moe"), GgmlType.Q8_0, seed: 2);
        var stages = new Stages();
        // It has no tokenizer.
        Assert.Throws<ModelFileException>(() => LoadedModel.Load(experts.File.Path, new LoadOptions { Threads = 1 }, stages, TestContext.Current.CancellationToken));
        Assert.Equal(["1 of 4", "2 of 4", "3 of 4", "4 of 4"], stages.Seen.Where(stage => stage.EndsWith(" layers", StringComparison.Ordinal)).Select(stage => stage["Reading the weights: ".Length..^" layers".Length]));
        using var cancel = new CancellationTokenSource();
        int left = stages.Seen.FindIndex(stage => stage.EndsWith(" layers", StringComparison.Ordinal)) + 1;
        var stopping = new Stages { OnReport = () => { if (--left == 0) cancel.Cancel(); } };
        Assert.Throws<OperationCanceledException>(() => LoadedModel.Load(experts.File.Path, new LoadOptions { Threads = 1 }, stopping, cancel.Token));
        Assert.EndsWith("1 of 4 layers", stopping.Seen[^1], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("general.architecture", "llama", "the architecture is \"llama\"; known: qwen2, qwen3, ")]
    [InlineData("tokenizer.ggml.pre", "llama-bpe", "supported are \"qwen2\" and \"qwen35\"")]
    public void What_is_not_supported_is_named(string key, string value, string problem)
    {
        using TempFile file = TinyFile.Write();
        using TempFile changed = new(Change(file.Path, key, GgufValue.Of(value)));
        var exception = Assert.Throws<ModelFileException>(() => LoadedModel.Load(changed.Path, new LoadOptions { Threads = 1 }, null, TestContext.Current.CancellationToken));
        Assert.Contains(problem, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_part_of_a_model_whose_other_parts_cannot_be_found_is_refused()
    {
        using TempFile file = TinyFile.Write();
        using TempFile changed = new(Change(file.Path, "split.count", GgufValue.Of(2u)));
        Assert.Contains("this is one of 2 parts of a model", Assert.Throws<ModelFileException>(() => LoadedModel.Load(changed.Path, new LoadOptions(), null, TestContext.Current.CancellationToken)).Problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Qwen3 0.6B Instruct", "qwen3-0.6b-instruct")]
    [InlineData("Qwen/Qwen3-8B", "qwen-qwen3-8b")]
    [InlineData("  模型 one  ", "one")]
    [InlineData("模型", "model")]
    [InlineData("../../etc", "etc")]
    public void Served_names_are_safe_in_a_url(string name, string served) => Assert.Equal(served, LoadedModel.ServedName(name));

    /// <summary>Files of models that see, or that guess ahead, have tensors that text does not need: they are named, cost no memory and change nothing.</summary>
    [Fact]
    public void Tensors_for_vision_and_further_prediction_are_left_out_with_a_note()
    {
        using TempFile plain = TinyFile.Write();
        byte[] bytes;
        using (GgufFile file = GgufFile.Open(plain.Path))
        {
            int blocks = file.Integer("qwen3.block_count", 1, 100);
            var metadata = new Dictionary<string, GgufValue>(file.Metadata, StringComparer.Ordinal) { ["qwen3.block_count"] = GgufValue.Of((uint)blocks + 1), ["qwen3.nextn_predict_layers"] = GgufValue.Of(1u) };
            string[] more = ["v.blk.0.attn_qkv.weight", "mm.0.weight", FormattableString.Invariant($"blk.{blocks}.nextn.eh_proj.weight")];
            using var stream = new MemoryStream();
            GgufWriter.Write(stream, [.. metadata], [.. file.Tensors.Select(tensor => new GgufTensorSource(tensor.Name, tensor.Type, tensor.Shape, target => WriteData(file, tensor, target))),
                .. more.Select(name => new GgufTensorSource(name, GgmlType.F32, [1024, 1024], target => target.Write(new byte[4 << 20])))]);
            bytes = stream.ToArray();
        }
        using TempFile changed = new(bytes);
        var stages = new Stages();
        using LoadedModel model = LoadedModel.Load(changed.Path, new LoadOptions { Threads = 1 }, stages, TestContext.Current.CancellationToken);
        Assert.Contains("2 tensors for vision are left out: only text is served", stages.Seen);
        Assert.Contains("1 tensors for further prediction are left out: only text is served", stages.Seen);
        var expected = new Stages();
        using LoadedModel without = LoadedModel.Load(plain.Path, new LoadOptions { Threads = 1 }, expected, TestContext.Current.CancellationToken);
        string Need(Stages told) => told.Seen.Single(stage => stage.StartsWith("Reading the weights", StringComparison.Ordinal));
        Assert.Equal(Need(expected), Need(stages));
        Assert.Equal(without.Network.Shape.Layers, model.Network.Shape.Layers);
    }

    private static unsafe void WriteData(GgufFile file, GgufTensor tensor, Stream target)
    {
        using TensorData data = file.Read(tensor);
        target.Write(new ReadOnlySpan<byte>(data.Pointer, checked((int)tensor.Bytes)));
    }

    /// <summary>The head of a file with one value changed; tensors are left out.</summary>
    private static byte[] Change(string path, string key, GgufValue value)
    {
        using GgufFile file = GgufFile.Open(path);
        var metadata = new Dictionary<string, GgufValue>(file.Metadata, StringComparer.Ordinal) { [key] = value };
        using var stream = new MemoryStream();
        GgufWriter.Write(stream, [.. metadata], []);
        return stream.ToArray();
    }
}
