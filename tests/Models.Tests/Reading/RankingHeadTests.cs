using Qanat.TinyModel;

namespace Qanat.Models.Tests;

/// <summary>Files that were converted to rank: a head of two rows, and no output matrix where it was not the embedding.</summary>
public sealed class RankingHeadTests
{
    private static readonly TinyModelRecipe Untied = TinyModelRecipe.Tiny with { Layers = 2, Type = GgmlType.F32 };

    private static readonly string[] Documents = ["The muqanni digs.", "你好", "No.", "Yes, water."];

    private static TempFile Write(TinyModelRecipe recipe)
    {
        using var whole = new MemoryStream();
        recipe.Write(whole);
        return new TempFile(whole.ToArray());
    }

    private static TempFile Reranker(TempFile whole, params string[] labels)
    {
        using GgufFile source = GgufFile.Open(whole.Path);
        using var target = new MemoryStream();
        RerankerWriter.Write(source, target, labels);
        return new TempFile(target.ToArray());
    }

    private static LoadedModel Load(string path, IProgress<string>? progress = null) => LoadedModel.Load(path, new LoadOptions { Threads = 1 }, progress, TestContext.Current.CancellationToken);

    /// <summary>What is read behind the prompts of pairs: hidden vectors, or the logits of "yes" and "no".</summary>
    private static double[] Scores(LoadedModel model)
    {
        RerankFormat words = new(model.Tokenizer);
        return [.. Documents.Select(document =>
        {
            int[] prompt = words.Prompt(RerankFormat.DefaultInstruction, "Who digs?", document);
            using KvCache cache = model.Network.CreateKvCache(1, prompt.Length, 1);
            var hidden = new float[model.Network.Shape.Hidden];
            Span<float> logits = model.Network.Forward(new StepBatch
            {
                Tokens = prompt,
                Positions = [.. Enumerable.Range(0, prompt.Length)],
                Slices = [new StepSlice(0, prompt.Length, 0, 1, StepSlice.None, 0)],
                BlockTables = [0],
                LogitRows = [prompt.Length - 1],
                HiddenRows = [prompt.Length - 1],
            }, cache, hidden);
            return model.Ranking?.Score(hidden) ?? RerankFormat.Score(logits[words.Yes], logits[words.No]);
        })];
    }

    [Theory]
    [InlineData("yes", "no")]
    [InlineData("no", "yes")]
    public void The_head_ranks_as_the_matrix_it_was_cut_from(string first, string second)
    {
        using TempFile whole = Write(Untied), cut = Reranker(whole, first, second);
        using LoadedModel expected = Load(whole.Path), model = Load(cut.Path);
        Assert.Null(expected.Ranking);
        double[] scores = Scores(expected);
        Assert.All(scores.Zip(Scores(model)), pair => Assert.Equal(pair.First, pair.Second, 5));
        Assert.True(scores.Max() - scores.Min() > 0.01, "The scores tell nothing apart.");
    }

    [Theory]
    [InlineData(GgmlType.F32)]
    [InlineData(GgmlType.Q8_0)]
    public void Without_its_output_matrix_a_model_does_not_generate_and_says_so(GgmlType type)
    {
        using TempFile whole = Write(Untied with { Type = type }), cut = Reranker(whole, "yes", "no");
        var said = new List<string>();
        using LoadedModel model = Load(cut.Path, new Listener(said));
        Assert.False(model.Generates);
        Assert.Contains(said, note => note.Contains("it cannot generate", StringComparison.Ordinal));
    }

    /// <summary>Whatever type the embedding was rounded to since.</summary>
    [Theory]
    [InlineData(null)]
    [InlineData(QuantMix.Q4_0)]
    [InlineData(QuantMix.Q4_K_M)]
    public void Where_the_head_was_cut_from_the_embedding_the_model_generates_as_before(QuantMix? mix)
    {
        using TempFile whole = Write(Untied with { TiedEmbeddings = true }), cut = Reranker(whole, "yes", "no");
        using GgufFile source = GgufFile.Open(cut.Path);
        using var target = new MemoryStream();
        if (mix is { } asked) GgufQuantizer.Write(source, asked, target, threads: 1, progress: null, TestContext.Current.CancellationToken);
        using TempFile file = new(mix is null ? File.ReadAllBytes(cut.Path) : target.ToArray());
        using LoadedModel model = Load(file.Path);
        Assert.True(model.Generates);
        Assert.NotNull(model.Ranking);
    }

    [Theory]
    [InlineData("must have shape [256, 2]", "yes")]
    [InlineData("must have shape [256, 2]", "yes", "no", "no")]
    [InlineData("is yes, maybe; supported are heads that rank by \"yes\" and \"no\"", "yes", "maybe")]
    public void A_head_of_another_kind_is_refused(string problem, params string[] labels)
    {
        using TempFile whole = Write(Untied), cut = Reranker(whole, labels);
        Assert.Contains(problem, Assert.Throws<ModelFileException>(() => Load(cut.Path).Dispose()).Problem, StringComparison.Ordinal);
    }

    private sealed class Listener(List<string> said) : IProgress<string>
    {
        public void Report(string value) => said.Add(value);
    }
}
