using System.Text.Json;
using Qanat.Models;
using Qanat.TinyModel;

namespace Qanat.Conformance.Tests;

/// <summary>The same reranker file, as llama.cpp's converter writes one, in llama.cpp and here: the same scores.</summary>
public sealed class LlamaCppRankingTests(ITestOutputHelper log) : IDisposable
{
    private const string Query = "Who digs the qanat?";

    private static readonly string[] _documents =
    [
        "A muqanni digs the qanat.", "The water clock of Yazd was a bowl with a small hole.", "坎儿井是一种地下水渠。", "No.", "Yes, water.", "def f():\n    return 1\n", "🙂 Größe: 10 m²", "Once upon a time",
    ];

    private readonly string _folder = Directory.CreateTempSubdirectory("qanat-ranking-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    /// <summary>Activations are rounded before each product; the head itself is computed in singles here.</summary>
    [Theory]
    [InlineData(GgmlType.F32, false, 1e-4)]
    [InlineData(GgmlType.F32, true, 5e-3)]
    [InlineData(GgmlType.Q8_0, true, 0.1)]
    public void Scores_are_those_of_llama_cpp(GgmlType type, bool tied, double tolerance)
    {
        string path = Path.Combine(_folder, "reranker.gguf");
        TinyModelRecipe recipe = TinyModelRecipe.Tiny with { Type = type, TiedEmbeddings = tied, Name = tied ? "qanat-tiny-tied" : TinyModelRecipe.Tiny.Name };
        using (GgufFile source = GgufFile.Open(recipe.WriteTo(Path.Combine(Path.GetTempPath(), "qanat-models"))))
        using (FileStream target = File.Create(path))
            RerankerWriter.Write(source, target, "yes", "no");
        using LoadedModel model = LoadedModel.Load(path, new LoadOptions { Threads = 1 }, null, TestContext.Current.CancellationToken);
        RerankFormat words = new(model.Tokenizer);
        int[][] prompts = [.. _documents.Select(document => words.Prompt(RerankFormat.DefaultInstruction, Query, document))];
        double[] theirs = Ask(path, prompts), ours = Compute(model, prompts);
        log.WriteLine(FormattableString.Invariant($"{type}: llama.cpp {string.Join(" ", theirs.Select(score => score.ToString("0.0000", System.Globalization.CultureInfo.InvariantCulture)))}"));
        log.WriteLine(FormattableString.Invariant($"{type}: here      {string.Join(" ", ours.Select(score => score.ToString("0.0000", System.Globalization.CultureInfo.InvariantCulture)))}"));
        Assert.True(theirs.Max() - theirs.Min() > 5 * tolerance, "The scores tell nothing apart.");
        Assert.All(theirs.Zip(ours), pair => Assert.InRange(Math.Abs(pair.First - pair.Second), 0, tolerance));
    }

    private double[] Ask(string model, int[][] prompts)
    {
        string packages = NodePackages.Install(Path.Combine(AppContext.BaseDirectory, "LlamaCpp"));
        string request = Path.Combine(_folder, "request.json"), answer = Path.Combine(_folder, "answer.json");
        File.WriteAllText(request, JsonSerializer.Serialize(new { model, prompts }));
        NodePackages.Run(packages, "rank.mjs", request, answer);
        return JsonSerializer.Deserialize<double[]>(File.ReadAllText(answer))!;
    }

    private static double[] Compute(LoadedModel model, int[][] prompts) =>
    [
        .. prompts.Select(prompt =>
        {
            var hidden = new float[model.Network.Shape.Hidden];
            using KvCache cache = model.Network.CreateKvCache(1, prompt.Length);
            model.Network.Forward(new StepBatch
            {
                Tokens = prompt,
                Positions = [.. Enumerable.Range(0, prompt.Length)],
                Slices = [new StepSlice(0, prompt.Length, 0, 1)],
                BlockTables = [0],
                LogitRows = [],
                HiddenRows = [prompt.Length - 1],
            }, cache, hidden);
            return model.Ranking!.Score(hidden);
        }),
    ];
}
