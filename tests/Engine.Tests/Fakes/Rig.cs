using System.Collections.Immutable;
using System.Text;

namespace Qanat.Engine.Tests;

/// <summary>A step loop over the fake model, driven by the test itself.</summary>
internal sealed class Rig
{
    /// <summary>Token n is the letter that comes n-th from 'A' (wrapping after 50); the last token of the vocabulary ends an answer.</summary>
    private static readonly byte[] Letters = Encoding.ASCII.GetBytes("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .");

    public Rig(int blockCount = 256, int blockTokens = 4, EngineOptions? options = null, TimeProvider? clock = null, FakeRunner? runner = null, int messageStart = -1)
    {
        Runner = runner ?? new FakeRunner(blockCount, blockTokens);
        Options = options ?? new EngineOptions { StepTokensMax = 32, SequencesMax = 8, BlockTokens = blockTokens };
        Sink = new Recorder();
        Loop = new StepLoop(Runner, VocabularyOf(Runner) with { MessageStart = messageStart }, Options, Sink, new EngineClock(clock ?? new ManualClock()));
    }

    public FakeRunner Runner { get; }
    public EngineOptions Options { get; }
    public Recorder Sink { get; }
    public StepLoop Loop { get; }

    public static Vocabulary VocabularyOf(FakeRunner runner) => new(token => Letters.AsSpan(token % Letters.Length, 1), [runner.Vocabulary - 1]);

    public static string TextOf(IEnumerable<int> tokens) => string.Concat(tokens.Select(token => (char)Letters[token % Letters.Length]));

    public static string Group(int number) => "group " + (char)('a' + number);

    public static SequenceId Id(int request, int choice = 0) => new(new Guid(request, 0, 0, new byte[8]), choice);

    public static ImmutableArray<int> Prompt(int length, int seed = 0) => [.. Enumerable.Range(0, length).Select(i => (int)(Sampler.RandomAt((ulong)seed, 7, i) % 60))];

    public static SequenceRequest Request(SequenceId id, ImmutableArray<int> prompt, int maxNewTokens = 8) =>
        new(id, prompt, maxNewTokens, int.MaxValue, new SamplingOptions { Temperature = 0 }, [], -1, true, "tenant");

    /// <summary>Runs until nothing is left to compute, checking the pool after each step.</summary>
    public Rig RunDry(int stepsMax = 10_000)
    {
        while (Loop.RunOne())
        {
            Loop.Pool.Verify();
            Assert.True(--stepsMax > 0, "the engine does not come to an end");
        }
        Loop.Pool.Verify();
        return this;
    }

    /// <summary>The answer to a request that has the engine for itself.</summary>
    public static Answer Alone(SequenceRequest request, int blockTokens = 4, bool hasStates = false)
    {
        var rig = new Rig(1024, blockTokens, new EngineOptions { StepTokensMax = 4096, SequencesMax = 1, BlockTokens = blockTokens }, runner: new FakeRunner(1024, blockTokens, stateCount: hasStates ? 2 : 0));
        rig.Loop.Submit(request);
        return rig.RunDry().Sink[request.Id];
    }
}
