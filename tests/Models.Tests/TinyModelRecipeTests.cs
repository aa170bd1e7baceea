using System.Security.Cryptography;
using Qanat.TinyModel;

namespace Qanat.Models.Tests;

public sealed class TinyModelRecipeTests
{
    /// <summary>If this hash changes, the recipe's FormatVersion must be raised: files are kept under their name.</summary>
    [Fact]
    public void The_tiny_model_has_the_same_bytes_on_every_machine() =>
        Assert.Equal("0ca58f09cbde424af011303cf10e4639fa6f12b59c55c8a1dd3a9d1ae835f5c8", Convert.ToHexStringLower(SHA256.HashData(TinyFile.Bytes)));

    [Fact]
    public void Every_type_and_seed_makes_its_own_valid_file()
    {
        var lengths = new HashSet<long>();
        TinyModelRecipe small = TinyModelRecipe.Tiny with { Layers = 1, FeedForward = 64 };
        foreach (GgmlType type in new[] { GgmlType.F32, GgmlType.F16, GgmlType.BF16, GgmlType.Q8_0 })
        {
            using var stream = new MemoryStream();
            (small with { Type = type }).Write(stream);
            using var temp = new TempFile(stream.ToArray());
            using GgufFile file = GgufFile.Open(temp.Path);
            Assert.Equal(type, file.Tensor("blk.0.ffn_down.weight").Type);
            Assert.Equal("qanat-tiny", file.Text("general.name"));
            lengths.Add(file.Bytes);
        }
        Assert.Equal(3, lengths.Count); // F16 and BF16 are equally long

        using var one = new MemoryStream();
        using var two = new MemoryStream();
        small.Write(one);
        (small with { Seed = 2 }).Write(two);
        Assert.Equal(one.Length, two.Length);
        Assert.NotEqual(one.ToArray(), two.ToArray());
    }

    [Fact]
    public void A_file_that_is_there_is_not_written_again()
    {
        string folder = Directory.CreateTempSubdirectory("qanat-tiny-").FullName;
        try
        {
            TinyModelRecipe small = TinyModelRecipe.Tiny with { Layers = 1, FeedForward = 64 };
            string path = small.WriteTo(folder);
            File.WriteAllText(path, "kept");
            Assert.Equal(path, small.WriteTo(folder));
            Assert.Equal("kept", File.ReadAllText(path));
            Assert.NotEqual(path, (small with { Type = GgmlType.F16 }).WriteTo(folder));
            Assert.Equal(2, Directory.GetFiles(folder).Length);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
