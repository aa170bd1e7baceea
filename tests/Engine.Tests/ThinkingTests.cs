using System.Collections.Immutable;
using System.Text;

namespace Qanat.Engine.Tests;

/// <summary>Thoughts are counted and ended in time, and answers that go round in circles are stopped.</summary>
public sealed class ThinkingTests
{
    // Token n is the n-th letter: "D" opens a thought and "E" closes it.
    private const int Open = 3, Close = 4;
    private static readonly ThinkingOptions s_marks = new("D", "E", IsOpen: false);
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
        Run(rig, s_plain with { Thinking = s_marks });
        Assert.Equal(4, Reasoning(rig));
        rig = Writing(10, 11, Close, 12, Open, 13);
        Run(rig, s_plain with { Thinking = s_marks with { IsOpen = true } });
        Assert.Equal(3, Reasoning(rig));
        rig = Writing(10, Open, 11, Close);
        Run(rig, s_plain with { Thinking = s_marks });
        Assert.Equal(0, Reasoning(rig));
    }

    /// <summary>A mark is one token in a model's vocabulary, and can be spelled all the same: to whoever reads the answer it is the mark.</summary>
    [Fact]
    public void Marks_that_are_spelled_are_marks()
    {
        ThinkingOptions spelled = new("KLM", "NO", IsOpen: false);
        Rig rig = Writing(10, 11, 12, 15, 13, 13, 14, 16);
        Run(rig, s_plain with { Thinking = spelled });
        Assert.Equal(7, Reasoning(rig));
        rig = Writing(10, 11, 13);
        Run(rig, s_plain with { Thinking = spelled });
        Assert.Equal(0, Reasoning(rig));
        rig = Writing(10, 11, 12, 15);
        Assert.Equal([10, 11, 12, 15, 7, 8, Close, 9, 20], Run(rig, s_plain with { Thinking = spelled with { TokensMax = 4, Ending = s_ending } }).Take(9));
    }

    [Fact]
    public void White_space_before_a_thought_is_nothing_else_and_a_call_at_the_beginning_of_a_line_ends_one()
    {
        string[] texts = [.. Enumerable.Range(0, 61).Select(token => token switch { 1 => "\n", 2 => " \n\n", Open => "<think>", Close => "</think>", 5 => "<tool_call>", 6 => "<tool_", _ => FormattableString.Invariant($"{token}") })];
        ThinkingOptions marks = new("<think>", "</think>", IsOpen: false) { Call = "<tool_call>", TokensMax = 9, Ending = s_ending };
        Assert.Equal(5, Count(2, Open, 10, 5, Close, 12));
        Assert.Equal(3, Count(Open, 10, 1, 5, 11, 12));
        Assert.Equal(1, Count(Open, 5, 11, 12));
        Assert.Equal(5, Count(Open, 1, 6, 10, Close, 5));
        Assert.Equal(0, Count(10, Open, 11, Close));

        int Count(params int[] tokens)
        {
            Thought thought = new(marks);
            foreach (int token in tokens)
            {
                Assert.Null(thought.Forced);
                thought.Append(token, Encoding.UTF8.GetBytes(texts[token]));
            }
            return thought.Tokens;
        }
    }

    [Theory]
    [InlineData(0, true, new[] { 7, 8, Close, 9 })]
    [InlineData(2, true, new[] { 20, 20, 7, 8, Close, 9 })]
    public void A_thought_over_its_limit_is_ended(int tokensMax, bool isOpen, int[] begin)
    {
        Rig rig = Writing();
        List<int> tokens = Run(rig, s_plain with { Thinking = s_marks with { IsOpen = isOpen, TokensMax = tokensMax, Ending = s_ending } });
        Assert.Equal(begin, tokens.Take(begin.Length));
        Assert.Equal(20, tokens[begin.Length]);
        Assert.Equal(40, tokens.Count);
        Assert.Equal(begin.Length, Reasoning(rig));
    }

    [Fact]
    public void A_thought_within_its_limit_is_left_alone()
    {
        Rig rig = Writing(Open, 10, Close);
        Assert.DoesNotContain(7, Run(rig, s_plain with { Thinking = s_marks with { TokensMax = 30, Ending = s_ending } }));
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
