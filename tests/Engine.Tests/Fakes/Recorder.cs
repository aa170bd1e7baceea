using System.Collections.Immutable;
using System.Text;

namespace Qanat.Engine.Tests;

/// <summary>What a sequence's facts add up to.</summary>
internal sealed class Answer
{
    public List<int> Tokens { get; } = [];
    public StringBuilder Text { get; } = new();
    public FinishReason? Finish { get; set; }
    public string? Failure { get; set; }
    public int PromptTokensComputed { get; set; }
    public int CachedPromptTokens { get; set; }
    public long PrefillNs { get; set; }
    public long DecodeNs { get; set; }
    public List<GeneratedToken> Generated { get; } = [];
}

/// <summary>Keeps every fact and checks what must hold for all of them: order, time, one finish per sequence.</summary>
internal sealed class Recorder : IStepSink
{
    private long _nextIndex;
    private long _lastEndNs;

    public List<StepFact> Facts { get; } = [];
    public Dictionary<SequenceId, Answer> Answers { get; } = [];

    /// <summary>Thrown by the next OnStep, then forgotten, when set.</summary>
    public Exception? ThrowNext { get; set; }

    public Answer this[SequenceId id] => Answers[id];

    public void OnStep(StepFact step)
    {
        Assert.Equal(_nextIndex++, step.Index);
        Assert.True(step.StartNs >= _lastEndNs && step.EndNs >= step.StartNs, "steps overlap");
        _lastEndNs = step.EndNs;
        long sum = 0;
        foreach (SequenceStep s in step.Sequences) sum += s.PrefillNanoseconds + s.DecodeNanoseconds;
        Assert.Equal(step.EndNs - step.StartNs, sum);
        Facts.Add(step);
        foreach (SequenceStep s in step.Sequences)
        {
            if (!Answers.TryGetValue(s.Id, out Answer? answer)) Answers.Add(s.Id, answer = new Answer());
            Assert.Null(answer.Finish);
            answer.Tokens.AddRange(s.Tokens.Select(t => t.Token));
            answer.Generated.AddRange(s.Tokens);
            answer.Text.Append(s.Text);
            answer.Finish = s.Finish;
            answer.Failure = s.Failure;
            answer.PromptTokensComputed += s.PromptTokensComputed;
            answer.CachedPromptTokens += s.CachedPromptTokens;
            answer.PrefillNs += s.PrefillNanoseconds;
            answer.DecodeNs += s.DecodeNanoseconds;
        }
        if (ThrowNext is { } failure)
        {
            ThrowNext = null;
            throw failure;
        }
    }
}
