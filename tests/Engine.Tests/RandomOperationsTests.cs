using CsCheck;

namespace Qanat.Engine.Tests;

/// <summary>Any mix of submissions, allowances, ends and steps keeps every invariant, and every sequence gets a beginning of the answer it would get alone.</summary>
public sealed class RandomOperationsTests
{
    private enum Kind { Submit, Allow, End, Step }

    private sealed record Operation(Kind Kind, int Number, int Size);

    private sealed record Setup(int Blocks, int BlockTokens, int Sequences, int Groups)
    {
        /// <summary>Recurrent states; 0: the model has none.</summary>
        public int States { get; init; }
    }

    private static readonly Gen<Operation> GenOperation = Gen.Select(
        Gen.Frequency((4, Gen.Const(Kind.Submit)), (2, Gen.Const(Kind.Allow)), (1, Gen.Const(Kind.End)), (12, Gen.Const(Kind.Step))),
        Gen.Int[0, 1000], Gen.Int[0, 60],
        (kind, number, size) => new Operation(kind, number, size));

    private static readonly Gen<Setup> GenSetup = Gen.Select(Gen.Int[3, 40], Gen.Int[1, 6], Gen.Int[1, 9], Gen.Int[1, 4], (blocks, tokens, sequences, groups) => new Setup(blocks, tokens, sequences, groups));

    [Fact]
    public void Invariants_hold_after_every_step() => Gen.Select(GenSetup, GenOperation.Array[1, 120]).Sample(Run, iter: 400);

    [Fact]
    public void Invariants_hold_after_every_step_of_a_model_with_states() =>
        Gen.Select(GenSetup, Gen.Int[1, 12], GenOperation.Array[1, 120]).Sample((setup, states, operations) => Run(setup with { States = states }, operations), iter: 400);

    /// <summary>Two of a kind with two states: one gets a block but no state, and finds in the next step in the cache what it was about to compute.</summary>
    [Fact]
    public void A_sequence_that_gets_a_block_but_no_state_gives_the_block_back() =>
        Gen.Select(GenSetup, Gen.Int[1, 12], GenOperation.Array[1, 120]).Sample((setup, states, operations) => Run(setup with { States = states }, operations), seed: "bBaBdAT2Hg21", iter: 1);

    private static void Run(Setup setup, Operation[] operations)
    {
        int budget = setup.Sequences + setup.BlockTokens + 5;
        var runner = new FakeRunner(setup.Blocks, setup.BlockTokens, stateCount: setup.States);
        var rig = new Rig(runner: runner, options: new EngineOptions { StepTokensMax = budget, SequencesMax = setup.Sequences, BlockTokens = setup.BlockTokens });
        runner.OnRun = plan => CheckPlan(plan, budget, setup);
        var requests = new List<SequenceRequest>();
        foreach (Operation operation in operations) Apply(rig, operation, setup, requests);

        // Let everything that is left run to its end.
        foreach (SequenceRequest request in requests) rig.Loop.Allow(request.Id, int.MaxValue);
        rig.RunDry();
        Assert.Equal((0, 0, 0), (rig.Loop.Pool.UsedCount, rig.Loop.Scheduler.WaitingCount, rig.Loop.Scheduler.RunningCount));
        foreach (SequenceRequest request in requests) CheckAnswer(rig.Sink[request.Id], request, rig.Loop.ContextLength, setup.States > 0);
    }

    private static void Apply(Rig rig, Operation operation, Setup setup, List<SequenceRequest> requests)
    {
        SequenceId target = requests.Count == 0 ? default : requests[operation.Number % requests.Count].Id;
        switch (operation.Kind)
        {
            case Kind.Submit:
                int length = Math.Min(operation.Size + 1, rig.Loop.ContextLength - 1);
                SequenceRequest request = Rig.Request(Rig.Id(requests.Count + 1), Rig.Prompt(length, operation.Number % 3), 1 + operation.Number % 17) with
                {
                    AllowedNewTokens = operation.Number % 4 == 0 ? operation.Number % 5 : int.MaxValue,
                    FairnessGroup = Rig.Group(operation.Number % setup.Groups),
                    Sampling = new SamplingOptions { Temperature = operation.Number % 2, Seed = (ulong)operation.Number, TopK = operation.Size % 20 },
                };
                requests.Add(request);
                rig.Loop.Submit(request);
                break;
            case Kind.Allow:
                rig.Loop.Allow(target, operation.Size);
                break;
            case Kind.End:
                rig.Loop.End(target, FinishReason.Cancelled);
                break;
            default:
                bool canRun = rig.Loop.Scheduler.Running.Any(s => !s.IsPaused) || (rig.Loop.Scheduler.RunningCount == 0 && rig.Loop.Scheduler.All.Any(s => !s.IsPaused));
                Assert.True(rig.Loop.RunOne() || !canRun, "there was something to run and nothing ran");
                break;
        }
        rig.Loop.Pool.Verify();
        CheckReferences(rig);
        if (rig.Loop.States is not null) CheckStates(rig, rig.Loop.States);
    }

    private static void CheckPlan(StepPlan plan, int budget, Setup setup)
    {
        Assert.InRange(plan.RowCount, 1, budget);
        Assert.InRange(plan.Slices.Count, 1, setup.Sequences);
        Assert.Equal(plan.Slices.Count, plan.Slices.Select(s => s.Sequence).Distinct().Count());
        Assert.Equal(plan.RowCount, plan.Slices.Sum(s => s.RowCount));
        foreach (PlannedSlice slice in plan.Slices)
        {
            int end = slice.FirstPosition + slice.RowCount;
            Assert.False(slice.Sequence.IsPaused);
            Assert.Equal(SequenceState.Running, slice.Sequence.State);
            Assert.True(slice.RowCount == 1 || slice.FirstPosition % setup.BlockTokens == 0 || slice.Sequence.Copied > 0, "a longer piece begins inside a block that was not copied");
            Assert.True(end == slice.Sequence.Count || end % setup.BlockTokens == 0, "a piece ends inside a block");
            Assert.Equal(end == slice.Sequence.Count, slice.WantsLogits);
            Assert.True(slice.Sequence.Blocks.Count * setup.BlockTokens >= end, "rows without blocks");
        }
    }

    private static void CheckReferences(Rig rig)
    {
        var held = new Dictionary<int, int>();
        foreach (Sequence sequence in rig.Loop.Scheduler.All)
        {
            if (sequence.State == SequenceState.Waiting) Assert.Empty(sequence.Blocks);
            foreach (int block in sequence.Blocks) held[block] = held.GetValueOrDefault(block) + 1;
        }
        Assert.Equal(rig.Loop.Pool.UsedCount, held.Count);
        foreach ((int block, int count) in held) Assert.Equal(count, rig.Loop.Pool.References(block));
        Assert.True(rig.Loop.Scheduler.Running.Select(s => s.Arrival).SequenceEqual(rig.Loop.Scheduler.Running.Select(s => s.Arrival).Order()));
    }

    private static void CheckStates(Rig rig, StatePool states)
    {
        states.Verify();
        var held = new Dictionary<int, int>();
        foreach (Sequence sequence in rig.Loop.Scheduler.All)
        {
            Assert.Equal(sequence.Computed > 0, sequence.Memory != StatePool.None);
            Assert.Equal(StatePool.None, sequence.NextMemory);
            if (sequence.Memory != StatePool.None) held[sequence.Memory] = held.GetValueOrDefault(sequence.Memory) + 1;
        }
        Assert.Equal(states.HeldCount, held.Count);
        foreach ((int state, int count) in held) Assert.Equal(count, states.References(state));
    }

    private static void CheckAnswer(Answer answer, SequenceRequest request, int contextLength, bool hasStates)
    {
        List<int> alone = Rig.Alone(request with { AllowedNewTokens = int.MaxValue, MaxNewTokens = Math.Min(request.MaxNewTokens, contextLength - request.Prompt.Length) }, 4, hasStates).Tokens;
        Assert.Equal(alone.Take(answer.Tokens.Count), answer.Tokens);
        Assert.Equal(Rig.TextOf(answer.Tokens), answer.Text.ToString());
        if (answer.Finish == FinishReason.Cancelled) return;
        Assert.Equal((FinishReason.Length, alone.Count), (answer.Finish, answer.Tokens.Count));
        Assert.Equal(request.Prompt.Length, answer.PromptTokensComputed + answer.CachedPromptTokens);
    }
}
