namespace Qanat.Engine.Tests;

/// <summary>How sequences end, seen from outside.</summary>
public sealed class StoppingTests
{
    private static readonly SequenceRequest Plain = Rig.Request(Rig.Id(1), Rig.Prompt(9), 30);

    [Fact]
    public void A_stop_token_ends_the_answer_counts_as_generated_and_is_no_text()
    {
        var runner = new FakeRunner(64, 4) { OnLogits = (sequence, logits) => logits[^1] = sequence.Generated == 5 ? 100 : -100 };
        var rig = new Rig(runner: runner);
        rig.Loop.Submit(Plain with { IgnoreStopTokens = false });
        rig.RunDry();
        Answer answer = rig.Sink[Plain.Id];
        Assert.Equal(FinishReason.Stop, answer.Finish);
        Assert.Equal(6, answer.Tokens.Count);
        Assert.Equal(runner.Vocabulary - 1, answer.Tokens[^1]);
        Assert.Equal(Rig.TextOf(answer.Tokens.Take(5)), answer.Text.ToString());
    }

    [Fact]
    public void A_stop_token_is_a_token_like_others_when_it_is_to_be_ignored()
    {
        var runner = new FakeRunner(64, 4) { OnLogits = (sequence, logits) => logits[^1] = sequence.Generated == 5 ? 100 : -100 };
        var rig = new Rig(runner: runner);
        rig.Loop.Submit(Plain);
        rig.RunDry();
        Assert.Equal(30, rig.Sink[Plain.Id].Tokens.Count);
    }

    [Fact]
    public void A_stop_string_over_several_tokens_ends_the_answer_before_it()
    {
        string text = Rig.Alone(Plain).Text.ToString();
        string stop = text[10..13];
        Answer answer = Rig.Alone(Plain with { StopStrings = ["never in it", stop] });
        int at = text.IndexOf(stop, StringComparison.Ordinal);
        Assert.Equal(FinishReason.Stop, answer.Finish);
        Assert.Equal(text[..at], answer.Text.ToString());
        Assert.Equal(at + 3, answer.Tokens.Count);
    }

    [Fact]
    public void Text_held_back_for_a_stop_goes_out_when_the_answer_ends_otherwise()
    {
        string text = Rig.Alone(Plain).Text.ToString();
        Assert.Equal(text, Rig.Alone(Plain with { StopStrings = [text[^2..] + "X"] }).Text.ToString());
        var rig = new Rig();
        rig.Loop.Submit(Plain with { StopStrings = [text[..8]] });
        for (int i = 0; i < 5; i++) rig.Loop.RunOne();
        Assert.Equal("", rig.Sink[Plain.Id].Text.ToString());
        rig.Loop.End(Plain.Id, FinishReason.Budget);
        rig.Loop.RunOne();
        Answer answer = rig.Sink[Plain.Id];
        Assert.Equal(FinishReason.Budget, answer.Finish);
        Assert.Equal(Rig.TextOf(answer.Tokens), answer.Text.ToString());
        Assert.NotEmpty(answer.Text.ToString());
    }

    [Fact]
    public void The_context_ends_an_answer_with_length()
    {
        var rig = new Rig(runner: new FakeRunner(64, 4, contextLength: 20));
        rig.Loop.Submit(Plain);
        rig.RunDry();
        Assert.Equal((FinishReason.Length, 11), (rig.Sink[Plain.Id].Finish, rig.Sink[Plain.Id].Tokens.Count));
    }

    [Fact]
    public void A_model_that_fails_ends_the_sequences_of_that_step_and_the_others_go_on()
    {
        var runner = new FakeRunner(256, 4) { OnRun = plan => { if (plan.Slices.Any(s => s.Sequence.Id == Rig.Id(2))) throw new InvalidOperationException("broken kernel"); } };
        var rig = new Rig(runner: runner, options: new EngineOptions { StepTokensMax = 12, SequencesMax = 8, BlockTokens = 4 });
        SequenceRequest third = Plain with { Id = Rig.Id(3), Prompt = Rig.Prompt(12, 3) };
        rig.Loop.Submit(Plain);
        rig.Loop.RunOne();
        rig.Loop.Submit(Plain with { Id = Rig.Id(2), Prompt = Rig.Prompt(12, 2) });
        rig.Loop.RunOne();
        rig.Loop.Submit(third);
        rig.RunDry();
        foreach (int failed in new[] { 1, 2 })
        {
            Assert.Equal(FinishReason.Failed, rig.Sink[Rig.Id(failed)].Finish);
            Assert.Equal("InvalidOperationException: broken kernel", rig.Sink[Rig.Id(failed)].Failure);
        }
        Assert.Equal(Rig.Alone(third).Tokens, rig.Sink[third.Id].Tokens);
        Assert.Equal("InvalidOperationException: broken kernel", rig.Loop.LastFailure);
        Assert.Equal(0, rig.Loop.Pool.UsedCount);
    }

    [Fact]
    public void Logits_that_are_no_numbers_end_their_own_sequence_only()
    {
        var runner = new FakeRunner(256, 4) { OnLogits = (sequence, logits) => { if (sequence.Id == Rig.Id(2) && sequence.Generated == 3) logits[7] = float.NaN; } };
        var rig = new Rig(runner: runner);
        rig.Loop.Submit(Plain);
        rig.Loop.Submit(Plain with { Id = Rig.Id(2), Prompt = Rig.Prompt(6, 2) });
        rig.RunDry();
        Assert.Equal((FinishReason.Failed, 3), (rig.Sink[Rig.Id(2)].Finish, rig.Sink[Rig.Id(2)].Tokens.Count));
        Assert.Contains("logit", rig.Sink[Rig.Id(2)].Failure, StringComparison.Ordinal);
        Assert.Equal(Rig.Alone(Plain).Tokens, rig.Sink[Plain.Id].Tokens);
    }

    [Fact]
    public void A_sink_that_fails_ends_the_sequences_of_that_fact_and_the_others_go_on()
    {
        var rig = new Rig();
        rig.Loop.Submit(Plain);
        rig.Loop.RunOne();
        rig.Sink.ThrowNext = new IOException("disk full");
        rig.Loop.RunOne();
        SequenceRequest second = Plain with { Id = Rig.Id(2) };
        rig.Loop.Submit(second);
        rig.RunDry();
        Assert.Equal((FinishReason.Failed, "IOException: disk full"), (rig.Sink[Plain.Id].Finish, rig.Sink[Plain.Id].Failure));
        Assert.Equal(Rig.Alone(Plain).Tokens, rig.Sink[second.Id].Tokens);
    }
}
