using System.Threading.Channels;

namespace Qanat.Engine.Tests;

public sealed class InferenceEngineTests
{
    /// <summary>Records on the engine's thread and hands the facts to the test.</summary>
    private sealed class Facts : IStepSink
    {
        private readonly Channel<StepFact> _facts = Channel.CreateUnbounded<StepFact>();
        private readonly Recorder _recorder = new();
        private readonly Lock _gate = new();

        public Action<StepFact>? OnFact { get; set; }

        public void OnStep(StepFact step)
        {
            lock (_gate) _recorder.OnStep(step);
            _facts.Writer.TryWrite(step);
            OnFact?.Invoke(step);
        }

        public async Task<StepFact> NextAsync() => await _facts.Reader.ReadAsync(TestContext.Current.CancellationToken);

        /// <summary>Everything up to the sequence's end, after which others may go on.</summary>
        public async Task<Answer> EndOfAsync(SequenceId id)
        {
            while (!(await NextAsync()).Sequences.Any(s => s.Id == id && s.Finish is not null)) { }
            lock (_gate) return _recorder[id];
        }
    }

    private sealed class Released(ManualResetEventSlim held) : IDisposable
    {
        public void Dispose() => held.Set();
    }

    private static readonly SequenceRequest Plain = Rig.Request(Rig.Id(1), Rig.Prompt(9), 12);

    private static InferenceEngine Start(IStepSink sink, FakeRunner? runner = null, int waitingMax = 100)
    {
        runner ??= new FakeRunner(256, 4);
        return new InferenceEngine(runner, Rig.VocabularyOf(runner), new EngineOptions { StepTokensMax = 32, SequencesMax = 8, BlockTokens = 4, WaitingMax = waitingMax }, sink, TimeProvider.System, "fake");
    }

    [Fact]
    public async Task What_makes_later_steps_faster_is_done_while_idle_and_between_steps_until_nothing_is_left()
    {
        var facts = new Facts();
        var runner = new FakeRunner(256, 4);
        TaskCompletionSource idleDone = new(TaskCreationOptions.RunContinuationsAsynchronously), stepsDone = new(TaskCreationOptions.RunContinuationsAsynchronously);
        int left = 5;
        runner.OnPrepare = () =>
        {
            if (left == 0) idleDone.TrySetResult();
            return left > 0 && left-- > 0;
        };
        await using InferenceEngine engine = Start(facts, runner);
        await idleDone.Task.WaitAsync(TestContext.Current.CancellationToken);
        long rows = -1;
        runner.OnPrepare = () =>
        {
            // A step came between two calls: the engine does not wait for the end of the one to begin the other.
            if (rows >= 0 && runner.Rows > rows) stepsDone.TrySetResult();
            rows = runner.Rows;
            return rows < 12;
        };
        engine.Submit(Plain);
        Assert.Equal(Rig.Alone(Plain).Tokens, (await facts.EndOfAsync(Plain.Id)).Tokens);
        await stepsDone.Task.WaitAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Requests_of_many_threads_get_the_answers_they_get_alone()
    {
        var facts = new Facts();
        await using InferenceEngine engine = Start(facts);
        SequenceRequest[] requests = [.. Enumerable.Range(1, 40).Select(i => Rig.Request(Rig.Id(i), Rig.Prompt(i, i), 10) with { FairnessGroup = Rig.Group(i % 3) })];
        await Task.WhenAll(requests.Select(r => Task.Run(() => engine.Submit(r), TestContext.Current.CancellationToken)));
        var answers = new Dictionary<SequenceId, List<int>>();
        int ended = 0;
        while (ended < requests.Length)
        {
            foreach (SequenceStep s in (await facts.NextAsync()).Sequences)
            {
                if (!answers.TryGetValue(s.Id, out List<int>? tokens)) answers.Add(s.Id, tokens = []);
                tokens.AddRange(s.Tokens.Select(t => t.Token));
                if (s.Finish is not null) ended++;
            }
        }
        foreach (SequenceRequest request in requests) Assert.Equal(Rig.Alone(request).Tokens, answers[request.Id]);
    }

    [Fact]
    public async Task Idle_time_lies_between_steps_and_the_status_adds_up()
    {
        var facts = new Facts();
        await using InferenceEngine engine = Start(facts);
        Assert.Equal((256, 0, 0, "fake"), (engine.Status.BlocksFree, engine.Status.BlocksUsed, engine.Status.Running, engine.Status.KernelTier));
        engine.Submit(Plain);
        Answer answer = await facts.EndOfAsync(Plain.Id);
        engine.Submit(Plain with { Id = Rig.Id(2) });
        await facts.EndOfAsync(Rig.Id(2));
        await engine.DisposeAsync();

        EngineStatus status = engine.Status;
        Assert.Equal((0, 0, 0, 256), (status.Waiting, status.Running, status.BlocksUsed, status.BlocksFree + status.BlocksCached));
        Assert.Equal((18, 8, 24), (status.PromptTokens, status.CachedPromptTokens, status.GeneratedTokens));
        Assert.Equal((9, null), (answer.PromptTokensComputed, status.LastFailure));
        Assert.True(status.NowNs > 0 && status.Steps > 12);
    }

    [Fact]
    public async Task A_full_waiting_line_refuses_and_takes_again_when_there_is_room()
    {
        using var running = new ManualResetEventSlim();
        using var release = new ManualResetEventSlim();
        var runner = new FakeRunner(256, 4)
        {
            OnRun = _ =>
            {
                running.Set();
                release.Wait(TestContext.Current.CancellationToken);
            },
        };
        var facts = new Facts();
        await using InferenceEngine engine = Start(facts, runner, waitingMax: 3);
        // However this ends: an engine that is held in its step cannot be disposed of.
        using IDisposable released = new Released(release);
        engine.Submit(Plain);
        running.Wait(TestContext.Current.CancellationToken);
        // The first one may count as waiting until its step is over.
        int accepted = 0;
        QueueFullException? refused = null;
        for (int i = 2; i < 10 && refused is null; i++)
        {
            try
            {
                engine.Submit(Plain with { Id = Rig.Id(i) });
                accepted++;
            }
            catch (QueueFullException full)
            {
                refused = full;
            }
        }
        Assert.NotNull(refused);
        Assert.InRange(accepted, 2, 3);
        Assert.Equal(3, engine.Status.Waiting);
        release.Set();
        await facts.EndOfAsync(Plain.Id);
        await facts.EndOfAsync(Rig.Id(1 + accepted));
        engine.Submit(Plain with { Id = Rig.Id(50) });
        await facts.EndOfAsync(Rig.Id(50));
    }

    private sealed class Calling(Action<StepFact> then) : IStepSink
    {
        public void OnStep(StepFact step) => then(step);
    }

    /// <summary>Submits in the fact itself, before the engine goes on: nobody can be told earlier.</summary>
    [Fact]
    public async Task Whoever_is_told_that_a_sequence_has_ended_finds_its_place_and_its_id_free()
    {
        InferenceEngine? engine = null;
        SequenceRequest oneStep = Plain with { MaxNewTokens = 1 };
        int left = 3;
        TaskCompletionSource done = new(TaskCreationOptions.RunContinuationsAsynchronously);
        var sink = new Calling(fact =>
        {
            if (fact.Sequences.All(s => s.Finish is null)) return;
            if (left-- == 0) done.TrySetResult();
            else if (Record.Exception(() => engine!.Submit(oneStep)) is { } refused) done.TrySetException(refused);
        });
        await using (engine = Start(sink, waitingMax: 1))
        {
            engine.Submit(oneStep);
            await done.Task.WaitAsync(TestContext.Current.CancellationToken);
        }
    }

    [Fact]
    public async Task An_end_during_a_step_takes_effect_before_the_next_one()
    {
        InferenceEngine? engine = null;
        var facts = new Facts
        {
            OnFact = fact =>
            {
                if (fact.Sequences.Any(s => s.Tokens.Length > 0)) engine!.End(Plain.Id, FinishReason.Cancelled);
            },
        };
        await using (engine = Start(facts))
        {
            engine.Submit(Plain with { MaxNewTokens = 1000 });
            Answer answer = await facts.EndOfAsync(Plain.Id);
            Assert.Equal((FinishReason.Cancelled, 1), (answer.Finish, answer.Tokens.Count));
            engine.End(Plain.Id, FinishReason.Cancelled);
            engine.End(Rig.Id(99), FinishReason.Cancelled);
            engine.Allow(Rig.Id(99), 3);
        }
    }

    [Fact]
    public async Task A_sequence_pauses_and_goes_on_when_it_is_allowed()
    {
        InferenceEngine? engine = null;
        int seen = 0;
        var facts = new Facts();
        facts.OnFact = fact =>
        {
            seen += fact.Sequences.Sum(s => s.Tokens.Length);
            if (seen is 2 or 5) engine!.Allow(Plain.Id, seen == 2 ? 5 : 100);
        };
        await using (engine = Start(facts))
        {
            engine.Submit(Plain with { AllowedNewTokens = 2 });
            Assert.Equal(Rig.Alone(Plain).Tokens, (await facts.EndOfAsync(Plain.Id)).Tokens);
        }
    }

    [Fact]
    public async Task Disposing_ends_everything_with_cancelled_and_delivers_the_last_facts()
    {
        var facts = new Facts();
        var runner = new FakeRunner(256, 4);
        InferenceEngine engine = Start(facts, runner);
        engine.Submit(Plain with { AllowedNewTokens = 1 });
        engine.Submit(Plain with { Id = Rig.Id(2), AllowedNewTokens = 0 });
        await facts.NextAsync();
        await engine.DisposeAsync();
        Assert.Equal(FinishReason.Cancelled, (await facts.EndOfAsync(Plain.Id)).Finish);
        Assert.True(runner.IsDisposed);
        Assert.Throws<ObjectDisposedException>(() => engine.Submit(Plain));
        engine.End(Plain.Id, FinishReason.Cancelled);
        await engine.DisposeAsync();
        Assert.Equal(0, engine.Status.BlocksUsed);
    }

    [Fact]
    public async Task A_fault_of_the_engine_itself_fails_every_sequence_and_says_why()
    {
        var runner = new FakeRunner(256, 4);
        var facts = new Facts();
        // The tokenizer is no part of what may fail: it is asked for tokens of its own vocabulary.
        var vocabulary = new Vocabulary(_ => throw new InvalidDataException("no such token"), []);
        await using var engine = new InferenceEngine(runner, vocabulary, new EngineOptions { StepTokensMax = 32, SequencesMax = 8, BlockTokens = 4 }, facts, TimeProvider.System, "fake");
        engine.Submit(Plain);
        Answer answer = await facts.EndOfAsync(Plain.Id);
        Assert.Equal((FinishReason.Failed, "InvalidDataException: no such token"), (answer.Finish, answer.Failure));
        await engine.DisposeAsync();
        Assert.Equal("InvalidDataException: no such token", engine.Status.LastFailure);
    }

    [Fact]
    public async Task Requests_that_cannot_be_run_are_refused_at_once()
    {
        var facts = new Facts();
        await using InferenceEngine engine = Start(facts, new FakeRunner(16, 4));
        Assert.Equal(64, engine.ContextLength);
        SequenceRequest[] bad =
        [
            Plain with { Prompt = [] },
            Plain with { Prompt = Rig.Prompt(64) },
            Plain with { Prompt = [61] },
            Plain with { Prompt = [-1] },
            Plain with { MaxNewTokens = 0 },
            Plain with { StopStrings = [""] },
            Plain with { StopStrings = ["\ud83d"] },
            Plain with { Sampling = new SamplingOptions { Temperature = -1 } },
            Plain with { Sampling = new SamplingOptions { Temperature = float.NaN } },
            Plain with { Sampling = new SamplingOptions { TopP = 0 } },
            Plain with { Sampling = new SamplingOptions { TopK = -1 } },
            Plain with { Sampling = new SamplingOptions { MinP = 1.5f } },
            Plain with { Sampling = new SamplingOptions { RepetitionPenalty = 0 } },
            Plain with { Sampling = new SamplingOptions { LogitBias = System.Collections.Immutable.ImmutableDictionary<int, float>.Empty.Add(61, 1) } },
        ];
        foreach (SequenceRequest request in bad) Assert.ThrowsAny<ArgumentException>(() => engine.Submit(request));
        engine.Submit(Plain with { Prompt = Rig.Prompt(63), AllowedNewTokens = 0 });
        Assert.Throws<ArgumentException>(() => engine.Submit(Plain));
    }
}
