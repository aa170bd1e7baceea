using System.Globalization;

namespace Qanat.Models.Tests;

/// <summary>Models that come in several files.</summary>
public sealed unsafe class GgufPartsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("qanat-parts-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string PathOf(int number, int count) => Path.Combine(_folder, string.Create(CultureInfo.InvariantCulture, $"tiny-{number:00000}-of-{count:00000}.gguf"));

    /// <summary>The tiny model in so many files, as llama.cpp's gguf-split cuts them.</summary>
    private void Split(int count)
    {
        using TempFile temp = TinyFile.Write();
        using GgufFile whole = GgufFile.Open(temp.Path);
        for (int part = 0; part < count; part++)
        {
            KeyValuePair<string, GgufValue>[] split = [new("split.no", GgufValue.Of(part)), new("split.count", GgufValue.Of(count)), new("split.tensors.count", GgufValue.Of(whole.Tensors.Count))];
            GgufTensorSource[] tensors = [.. whole.Tensors.Where((_, index) => index % count == part).Select(tensor => new GgufTensorSource(tensor.Name, tensor.Type, tensor.Shape,
                stream => stream.Write(new ReadOnlySpan<byte>(whole.Pointer(tensor), (int)tensor.Bytes))))];
            using FileStream target = File.Create(PathOf(part + 1, count));
            GgufWriter.Write(target, part == 0 ? [.. whole.Metadata, .. split] : split, tensors);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    public void Parts_are_read_as_the_model_they_are_of_whichever_is_named(int named)
    {
        Split(3);
        using ModelSource parts = ModelSource.OpenAny(PathOf(named, 3));
        using TempFile temp = TinyFile.Write();
        using GgufFile whole = GgufFile.Open(temp.Path);
        Assert.Equal(whole.Tensors.Select(tensor => tensor.Name).Order(), parts.Tensors.Select(tensor => tensor.Name).Order());
        Assert.Equal("qanat-tiny", parts.Text("general.name"));
        foreach (GgufTensor tensor in whole.Tensors)
        {
            using TensorData expected = whole.Read(tensor), actual = parts.Read(parts.Tensor(tensor.Name));
            Assert.True(new ReadOnlySpan<byte>(expected.Pointer, (int)tensor.Bytes).SequenceEqual(new ReadOnlySpan<byte>(actual.Pointer, (int)tensor.Bytes)), tensor.Name);
        }
    }

    [Fact]
    public void Parts_are_found_however_their_ending_is_written()
    {
        Split(2);
        foreach (string path in Directory.GetFiles(_folder)) File.Move(path, Path.ChangeExtension(path, ".GGUF"));
        using ModelSource parts = ModelSource.OpenAny(Path.ChangeExtension(PathOf(2, 2), ".GGUF"));
        Assert.Equal("qanat-tiny", parts.Text("general.name"));
    }

    [Fact]
    public void A_model_in_parts_is_served_and_quantised_into_one_file()
    {
        Split(2);
        using (LoadedModel model = LoadedModel.Load(PathOf(1, 2), new LoadOptions { Threads = 1 }, null, TestContext.Current.CancellationToken))
            Assert.Equal("qanat-tiny", model.Name);
        using ModelSource parts = ModelSource.OpenAny(PathOf(1, 2));
        using var target = new MemoryStream();
        GgufQuantizer.Write(parts, QuantMix.Q8_0, target, threads: 1, progress: null, TestContext.Current.CancellationToken);
        using var temp = new TempFile(target.ToArray());
        using ModelSource one = ModelSource.OpenAny(temp.Path);
        Assert.IsType<GgufFile>(one);
        Assert.False(one.Has("split.count"));
        Assert.Equal(parts.Tensors.Count, one.Tensors.Count);
    }

    [Fact]
    public void A_missing_part_is_named()
    {
        Split(3);
        File.Delete(PathOf(2, 3));
        ModelFileException error = Assert.Throws<ModelFileException>(() => ModelSource.OpenAny(PathOf(1, 3)));
        Assert.Contains("00002-of-00003", error.Message, StringComparison.Ordinal);
        Assert.Contains("no such file", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_part_under_another_name_says_what_to_do()
    {
        Split(2);
        string renamed = Path.Combine(_folder, "a.gguf");
        File.Move(PathOf(1, 2), renamed);
        Assert.Contains("rename the parts", Assert.Throws<ModelFileException>(() => ModelSource.OpenAny(renamed)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_part_of_another_model_is_refused()
    {
        Split(2);
        File.Copy(PathOf(1, 2), PathOf(2, 2), overwrite: true);
        Assert.Contains("this is not part 2 of 2", Assert.Throws<ModelFileException>(() => ModelSource.OpenAny(PathOf(1, 2))).Message, StringComparison.Ordinal);
    }
}
