using System.Collections.Immutable;
using Qanat.Models;

namespace Qanat.Engine.Tests;

/// <summary>Thoughts are counted and ended in time, and answers that go round in circles are stopped.</summary>
public sealed class ThinkingTests
{
    private const int Open = 3, Close = 4;
    private static readonly ImmutableArray<int> s_ending = [7, 8, Close, 9];
    private static readonly SequenceRequest s_plain = Rig.Request(Rig.Id(1), Rig.Prompt(9), 40);

    /// <summary>A model that writes these tokens, then 20 for ever.</summary>
    private static Rig Writing(params int[] tokens) => new(runner: new FakeRunner(64, 4)
    {
        OnLogits = (sequence, logits) =>
        {
            Array.Fill(logits, -100);
            logits[sequence.Generated < tokens.Length ? tokens[sequence.Generated] : 20] = 100;
        },
    });

    private static int Reasoning(Rig rig) => rig.Sink.Facts.SelectMany(fact => fact.Sequences).Sum(step => step.ReasoningTokens);

    private static List<int> Run(Rig rig, SequenceRequest request)
    {
        rig.Loop.Submit(request);
        rig.RunDry();
        return rig.Sink[request.Id].Tokens;
    }

    [Fact]
    public void Tokens_of_a_thought_are_counted_with_its_marks()
    {
        Rig rig = Writing(Open, 10, 11, Close, 12);
        Run(rig, s_plain with { Thinking = new ThinkingOptions(Open, Close, IsOpen: false) });
        Assert.Equal(4, Reasoning(rig));
        rig = Writing(10, 11, Close, 12, Open, 13);
        Run(rig, s_plain with { Thinking = new ThinkingOptions(Open, Close, IsOpen: true) });
        Assert.Equal(3, Reasoning(rig));
        rig = Writing(10, Open, 11, Close);
        Run(rig, s_plain with { Thinking = new ThinkingOptions(Open, Close, IsOpen: false) });
        Assert.Equal(0, Reasoning(rig));
    }

    [Theory]
    [InlineData(0, true, new[] { 7, 8, Close, 9 })]
    [InlineData(2, true, new[] { 20, 20, 7, 8, Close, 9 })]
    public void A_thought_over_its_limit_is_ended(int tokensMax, bool isOpen, int[] begin)
    {
        Rig rig = Writing();
        List<int> tokens = Run(rig, s_plain with { Thinking = new ThinkingOptions(Open, Close, isOpen) { TokensMax = tokensMax, Ending = s_ending } });
        Assert.Equal(begin, tokens.Take(begin.Length));
        Assert.Equal(20, tokens[begin.Length]);
        Assert.Equal(40, tokens.Count);
        Assert.Equal(begin.Length, Reasoning(rig));
    }

    [Fact]
    public void A_thought_within_its_limit_is_left_alone()
    {
        Rig rig = Writing(Open, 10, Close);
        Assert.DoesNotContain(7, Run(rig, s_plain with { Thinking = new ThinkingOptions(Open, Close, IsOpen: false) { TokensMax = 30, Ending = s_ending } }));
    }

    [Fact]
    public void An_answer_that_repeats_itself_ends_as_a_loop()
    {
        Rig rig = Writing(10, 11, 12);
        Assert.Equal(24, Run(rig, s_plain with { LoopTokensMax = 16 }).Count);
        Assert.Equal(FinishReason.Loop, rig.Sink[s_plain.Id].Finish);
        rig = Writing(10, 11, 12);
        Assert.Equal(40, Run(rig, s_plain).Count);
    }

    [Fact]
    public void Long_periods_count_as_loops_and_near_repetitions_do_not()
    {
        int[] period = [.. Enumerable.Range(0, 37)];
        int[] loop = [.. Enumerable.Repeat(period, 8).SelectMany(each => each)];
        Assert.True(LoopRule.IsLoop(loop, 64));
        Assert.False(LoopRule.IsLoop(loop.AsSpan(0, 37 * 3 + 1), 64));
        loop[^80] = 99;
        Assert.False(LoopRule.IsLoop(loop, 64));
    }
}
