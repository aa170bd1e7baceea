namespace Qanat.Engine.Tests;

public sealed class AllocationTests
{
    private const int Runs = 4, WarmUpSteps = 100, Steps = 200;

    /// <summary>What a step allocates, it allocates in every run of the same steps. What the runtime allocates beside, on whichever thread is the first to need it, is in one of them.</summary>
    [Fact]
    public void Planning_running_choosing_and_committing_allocate_nothing()
    {
        var least = new long[Steps];
        Array.Fill(least, long.MaxValue);
        for (int run = 0; run < Runs; run++)
        {
            Action step = Begin();
            for (int i = 0; i < Steps; i++) least[i] = Math.Min(least[i], AllocatedBy(step));
        }
        Assert.All(least[WarmUpSteps..], bytes => Assert.Equal(0, bytes));
    }

    /// <summary>Four sequences, each of whose tokens are chosen in another way.</summary>
    private static Action Begin()
    {
        var runner = new FakeRunner(512, 4, vocabulary: 5000, contextLength: 100_000);
        var scheduler = new Scheduler(new BlockPool(512, 4), runner.Work, 8);
        var sampler = new Sampler(5000);
        SamplingOptions[] options =
        [
            new() { Temperature = 0 },
            new() { Temperature = 0.6f, TopK = 20, TopP = 0.95f, PresencePenalty = 1.5f, RepetitionPenalty = 1.05f },
            new() { Temperature = 1, TopP = 0.9f, MinP = 0.01f, LogitBias = System.Collections.Immutable.ImmutableDictionary<int, float>.Empty.Add(3, 1) },
            new() { Temperature = 1, TopK = 400 },
        ];
        for (int i = 0; i < options.Length; i++)
            scheduler.Submit(Rig.Request(Rig.Id(i), Rig.Prompt(30, i), 100_000) with { Sampling = options[i], FairnessGroup = Rig.Group(i % 2) });
        var sampled = new int[8];
        return Step;

        void Step()
        {
            StepPlan plan = scheduler.Plan(32);
            Span<float> logits = runner.Run(plan);
            foreach (PlannedSlice slice in plan.Slices)
                if (slice.WantsLogits) sampled[slice.LogitIndex] = sampler.Choose(logits.Slice(slice.LogitIndex * 5000, 5000), slice.Sequence);
            scheduler.Commit(plan, sampled);
        }
    }

    private static long AllocatedBy(Action step)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        step();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }
}
