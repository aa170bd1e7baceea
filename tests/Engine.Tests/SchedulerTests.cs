using System.Collections.Immutable;

namespace Qanat.Engine.Tests;

public sealed class SchedulerTests
{
    private static SequenceRequest For(string group, int request, int promptLength, int maxNewTokens = 8) =>
        Rig.Request(Rig.Id(request), Rig.Prompt(promptLength, request), maxNewTokens) with { FairnessGroup = group };

    [Fact]
    public void Scheduler_preempts_the_newest_sequence_when_blocks_run_out()
    {
        var preempted = new List<SequenceId>();
        var runner = new FakeRunner(10, 4) { OnRun = plan => preempted.AddRange(plan.Preempted.Select(s => s.Id)) };
        var rig = new Rig(runner: runner);
        for (int i = 1; i <= 3; i++) rig.Loop.Submit(For("a", i, 7, 20));
        rig.RunDry();
        Assert.Equal(Rig.Id(3), preempted[0]);
        Assert.DoesNotContain(Rig.Id(1), preempted);
        int LastFactOf(int request) => rig.Sink.Facts.FindLastIndex(f => f.Sequences.Any(s => s.Id == Rig.Id(request)));
        Assert.True(LastFactOf(1) < LastFactOf(2) && LastFactOf(2) <= LastFactOf(3));
    }

    [Fact]
    public void One_groups_long_prompts_do_not_starve_another_groups_short_one()
    {
        var rig = new Rig(blockCount: 4096);
        for (int i = 1; i <= 8; i++) rig.Loop.Submit(For("hog", i, 1000));
        for (int i = 0; i < 20; i++) rig.Loop.RunOne();
        rig.Loop.Submit(For("guest", 100, 30, 1));
        // 30 tokens need one step of 32 rows alone; sharing by halves they need two, and one more for what was cut at a block boundary.
        for (int i = 0; i < 3; i++) rig.Loop.RunOne();
        Assert.Equal(FinishReason.Length, rig.Sink[Rig.Id(100)].Finish);
        Assert.Null(rig.Sink[Rig.Id(1)].Finish);
    }

    [Fact]
    public void Groups_with_endless_work_get_equal_shares_however_many_requests_each_has()
    {
        var served = new Dictionary<string, long> { ["many"] = 0, ["few"] = 0 };
        var runner = new FakeRunner(8192, 4);
        runner.OnRun = Count;
        var rig = new Rig(runner: runner, options: new EngineOptions { StepTokensMax = 64, SequencesMax = 16, BlockTokens = 4 });
        for (int i = 1; i <= 30; i++) rig.Loop.Submit(For("many", i, 900, 1));
        for (int i = 101; i <= 104; i++) rig.Loop.Submit(For("few", i, 900, 1));
        for (int i = 0; i < 50; i++) rig.Loop.RunOne();
        Assert.InRange(served["few"] / (double)(served["few"] + served["many"]), 0.45, 0.55);

        void Count(StepPlan plan)
        {
            foreach (PlannedSlice slice in plan.Slices) served[slice.Sequence.Request.FairnessGroup] += runner.Work.OfRows(slice.FirstPosition, slice.RowCount);
        }
    }

    [Fact]
    public void Idle_time_earns_no_credit()
    {
        var rows = new Dictionary<string, int> { ["busy"] = 0, ["late"] = 0 };
        var runner = new FakeRunner(8192, 4);
        var rig = new Rig(runner: runner);
        for (int i = 1; i <= 4; i++) rig.Loop.Submit(For("busy", i, 2000, 1));
        // The late group is known from the beginning, but has nothing it may run.
        rig.Loop.Submit(For("late", 100, 2000, 1) with { AllowedNewTokens = 0 });
        for (int i = 0; i < 100; i++) rig.Loop.RunOne();
        runner.OnRun = plan =>
        {
            foreach (PlannedSlice slice in plan.Slices) rows[slice.Sequence.Request.FairnessGroup] += slice.RowCount;
        };
        rig.Loop.Allow(Rig.Id(100), 1);
        for (int i = 0; i < 20; i++) rig.Loop.RunOne();
        // The new one is cheaper per row at first, because it attends to little; it must not get everything.
        Assert.InRange(rows["busy"], rows["late"] / 3, rows["late"] * 3);
    }

    [Fact]
    public void A_group_with_nothing_running_takes_a_place_from_the_largest_group()
    {
        var rig = new Rig(options: new EngineOptions { StepTokensMax = 32, SequencesMax = 4, BlockTokens = 4 });
        for (int i = 1; i <= 6; i++) rig.Loop.Submit(For("hog", i, 5, 200));
        for (int i = 0; i < 10; i++) rig.Loop.RunOne();
        Assert.All(rig.Loop.Scheduler.Running, s => Assert.Equal("hog", s.Request.FairnessGroup));
        rig.Loop.Submit(For("guest", 100, 5, 3));
        for (int i = 0; i < 3; i++) rig.Loop.RunOne();
        Assert.Equal(FinishReason.Length, rig.Sink[Rig.Id(100)].Finish);
        rig.RunDry();
        for (int i = 1; i <= 6; i++) Assert.Equal(Rig.Alone(For("hog", i, 5, 200)).Tokens, rig.Sink[Rig.Id(i)].Tokens);
    }

    [Fact]
    public void Streams_flow_on_while_a_long_prompt_is_computed()
    {
        var rig = new Rig(blockCount: 2048);
        rig.Loop.Submit(For("a", 1, 4, 50));
        rig.Loop.RunOne();
        rig.Loop.Submit(For("a", 2, 900, 1));
        for (int i = 0; i < 20; i++)
        {
            int before = rig.Sink[Rig.Id(1)].Tokens.Count;
            rig.Loop.RunOne();
            Assert.Equal(before + 1, rig.Sink[Rig.Id(1)].Tokens.Count);
        }
        Assert.Null(rig.Sink[Rig.Id(2)].Finish);
    }

    [Fact]
    public void A_large_request_is_not_kept_out_for_ever_by_small_ones()
    {
        var rig = new Rig(blockCount: 20);
        for (int i = 1; i <= 3; i++) rig.Loop.Submit(For("small", i, 12, 10));
        rig.Loop.RunOne();
        rig.Loop.Submit(For("large", 100, 70, 1));
        for (int next = 4; !rig.Sink.Answers.ContainsKey(Rig.Id(100)); next++)
        {
            Assert.True(next < 60, "the large request starves");
            rig.Loop.Submit(For("small", next, 12, 10));
            rig.Loop.RunOne();
        }
        rig.RunDry();
        Assert.Equal(Rig.Alone(For("large", 100, 70, 1)).Tokens, rig.Sink[Rig.Id(100)].Tokens);
    }

    [Fact]
    public void A_cancelled_sequence_frees_its_blocks_and_ends_before_the_next_step()
    {
        var rig = new Rig();
        rig.Loop.Submit(For("a", 1, 40, 100));
        rig.Loop.Submit(For("a", 2, 5, 100));
        for (int i = 0; i < 6; i++) rig.Loop.RunOne();
        int used = rig.Loop.Pool.UsedCount;
        long facts = rig.Sink.Facts.Count;
        rig.Loop.End(Rig.Id(1), FinishReason.Cancelled);
        Assert.True(rig.Loop.Pool.UsedCount <= used - 10);
        rig.Loop.RunOne();

        StepFact last = rig.Sink.Facts[(int)facts];
        SequenceStep end = Assert.Single(last.Sequences);
        Assert.Equal((Rig.Id(1), FinishReason.Cancelled, 0L, 0), (end.Id, end.Finish, last.EndNs - last.StartNs, end.Tokens.Length));
        Assert.Equal(Rig.Id(2), Assert.Single(rig.Sink.Facts[^1].Sequences).Id);
        rig.Loop.End(Rig.Id(1), FinishReason.Cancelled);
        rig.RunDry();
    }

    [Fact]
    public void A_sequence_cancelled_while_it_waits_costs_nothing()
    {
        var rig = new Rig();
        rig.Loop.Submit(For("a", 1, 40, 100));
        rig.Loop.End(Rig.Id(1), FinishReason.Cancelled);
        Assert.False(rig.Loop.RunOne());
        Answer answer = rig.Sink[Rig.Id(1)];
        Assert.Equal((FinishReason.Cancelled, 0L, 0L), (answer.Finish, answer.PrefillNs, rig.Runner.Rows));
    }

    [Fact]
    public void Free_cached_and_used_blocks_are_all_blocks_and_none_is_used_when_idle()
    {
        var rig = new Rig(blockCount: 64);
        for (int i = 1; i <= 10; i++) rig.Loop.Submit(For("a", i, 17, 9));
        rig.RunDry();
        Assert.Equal(0, rig.Loop.Pool.UsedCount);
        Assert.Equal(64, rig.Loop.Pool.FreeCount + rig.Loop.Pool.CachedCount);
        Assert.True(rig.Loop.Pool.CachedCount > 0);
    }

    [Fact]
    public void A_sequence_pauses_at_what_it_is_allowed_and_goes_on_when_allowed_more()
    {
        var rig = new Rig();
        SequenceRequest request = For("a", 1, 9, 10) with { AllowedNewTokens = 3 };
        rig.Loop.Submit(request);
        rig.RunDry();
        Assert.Equal(3, rig.Sink[request.Id].Tokens.Count);
        Assert.Null(rig.Sink[request.Id].Finish);
        rig.Loop.Allow(request.Id, 2);
        Assert.False(rig.Loop.RunOne());
        rig.Loop.Allow(request.Id, 7);
        rig.RunDry();
        Assert.Equal(7, rig.Sink[request.Id].Tokens.Count);
        rig.Loop.Allow(request.Id, 100);
        rig.RunDry();
        Assert.Equal(Rig.Alone(For("a", 1, 9, 10)).Tokens, rig.Sink[request.Id].Tokens);
    }

    [Fact]
    public void A_paused_sequence_gives_its_blocks_to_one_that_can_run_and_still_answers_the_same()
    {
        var rig = new Rig(blockCount: 10);
        SequenceRequest paused = For("a", 1, 9, 10) with { AllowedNewTokens = 3 }, other = For("a", 2, 9, 28);
        rig.Loop.Submit(paused);
        rig.RunDry();
        rig.Loop.Submit(other);
        rig.RunDry();
        Assert.Equal(FinishReason.Length, rig.Sink[other.Id].Finish);
        Assert.Equal(1, rig.Loop.Scheduler.Preemptions);
        rig.Loop.Allow(paused.Id, 10);
        rig.RunDry();
        Assert.Equal(Rig.Alone(For("a", 1, 9, 10)).Tokens, rig.Sink[paused.Id].Tokens);
    }

    [Fact]
    public void A_sequence_that_may_generate_nothing_yet_is_not_computed()
    {
        var rig = new Rig();
        rig.Loop.Submit(For("a", 1, 9) with { AllowedNewTokens = 0 });
        Assert.False(rig.Loop.RunOne());
        rig.Loop.Allow(Rig.Id(1), 1);
        Assert.True(rig.Loop.RunOne());
    }

    [Fact]
    public void A_budget_that_could_leave_a_sequence_without_its_row_is_refused()
    {
        var scheduler = new Scheduler(new BlockPool(4, 4), new StepWork(1, 1, 1), 8);
        Assert.Throws<ArgumentOutOfRangeException>(() => scheduler.Plan(11));
        Assert.True(scheduler.Plan(12).IsEmpty);
        var tooSmall = new EngineOptions { StepTokensMax = 95, SequencesMax = 64, BlockTokens = 32 };
        Assert.Throws<ArgumentException>(() => new InferenceEngine(new FakeRunner(4, 32), Rig.VocabularyOf(new FakeRunner(1, 1)), tooSmall, new Recorder(), TimeProvider.System, ""));
    }

    [Fact]
    public void A_sequence_that_fills_the_whole_cache_still_ends()
    {
        var rig = new Rig(blockCount: 6);
        SequenceRequest request = Rig.Request(Rig.Id(1), Rig.Prompt(20), 100);
        Assert.Equal(24, rig.Loop.ContextLength);
        rig.Loop.Submit(request);
        rig.RunDry();
        Assert.Equal(FinishReason.Length, rig.Sink[request.Id].Finish);
        Assert.Equal(4, rig.Sink[request.Id].Tokens.Count);
        Assert.Equal(Rig.Alone(request).Tokens.Take(4), rig.Sink[request.Id].Tokens);
    }

    [Fact]
    public void The_prompt_is_reported_once_even_when_it_is_computed_twice()
    {
        var rig = new Rig(blockCount: 12);
        ImmutableArray<int> prompt = Rig.Prompt(14);
        rig.Loop.Submit(Rig.Request(Rig.Id(1), Rig.Prompt(14, 1), 30));
        rig.Loop.Submit(Rig.Request(Rig.Id(2), prompt, 30));
        rig.RunDry();
        Assert.True(rig.Loop.Scheduler.Preemptions > 0);
        foreach (Answer answer in rig.Sink.Answers.Values) Assert.Equal(14, answer.PromptTokensComputed + answer.CachedPromptTokens);
    }
}
