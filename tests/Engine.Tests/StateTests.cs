using System.Collections.Immutable;

namespace Qanat.Engine.Tests;

/// <summary>Prefix reuse for models whose recurrent state has no inverse: only from checkpoints, and with the same answers.</summary>
public sealed class StateTests
{
    private const int MessageStart = 55;

    private static Rig WithStates(int states, int sequences = 8, int stepTokens = 32) =>
        new(runner: new FakeRunner(256, 4, stateCount: states), options: new EngineOptions { StepTokensMax = stepTokens, SequencesMax = sequences, BlockTokens = 4 }, messageStart: MessageStart);

    /// <summary>Tokens that begin no message.</summary>
    private static ImmutableArray<int> Text(int length, int seed) => [.. Rig.Prompt(length, seed).Select(token => token == MessageStart ? 1 : token)];

    private static Answer Run(Rig rig, int id, ImmutableArray<int> prompt, int newTokens = 4)
    {
        SequenceRequest request = Rig.Request(Rig.Id(id), prompt, newTokens);
        rig.Loop.Submit(request);
        rig.RunDry();
        rig.Loop.States!.Verify();
        Assert.Equal(Rig.Alone(request, 4, hasStates: true).Tokens, rig.Sink[request.Id].Tokens);
        Assert.Equal(0, rig.Loop.States!.HeldCount);
        return rig.Sink[request.Id];
    }

    [Fact]
    public void A_prompt_asked_again_goes_on_from_its_end()
    {
        Rig rig = WithStates(8);
        Assert.Equal(0, Run(rig, 1, Text(30, 1)).CachedPromptTokens);
        Assert.Equal(28, Run(rig, 2, Text(30, 1)).CachedPromptTokens);
    }

    [Fact]
    public void A_next_turn_goes_on_from_the_last_block_of_the_answer()
    {
        Rig rig = WithStates(8);
        Answer first = Run(rig, 1, Text(30, 1), newTokens: 13);
        // 30 + 13 tokens, the last of which was never computed: 42, 40 of them in whole blocks.
        Assert.Equal(40, Run(rig, 2, [.. Text(30, 1), .. first.Tokens, .. Text(9, 2)]).CachedPromptTokens);
    }

    [Fact]
    public void Where_prompts_part_the_third_finds_a_state()
    {
        Rig rig = WithStates(8);
        ImmutableArray<int> common = Text(21, 1);
        Assert.Equal(0, Run(rig, 1, [.. common, .. Text(20, 2)]).CachedPromptTokens);
        Assert.Equal(0, Run(rig, 2, [.. common, .. Text(20, 3)]).CachedPromptTokens);
        Assert.Equal(20, Run(rig, 3, [.. common, .. Text(20, 4)]).CachedPromptTokens);
    }

    [Fact]
    public void A_message_that_others_share_is_found_by_the_second()
    {
        Rig rig = WithStates(8);
        ImmutableArray<int> system = [MessageStart, .. Text(36, 1), MessageStart];
        Assert.Equal(0, Run(rig, 1, [.. system, .. Text(20, 2)]).CachedPromptTokens);
        Assert.Equal(36, Run(rig, 2, [.. system, .. Text(20, 3)]).CachedPromptTokens);
    }

    [Fact]
    public void Choices_of_one_prompt_compute_it_once()
    {
        Rig rig = WithStates(8);
        for (int choice = 0; choice < 3; choice++) rig.Loop.Submit(Rig.Request(Rig.Id(1, choice), Text(90, 1), 3));
        rig.RunDry();
        Assert.Equal([0, 88, 88], Enumerable.Range(0, 3).Select(choice => rig.Sink[Rig.Id(1, choice)].CachedPromptTokens));
        Assert.Equal(rig.Sink[Rig.Id(1, 0)].Tokens, rig.Sink[Rig.Id(1, 2)].Tokens);
    }

    [Fact]
    public void Without_room_for_checkpoints_everything_is_computed_and_right()
    {
        Rig rig = WithStates(1);
        Run(rig, 1, Text(30, 1));
        Run(rig, 2, Text(31, 2));
        Assert.Equal(0, Run(rig, 3, Text(30, 1)).CachedPromptTokens);
    }

    [Fact]
    public void No_more_sequences_run_than_there_are_states()
    {
        Rig rig = WithStates(3);
        for (int i = 0; i < 9; i++) rig.Loop.Submit(Rig.Request(Rig.Id(i + 1), Text(20 + i, i), 5));
        while (rig.Loop.RunOne()) Assert.InRange(rig.Loop.Scheduler.RunningCount, 0, 3);
        for (int i = 0; i < 9; i++) Assert.Equal(Rig.Alone(Rig.Request(Rig.Id(i + 1), Text(20 + i, i), 5), 4, hasStates: true).Tokens, rig.Sink[Rig.Id(i + 1)].Tokens);
    }

    [Fact]
    public void The_checkpoint_not_used_for_longest_gives_way()
    {
        var pool = new StatePool(3, 10);
        int[] slots = [pool.TryTake(), pool.TryTake(), pool.TryTake()];
        for (int i = 0; i < 3; i++)
        {
            pool.Keep(slots[i], i);
            pool.Release(slots[i]);
        }
        pool.Share(pool.Find(0));
        pool.Release(slots[0]);
        Assert.Equal(slots[1], pool.TryTake());
        Assert.Equal((StatePool.None, slots[0], slots[2]), (pool.Find(1), pool.Find(0), pool.Find(2)));
        pool.Verify();
    }

    [Fact]
    public void A_holder_writes_in_place_unless_a_checkpoint_or_another_would_lose_the_state()
    {
        var pool = new StatePool(2, 10);
        int own = pool.TryTake();
        Assert.Equal(own, pool.TryTakeNext(own));
        pool.Keep(own, 4);
        int next = pool.TryTakeNext(own);
        Assert.NotEqual(own, next);
        Assert.Equal(own, pool.Find(4));
        // No slot is left: the checkpoint is given up rather than the sequence stopped, but not while another holds it.
        pool.Share(own);
        Assert.Equal(StatePool.None, pool.TryTakeNext(own));
        pool.Release(own);
        Assert.Equal(own, pool.TryTakeNext(own));
        Assert.Equal(StatePool.None, pool.Find(4));
        pool.Verify();
    }

    [Fact]
    public void Checkpoints_are_the_first_message_the_last_three_and_the_end()
    {
        int[] prompt = new int[200];
        foreach (int start in new[] { 0, 21, 25, 45, 70, 100, 130, 170 }) prompt[start] = MessageStart;
        var checkpoints = new Checkpoints(prompt, MessageStart, 4);
        Assert.Equal([20, 100, 128, 168, 196], Enumerable.Range(1, 200).Where(checkpoints.Contains));
        Assert.True(checkpoints.AnyWithin(19, 20));
        Assert.False(checkpoints.AnyWithin(20, 99));
    }
}
