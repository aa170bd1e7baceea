using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Qanat.Models;
using Qanat.TinyModel;

namespace Qanat.Cli.Tests;

/// <summary>A server over a file that was converted to rank.</summary>
public sealed class RerankerFileTests
{
    private static readonly string[] Documents = ["The water clock of Yazd was a bowl.", "你好", "def f(): return 1", "A muqanni digs the qanat.", "No.", "Yes, water."];

    private static async Task<double[]> ScoresAsync(RunningServer server)
    {
        using HttpResponseMessage response = await server.Owner.PostAsJsonAsync("/v1/rerank", new { model = "tiny", query = "Who digs?", documents = Documents }, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        JsonNode body = JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!;
        return [.. body["results"]!.AsArray().OrderBy(each => (int)each!["index"]!).Select(each => (double)each!["relevance_score"]!)];
    }

    [Fact]
    public async Task It_ranks_as_the_whole_model_does_makes_the_same_vectors_and_says_that_it_cannot_generate()
    {
        string folder = Directory.CreateTempSubdirectory("qanat-reranker-").FullName;
        try
        {
            string whole = (TinyModelRecipe.Tiny with { Type = GgmlType.F32 }).WriteTo(folder), cut = Path.Combine(folder, "reranker.gguf");
            using (GgufFile source = GgufFile.Open(whole))
            using (FileStream target = File.Create(cut))
                RerankerWriter.Write(source, target, "yes", "no");
            await using RunningServer expected = await RunningServer.StartAsync(options => options with { ModelFile = whole, ModelName = "tiny" });
            await using RunningServer server = await RunningServer.StartAsync(options => options with { ModelFile = cut, ModelName = "tiny" });

            double[] scores = await ScoresAsync(expected), ranked = await ScoresAsync(server);
            Assert.All(scores.Zip(ranked), pair => Assert.Equal(pair.First, pair.Second, 5));
            Assert.True(scores.Max() - scores.Min() > 0.003, "The scores tell nothing apart.");

            Assert.Equal(await BodyAsync(expected, "/v1/embeddings", new { model = "tiny", input = "water" }, HttpStatusCode.OK, "data"), await BodyAsync(server, "/v1/embeddings", new { model = "tiny", input = "water" }, HttpStatusCode.OK, "data"));
            foreach ((string path, object asked) in new (string, object)[]
            {
                ("/v1/chat/completions", new { model = "tiny", messages = new[] { new { role = "user", content = "Hi" } } }),
                ("/v1/completions", new { model = "tiny", prompt = "Hi", stream = true }),
                ("/v1/responses", new { model = "tiny", input = "Hi" }),
            })
                Assert.Contains("tiny ranks and makes embeddings; it cannot generate: its file has a head for", await BodyAsync(server, path, asked, HttpStatusCode.BadRequest, "error", "message"), StringComparison.Ordinal);
            Assert.Equal("""["embedding"]""", await BodyAsync(server, "/api/show", new { model = "tiny" }, HttpStatusCode.OK, "capabilities"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task<string> BodyAsync(RunningServer server, string path, object asked, HttpStatusCode status, params string[] members)
    {
        using HttpResponseMessage response = await server.Owner.PostAsJsonAsync(path, asked, TestContext.Current.CancellationToken);
        string text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.StatusCode == status, text);
        JsonNode node = JsonNode.Parse(text)!;
        foreach (string member in members) node = node[member]!;
        return node.GetValueKind() == System.Text.Json.JsonValueKind.String ? (string)node! : node.ToJsonString();
    }
}
