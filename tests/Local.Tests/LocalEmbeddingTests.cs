using Microsoft.Extensions.AI;
using Qanat.Engine;
using Qanat.TinyModel;

namespace Qanat.Local.Tests;

public sealed class LocalEmbeddingTests(TinyLocalModel tiny) : IClassFixture<TinyLocalModel>
{
    private static double Length(Embedding<float> embedding) => Math.Sqrt(embedding.Vector.ToArray().Sum(value => (double)value * value));

    [Fact]
    public async Task Texts_become_vectors_of_length_one_the_same_alone_and_in_company()
    {
        IEmbeddingGenerator<string, Embedding<float>> generator = tiny.Model.EmbeddingGenerator();
        GeneratedEmbeddings<Embedding<float>> together = await generator.GenerateAsync(["water", "水", "a much longer text about water"], cancellationToken: TestContext.Current.CancellationToken);
        GeneratedEmbeddings<Embedding<float>> alone = await generator.GenerateAsync(["水"], cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(alone[0].Vector.ToArray(), together[1].Vector.ToArray());
        Assert.All(together, embedding => Assert.Equal(1, Length(embedding), 5));
        Assert.NotEqual(together[0].Vector.ToArray(), together[1].Vector.ToArray());
        Assert.True(together.Usage!.InputTokenCount > alone.Usage!.InputTokenCount);
    }

    [Fact]
    public async Task Fewer_dimensions_are_the_first_ones_scaled()
    {
        IEmbeddingGenerator<string, Embedding<float>> generator = tiny.Model.EmbeddingGenerator();
        float[] all = (await generator.GenerateAsync(["water"], cancellationToken: TestContext.Current.CancellationToken))[0].Vector.ToArray();
        float[] few = (await generator.GenerateAsync(["water"], new EmbeddingGenerationOptions { Dimensions = 8 }, TestContext.Current.CancellationToken))[0].Vector.ToArray();
        Assert.Equal(8, few.Length);
        Assert.Equal(all[1] / all[0], few[1] / few[0], 4);
        await Assert.ThrowsAsync<ArgumentException>(() => generator.GenerateAsync(["water"], new EmbeddingGenerationOptions { Dimensions = all.Length + 1 }, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_query_is_read_with_its_task()
    {
        float[] plain = (await tiny.Model.EmbeddingGenerator().GenerateAsync(["water"], cancellationToken: TestContext.Current.CancellationToken))[0].Vector.ToArray();
        float[] query = (await tiny.Model.EmbeddingGenerator(task: "Find it").GenerateAsync(["water"], cancellationToken: TestContext.Current.CancellationToken))[0].Vector.ToArray();
        Assert.NotEqual(plain, query);
    }

    [Fact]
    public async Task A_request_may_have_more_texts_than_the_engine_has_places()
    {
        string folder = Directory.CreateTempSubdirectory("qanat-local-tests").FullName;
        try
        {
            var narrow = new EngineOptions { SequencesMax = 2, WaitingMax = 3, KvBytesMax = 4 << 20 };
            await using LocalModel model = LocalModel.Load(TinyModelRecipe.Tiny.WriteTo(folder), new LocalModelOptions { Threads = 1, Engine = narrow }, cancel: TestContext.Current.CancellationToken);
            string[] texts = [.. Enumerable.Range(0, 40).Select(i => FormattableString.Invariant($"text {i}"))];
            GeneratedEmbeddings<Embedding<float>> many = await model.EmbeddingGenerator().GenerateAsync(texts, cancellationToken: TestContext.Current.CancellationToken);
            Assert.Equal(texts.Length, many.Count);
            GeneratedEmbeddings<Embedding<float>> last = await model.EmbeddingGenerator().GenerateAsync([texts[^1]], cancellationToken: TestContext.Current.CancellationToken);
            Assert.Equal(last[0].Vector.ToArray(), many[^1].Vector.ToArray());
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
