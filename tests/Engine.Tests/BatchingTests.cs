using System.Collections.Immutable;

namespace Qanat.Engine.Tests;

/// <summary>Whatever the engine does to get there, each sequence gets the answer it would get alone.</summary>
public sealed class BatchingTests
{
    private static SequenceRequest Sampled(SequenceId id, ImmutableArray<int> prompt, int maxNewTokens, ulong seed) =>
        Rig.Request(id, prompt, maxNewTokens) with { Sampling = new SamplingOptions { Temperature = 1, TopP = 0.9f, Seed = seed, FrequencyPenalty = 0.5f, RepetitionPenalty = 1.1f } };

    [Fact]
    public void A_batch_of_mixed_lengths_gives_each_sequence_the_answer_it_gets_alone()
    {
        var rig = new Rig();
        SequenceRequest[] requests = [.. Enumerable.Range(1, 20).Select(i => Sampled(Rig.Id(i), Rig.Prompt(i * i % 67 + 1, i), 5 + i, (ulong)i))];
        foreach (SequenceRequest request in requests) rig.Loop.Submit(request);
        rig.RunDry();
        foreach (SequenceRequest request in requests)
        {
            Answer alone = Rig.Alone(request);
            Assert.Equal(alone.Tokens, rig.Sink[request.Id].Tokens);
            Assert.Equal(alone.Text.ToString(), rig.Sink[request.Id].Text.ToString());
            Assert.Equal(Rig.TextOf(alone.Tokens), alone.Text.ToString());
            Assert.Equal(FinishReason.Length, alone.Finish);
            Assert.Equal(request.MaxNewTokens, alone.Tokens.Count);
        }
    }

    [Fact]
    public void A_prefix_hit_gives_the_answer_of_a_miss_and_computes_only_the_rest()
    {
        var rig = new Rig();
        ImmutableArray<int> shared = Rig.Prompt(22);
        SequenceRequest first = Rig.Request(Rig.Id(1), shared), second = Rig.Request(Rig.Id(2), [.. shared, 3, 4, 5]);
        rig.Loop.Submit(first);
        rig.RunDry();
        long rows = rig.Runner.Rows;
        rig.Loop.Submit(second);
        rig.RunDry();

        Answer hit = rig.Sink[second.Id];
        // Five blocks are shared, and what the sixth begins with is copied.
        Assert.Equal(22, hit.CachedPromptTokens);
        Assert.Equal(3, hit.PromptTokensComputed);
        Assert.Equal(3 + 8 - 1, rig.Runner.Rows - rows);
        Assert.Equal(Rig.Alone(second).Tokens, hit.Tokens);
        Assert.Equal(0, rig.Sink[first.Id].CachedPromptTokens);
        Assert.Equal(22, rig.Sink[first.Id].PromptTokensComputed);
    }

    [Fact]
    public void The_next_turn_of_a_conversation_reads_prompt_and_answer_from_the_cache()
    {
        var rig = new Rig();
        SequenceRequest turn = Rig.Request(Rig.Id(1), Rig.Prompt(10), 9);
        rig.Loop.Submit(turn);
        rig.RunDry();
        SequenceRequest next = Rig.Request(Rig.Id(2), [.. turn.Prompt, .. rig.Sink[turn.Id].Tokens, 1, 2]);
        rig.Loop.Submit(next);
        rig.RunDry();
        // The last generated token was never computed: 18 tokens are, 16 of them in full blocks.
        Assert.Equal(18, rig.Sink[next.Id].CachedPromptTokens);
        Assert.Equal(Rig.Alone(next).Tokens, rig.Sink[next.Id].Tokens);
    }

    [Fact]
    public void A_prompt_that_is_cached_as_a_whole_computes_its_last_token_again()
    {
        // Ending at a block's end and inside; asked with the answer in the same block and without one.
        foreach (int length in new[] { 16, 17, 18, 19 })
        {
            foreach (int newTokens in new[] { 1, 8 })
            {
                var rig = new Rig();
                SequenceRequest request = Rig.Request(Rig.Id(1), Rig.Prompt(length), newTokens);
                for (int i = 1; i <= 3; i++)
                {
                    rig.Loop.Submit(request with { Id = Rig.Id(i) });
                    rig.RunDry();
                    Assert.Equal((i == 1 ? 0 : length - 1, i == 1 ? length : 1), (rig.Sink[Rig.Id(i)].CachedPromptTokens, rig.Sink[Rig.Id(i)].PromptTokensComputed));
                    Assert.Equal(rig.Sink[Rig.Id(1)].Tokens, rig.Sink[Rig.Id(i)].Tokens);
                }
            }
        }
    }

    [Fact]
    public void Prompts_that_part_inside_a_block_copy_what_they_share()
    {
        var rig = new Rig(blockTokens: 16, options: new EngineOptions { StepTokensMax = 64, SequencesMax = 8, BlockTokens = 16 });
        ImmutableArray<int> shared = Rig.Prompt(28);
        SequenceRequest[] requests = [.. Enumerable.Range(0, 6).Select(i => Sampled(Rig.Id(i), [.. shared, .. Enumerable.Repeat(i + 1, 9)], 12, (ulong)i))];
        rig.Loop.Submit(requests[0]);
        rig.RunDry();
        foreach (SequenceRequest request in requests[1..]) rig.Loop.Submit(request);
        rig.RunDry();
        // The block that all of them copied is still there for whom it is all.
        rig.Loop.Submit(requests[0] with { Id = Rig.Id(7) });
        rig.RunDry();
        foreach (SequenceRequest request in requests)
        {
            Assert.Equal(request.Id == requests[0].Id ? 0 : 28, rig.Sink[request.Id].CachedPromptTokens);
            Assert.Equal(Rig.Alone(request, 16).Tokens, rig.Sink[request.Id].Tokens);
        }
        Assert.Equal(36, rig.Sink[Rig.Id(7)].CachedPromptTokens);
        Assert.Equal(rig.Sink[requests[0].Id].Tokens, rig.Sink[Rig.Id(7)].Tokens);
    }

    [Fact]
    public void A_block_that_is_copied_may_be_the_last_one_there_is()
    {
        // Three blocks: the prompt's two, and the one that the answer to the first request ended in, which the second request gets itself.
        var rig = new Rig(blockCount: 3, options: new EngineOptions { StepTokensMax = 32, SequencesMax = 1, BlockTokens = 4 });
        SequenceRequest request = Rig.Request(Rig.Id(1), Rig.Prompt(11), 1);
        rig.Loop.Submit(request);
        rig.RunDry();
        Assert.Equal((0, 3), (rig.Loop.Pool.FreeCount, rig.Loop.Pool.CachedCount));
        rig.Loop.Submit(request with { Id = Rig.Id(2) });
        rig.RunDry();
        Assert.Equal(10, rig.Sink[Rig.Id(2)].CachedPromptTokens);
        Assert.Equal(rig.Sink[Rig.Id(1)].Tokens, rig.Sink[Rig.Id(2)].Tokens);
    }

    [Fact]
    public void Another_group_never_reads_a_groups_cache()
    {
        var rig = new Rig();
        SequenceRequest request = Rig.Request(Rig.Id(1), Rig.Prompt(16));
        rig.Loop.Submit(request);
        rig.RunDry();
        rig.Loop.Submit(request with { Id = Rig.Id(2), FairnessGroup = "another tenant" });
        rig.RunDry();
        Assert.Equal(0, rig.Sink[Rig.Id(2)].CachedPromptTokens);
        Assert.Equal(16, rig.Sink[Rig.Id(2)].PromptTokensComputed);
    }

    [Fact]
    public void Choices_of_one_request_compute_their_prompt_once()
    {
        var rig = new Rig();
        ImmutableArray<int> prompt = Rig.Prompt(41);
        for (int choice = 0; choice < 4; choice++) rig.Loop.Submit(Sampled(Rig.Id(1, choice), prompt, 6, 99));
        rig.RunDry();
        Answer[] answers = [.. Enumerable.Range(0, 4).Select(choice => rig.Sink[Rig.Id(1, choice)])];
        Assert.Equal(41 + 3 * 1, answers.Sum(a => a.PromptTokensComputed));
        Assert.Equal(3 * 40, answers.Sum(a => a.CachedPromptTokens));
        Assert.Equal(41 + 3 + 4 * 5, rig.Runner.Rows);
        Assert.Equal(4, answers.Select(a => string.Join(',', a.Tokens)).Distinct().Count());
        for (int choice = 0; choice < 4; choice++) Assert.Equal(Rig.Alone(Sampled(Rig.Id(1, choice), prompt, 6, 99)).Tokens, answers[choice].Tokens);
    }

    [Fact]
    public void Preempted_sequences_give_the_answers_they_give_undisturbed()
    {
        // Each of the four needs 13 blocks in the end, and there are 20.
        var rig = new Rig(blockCount: 20);
        SequenceRequest[] requests = [.. Enumerable.Range(1, 4).Select(i => Sampled(Rig.Id(i), Rig.Prompt(12, i), 40, (ulong)i))];
        foreach (SequenceRequest request in requests) rig.Loop.Submit(request);
        rig.RunDry();
        Assert.True(rig.Loop.Scheduler.Preemptions > 0);
        foreach (SequenceRequest request in requests)
        {
            Answer answer = rig.Sink[request.Id];
            Assert.Equal(Rig.Alone(request).Tokens, answer.Tokens);
            Assert.Equal(12, answer.PromptTokensComputed + answer.CachedPromptTokens);
        }
    }

    [Fact]
    public void The_same_seed_gives_the_same_answer_and_another_seed_another()
    {
        SequenceRequest request = Sampled(Rig.Id(1), Rig.Prompt(9), 20, 5);
        Assert.Equal(Rig.Alone(request).Tokens, Rig.Alone(request with { Id = Rig.Id(77) }).Tokens);
        Assert.NotEqual(Rig.Alone(request).Tokens, Rig.Alone(Sampled(Rig.Id(1), Rig.Prompt(9), 20, 6)).Tokens);
    }

    [Fact]
    public void A_prompt_is_cut_at_block_boundaries_whatever_the_budget()
    {
        var cuts = new List<int>();
        var runner = new FakeRunner(64, 8) { OnRun = plan => cuts.AddRange(plan.Slices.Where(s => s.FirstPosition > 0).Select(s => s.FirstPosition)) };
        var rig = new Rig(options: new EngineOptions { StepTokensMax = 13, SequencesMax = 5, BlockTokens = 8 }, runner: runner);
        rig.Loop.Submit(Rig.Request(Rig.Id(1), Rig.Prompt(50), 1));
        rig.RunDry();
        // 13 rows hold one block of 8 and not the next; the last block and the 2 tokens after it fit into one step.
        Assert.Equal([8, 16, 24, 32, 40], cuts);
    }

    [Fact]
    public void Device_time_is_conserved_and_prompt_rows_are_prefill_and_generated_rows_decode()
    {
        var rig = new Rig(clock: new ManualClock { NextTicks = NextTicks() });
        for (int i = 1; i < 6; i++) rig.Loop.Submit(Rig.Request(Rig.Id(i), Rig.Prompt(10 * i, i), i));
        rig.RunDry();
        Answer onlyPrefill = rig.Sink[Rig.Id(1)], both = rig.Sink[Rig.Id(5)];
        Assert.Equal(0, onlyPrefill.DecodeNs);
        Assert.True(onlyPrefill.PrefillNs > 0 && both.PrefillNs > onlyPrefill.PrefillNs && both.DecodeNs > 0);
        // While there is work the steps follow each other without gap.
        StepFact[] facts = [.. rig.Sink.Facts];
        for (int i = 1; i < facts.Length; i++) Assert.Equal(facts[i - 1].EndNs, facts[i].StartNs);
        Assert.Equal(facts[^1].EndNs - facts[0].StartNs, rig.Sink.Answers.Values.Sum(a => a.PrefillNs + a.DecodeNs));

        static Func<long> NextTicks()
        {
            long n = 0;
            return () => 1_000_003 + 7919 * (n++ % 13);
        }
    }
}
