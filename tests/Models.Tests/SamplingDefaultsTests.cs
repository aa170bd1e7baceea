using Qanat.TinyModel;

namespace Qanat.Models.Tests;

public sealed class SamplingDefaultsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("qanat-sampling-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private ModelSource Folder(string generationConfig)
    {
        using (GgufFile tiny = GgufFile.Open((TinyModelRecipe.Tiny with { Type = GgmlType.BF16 }).WriteTo(Path.Combine(Path.GetTempPath(), "qanat-models"))))
            HfFolderWriter.Write(tiny, _folder, 1);
        File.WriteAllText(Path.Combine(_folder, "generation_config.json"), generationConfig);
        return HfCheckpoint.Open(_folder);
    }

    [Fact]
    public void A_folder_s_generation_config_is_read_and_goes_along_when_it_is_quantised()
    {
        using ModelSource folder = Folder("""{"do_sample": true, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "min_p": 0.01, "repetition_penalty": 1.05, "eos_token_id": [2, 0]}""");
        using var target = new MemoryStream();
        GgufQuantizer.Write(folder, QuantMix.Q8_0, target, threads: 1, progress: null, TestContext.Current.CancellationToken);
        using var temp = new TempFile(target.ToArray());
        using ModelSource file = ModelSource.OpenAny(temp.Path);
        var expected = new SamplingDefaults { Temperature = 0.6f, TopK = 20, TopP = 0.95f, MinP = 0.01f, RepetitionPenalty = 1.05f };
        Assert.Equal(expected, SamplingDefaults.Read(folder));
        Assert.Equal(expected, SamplingDefaults.Read(file));
    }

    [Theory]
    [InlineData("""{"do_sample": false, "top_k": 20}""", 0f)]
    [InlineData("{}", null)]
    [InlineData("""{"temperature": "hot"}""", null)]
    public void What_is_not_said_stays_open_and_no_sampling_is_the_likeliest_token(string config, float? temperature)
    {
        using ModelSource folder = Folder(config);
        Assert.Equal(new SamplingDefaults { Temperature = temperature }, SamplingDefaults.Read(folder));
    }

    [Fact]
    public void A_number_out_of_range_is_told_with_its_key()
    {
        using ModelSource folder = Folder("""{"top_p": 1.5}""");
        Assert.Contains("general.sampling.top_p", Assert.Throws<ModelFileException>(() => SamplingDefaults.Read(folder)).Message, StringComparison.Ordinal);
    }
}
