using Qanat.Models;
using Qanat.TinyModel;

namespace Qanat.Engine.Tests;

/// <summary>A tiny random model, written once into the temporary folder.</summary>
public abstract class TinyModelFixture : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("qanat-engine-tests").FullName;

    protected TinyModelFixture(string architecture)
    {
        string path = TinyModelRecipe.TinyOfEach.Single(recipe => recipe.Architecture == architecture).WriteTo(_folder);
        Model = LoadedModel.Load(path, new LoadOptions { Threads = 2 }, progress: null, CancellationToken.None);
    }

    public LoadedModel Model { get; }

    public void Dispose()
    {
        Model.Dispose();
        Directory.Delete(_folder, recursive: true);
        GC.SuppressFinalize(this);
    }
}

public sealed class DenseFixture() : TinyModelFixture("qwen3");

public sealed class HybridFixture() : TinyModelFixture("qwen35");

public sealed class RealModelTests(DenseFixture tiny) : RealModelPromises(tiny), IClassFixture<DenseFixture>;

/// <summary>The same with recurrent states: checkpoints in place of cached blocks alone.</summary>
public sealed class HybridModelTests(HybridFixture tiny) : RealModelPromises(tiny), IClassFixture<HybridFixture>;

/// <summary>The same promises with a real network: to the last bit, because its rows depend on their own sequence alone.</summary>
public abstract class RealModelPromises(TinyModelFixture tiny)
{
    private static readonly string[] Texts =
    [
        "The water of the qanat is shared by the hour.",
        "def share(water, fields):\n    return {f: water / len(fields) for f in fields}\n",
        "坎儿井把水从山里引到田里。每个村子都有一本账。",
        "😀 emoji, naïve café, and numbers 12345 67890 in one line; then a much longer tail so that the prompt covers several blocks of the cache and is cut into pieces on its way through the model.",
        "a",
    ];

    private SequenceRequest[] Requests(float temperature) =>
        [.. Texts.Select((text, i) => new SequenceRequest(Rig.Id(i + 1), [.. tiny.Model.Tokenizer.Encode(text, SpecialText.AsPlainText)], 12 + 5 * i, int.MaxValue,
            new SamplingOptions { Temperature = temperature, TopP = 0.95f, Seed = (ulong)i }, [], 2, true, "tenant"))];

    private (Recorder Sink, StepLoop Loop) Start(int stepTokens = 64, int sequences = 8, int blocks = 200)
    {
        long blockBytes;
        using (KvCache one = tiny.Model.Network.CreateKvCache(1, 16)) blockBytes = one.Bytes;
        var options = new EngineOptions { StepTokensMax = stepTokens, SequencesMax = sequences, BlockTokens = 16, KvBytesMax = blocks * blockBytes };
        var sink = new Recorder();
        return (sink, new StepLoop(new ModelRunner(tiny.Model.Network, options), Vocabulary.Of(tiny.Model.Tokenizer), options, sink, new EngineClock(new ManualClock())));
    }

    private Answer Alone(SequenceRequest request)
    {
        (Recorder sink, StepLoop loop) = Start(1024, 1, 200);
        loop.Submit(request);
        while (loop.RunOne()) { }
        return sink[request.Id];
    }

    private static void AssertSame(Answer expected, Answer actual)
    {
        Assert.Equal(expected.Tokens, actual.Tokens);
        Assert.Equal(expected.Text.ToString(), actual.Text.ToString());
        Assert.Equal(expected.Generated.Select(g => g.Logprob), actual.Generated.Select(g => g.Logprob));
        Assert.Equal(expected.Generated.SelectMany(g => g.Top), actual.Generated.SelectMany(g => g.Top));
    }

    [Theory]
    [InlineData(0f, 200)]
    [InlineData(1f, 200)]
    [InlineData(1f, 12)]
    public void A_batch_gives_each_sequence_what_it_gets_alone_with_room_and_without(float temperature, int blocks)
    {
        SequenceRequest[] requests = Requests(temperature);
        (Recorder sink, StepLoop loop) = Start(blocks: blocks);
        foreach (SequenceRequest request in requests) loop.Submit(request);
        while (loop.RunOne()) loop.Pool.Verify();
        Assert.Equal(blocks < 200, loop.Scheduler.Preemptions > 0);
        foreach (SequenceRequest request in requests) AssertSame(Alone(request), sink[request.Id]);
    }

    [Fact]
    public void A_prefix_hit_gives_the_bits_of_a_miss()
    {
        (Recorder sink, StepLoop loop) = Start();
        SequenceRequest first = Requests(1)[3];
        SequenceRequest next = first with { Id = Rig.Id(9), Prompt = [.. first.Prompt, .. tiny.Model.Tokenizer.Encode(" And then?", SpecialText.AsPlainText)] };
        foreach (SequenceRequest request in new[] { first, next })
        {
            loop.Submit(request);
            while (loop.RunOne()) { }
        }
        // What the last block begins with is copied, but a state is not there for it.
        Assert.Equal(tiny.Model.Network.StateBytes > 0 ? first.Prompt.Length / 16 * 16 : first.Prompt.Length, sink[next.Id].CachedPromptTokens);
        AssertSame(Alone(next), sink[next.Id]);
    }

    [Fact]
    public void A_prompt_asked_again_gives_the_bits_of_the_first_time()
    {
        (Recorder sink, StepLoop loop) = Start();
        SequenceRequest[] requests = Requests(1);
        SequenceRequest[] again = [.. requests.Select((request, i) => request with { Id = Rig.Id(20 + i) })];
        foreach (SequenceRequest request in requests.Concat(again))
        {
            loop.Submit(request);
            while (loop.RunOne()) loop.Pool.Verify();
        }
        foreach ((SequenceRequest request, SequenceRequest second) in requests.Zip(again))
        {
            AssertSame(sink[request.Id], sink[second.Id]);
            // Less than an eighth of a block is not copied.
            if (tiny.Model.Network.StateBytes == 0) Assert.InRange(sink[second.Id].PromptTokensComputed, 1, 2);
        }
    }

    [Fact]
    public async Task The_engine_streams_the_text_of_its_tokens()
    {
        var sink = new Recorder();
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var telling = new Telling(sink, () =>
        {
            if (sink.Answers.Count == Texts.Length && sink.Answers.Values.All(a => a.Finish is not null)) ended.TrySetResult();
        });
        await using var engine = new InferenceEngine(tiny.Model, new EngineOptions(), telling, TimeProvider.System);
        Assert.StartsWith(tiny.Model.Network.KernelTier, engine.Status.KernelTier, StringComparison.Ordinal);
        SequenceRequest[] requests = Requests(1);
        foreach (SequenceRequest request in requests) engine.Submit(request);
        await ended.Task.WaitAsync(TestContext.Current.CancellationToken);
        foreach (SequenceRequest request in requests)
        {
            Answer answer = sink[request.Id];
            AssertSame(Alone(request), answer);
            Assert.Equal(tiny.Model.Tokenizer.Decode([.. answer.Tokens]), answer.Text.ToString());
            Assert.Equal(request.MaxNewTokens, answer.Tokens.Count);
        }
    }

    private sealed class Telling(IStepSink sink, Action then) : IStepSink
    {
        public void OnStep(StepFact step)
        {
            sink.OnStep(step);
            then();
        }
    }
}
