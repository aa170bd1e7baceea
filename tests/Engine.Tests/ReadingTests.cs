using System.Collections.Immutable;

namespace Qanat.Engine.Tests;

/// <summary>Requests that read numbers after their prompt instead of generating.</summary>
public sealed class ReadingTests
{
    private static SequenceRequest Vector(int id, int length, int seed = 0) => SequenceRequest.ToRead(PromptReading.HiddenVector, Rig.Id(id), Rig.Prompt(length, seed), "tenant");

    private static SequenceRequest Logits(int id, int length, int seed, params int[] tokens) => SequenceRequest.ToRead(new PromptReading([.. tokens]), Rig.Id(id), Rig.Prompt(length, seed), "tenant");

    private static ImmutableArray<float> Read(Rig rig, int id) => rig.Sink.Facts.SelectMany(fact => fact.Sequences).Single(step => step.Id == Rig.Id(id) && step.Finish is not null).Reading;

    private static ImmutableArray<float> Alone(SequenceRequest request)
    {
        var rig = new Rig(1024);
        rig.Loop.Submit(request);
        rig.RunDry();
        return rig.Sink.Facts.SelectMany(fact => fact.Sequences).Last().Reading;
    }

    [Fact]
    public void A_vector_and_logits_come_with_the_last_fact_and_no_token()
    {
        var rig = new Rig(clock: new ManualClock(ticksPerRead: 1_000_000));
        rig.Loop.Submit(Vector(1, 9));
        rig.Loop.Submit(Logits(2, 21, 1, 5, 3, 5));
        rig.RunDry();
        Assert.Single(Read(rig, 1));
        Assert.Equal(3, Read(rig, 2).Length);
        Assert.Equal(Read(rig, 2)[0], Read(rig, 2)[2]);
        Assert.NotEqual(Read(rig, 2)[0], Read(rig, 2)[1]);
        foreach (int id in new[] { 1, 2 })
        {
            Answer answer = rig.Sink[Rig.Id(id)];
            Assert.Equal((FinishReason.Stop, 0, ""), (answer.Finish, answer.Tokens.Count, answer.Text.ToString()));
            Assert.True(answer.PrefillNs > 0);
            Assert.Equal(0, answer.DecodeNs);
        }
        Assert.Equal((9, 21), (rig.Sink[Rig.Id(1)].PromptTokensComputed, rig.Sink[Rig.Id(2)].PromptTokensComputed));
        Assert.Equal(0, rig.Loop.GeneratedTokens);
    }

    [Fact]
    public void Only_the_last_fact_carries_the_reading()
    {
        var rig = new Rig(options: new EngineOptions { StepTokensMax = 12, SequencesMax = 8, BlockTokens = 4 });
        rig.Loop.Submit(Vector(1, 40));
        rig.RunDry();
        SequenceStep[] steps = [.. rig.Sink.Facts.SelectMany(fact => fact.Sequences)];
        Assert.True(steps.Length >= 4);
        Assert.All(steps[..^1], step => Assert.Empty(step.Reading));
        Assert.Single(steps[^1].Reading);
    }

    [Fact]
    public void Readings_in_a_batch_with_generation_equal_each_alone_also_from_the_cache()
    {
        var rig = new Rig(blockCount: 40);
        SequenceRequest[] requests = [Vector(1, 30), Logits(2, 17, 2, 1, 2), Rig.Request(Rig.Id(3), Rig.Prompt(12, 1)), Vector(4, 31), Logits(5, 30, 0, 7), Vector(6, 1, 5)];
        foreach (SequenceRequest request in requests) rig.Loop.Submit(request);
        rig.RunDry();
        foreach (SequenceRequest request in requests.Where(request => request.Reading is not null))
            Assert.Equal(Alone(request), Read(rig, request.Id.Request.ToByteArray()[0]));
        Assert.Equal(Rig.Alone(requests[2]).Tokens, rig.Sink[Rig.Id(3)].Tokens);
        Assert.True(rig.Sink[Rig.Id(5)].CachedPromptTokens > 0);
    }

    [Fact]
    public void A_prompt_may_fill_the_context_because_no_answer_follows()
    {
        RequestCheck.Check(Vector(1, 8), 61, 8);
        Assert.Throws<ArgumentException>(() => RequestCheck.Check(Vector(1, 9), 61, 8));
        Assert.Throws<ArgumentException>(() => RequestCheck.Check(Logits(1, 4, 0, 61), 61, 8));
        Assert.Throws<ArgumentException>(() => RequestCheck.Check(Vector(1, 4) with { Reading = new PromptReading(default) }, 61, 8));
    }

    [Fact]
    public void Numbers_that_are_none_end_the_sequence_as_failed_and_only_it()
    {
        var runner = new FakeRunner(256, 4);
        runner.OnLogits = (sequence, logits) => logits[3] = sequence.Id == Rig.Id(1) ? float.NaN : logits[3];
        var rig = new Rig(runner: runner);
        rig.Loop.Submit(Logits(1, 5, 0, 3));
        rig.Loop.Submit(Logits(2, 5, 1, 3));
        rig.RunDry();
        Assert.Equal((FinishReason.Failed, FinishReason.Stop), (rig.Sink[Rig.Id(1)].Finish, rig.Sink[Rig.Id(2)].Finish));
        Assert.Empty(Read(rig, 1));
    }
}
