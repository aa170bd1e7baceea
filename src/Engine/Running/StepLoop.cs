using System.Collections.Immutable;
using Qanat.Models;

namespace Qanat.Engine;

/// <summary>The bytes a token stands for; empty for tokens that are no text.</summary>
internal delegate ReadOnlySpan<byte> TokenBytes(int token);

/// <summary>What the engine must know of a model's tokens.</summary>
internal sealed record Vocabulary(TokenBytes Bytes, ImmutableArray<int> StopTokens)
{
    /// <summary>The token that begins a message of a chat; -1: there is none.</summary>
    public int MessageStart { get; init; } = -1;

    /// <summary>A network's output is often padded to a round number of tokens: those the tokenizer does not know are no text.</summary>
    public static Vocabulary Of(BpeTokenizer tokenizer) => new(token => token < tokenizer.Count ? tokenizer.Bytes(token) : default, [.. tokenizer.StopTokens]) { MessageStart = tokenizer.TryTokenOf("<|im_start|>", out int start) ? start : -1 };
}

/// <summary>
/// One engine step after the other: plan, run, sample, commit, tell. Single-threaded; <see cref="InferenceEngine"/> gives it a thread.
/// What fails, the model or the sink, ends the sequences it concerns and nothing else.
/// </summary>
internal sealed class StepLoop
{
    private readonly IModelRunner _runner;
    private readonly Vocabulary _vocabulary;
    private readonly EngineOptions _options;
    private readonly IStepSink _sink;
    private readonly EngineClock _clock;
    private readonly BlockPool _pool;
    private readonly Scheduler _scheduler;
    private readonly Sampler _sampler;
    private readonly StopRule _stopRule;
    private readonly StepOutcome _outcome;
    private readonly List<SequenceStep> _ended = [];
    private readonly HashSet<SequenceId> _open = [];
    private bool _isBusy;
    private long _lastEndNs;
    private long _facts;

    public StepLoop(IModelRunner runner, Vocabulary vocabulary, EngineOptions options, IStepSink sink, EngineClock clock)
    {
        _runner = runner;
        _vocabulary = vocabulary;
        _options = options;
        _sink = sink;
        _clock = clock;
        States = runner.StateCount == 0 ? null : new StatePool(runner.StateCount, runner.BlockCount);
        _pool = new BlockPool(runner.BlockCount, runner.BlockTokens, States);
        _scheduler = new Scheduler(_pool, runner.Work, States is null ? options.SequencesMax : Math.Min(options.SequencesMax, States.SlotCount), States, vocabulary.MessageStart);
        _sampler = new Sampler(runner.Vocabulary);
        ContextLength = (int)Math.Min(runner.ContextLength, (long)runner.BlockCount * runner.BlockTokens);
        _stopRule = new StopRule([.. vocabulary.StopTokens], ContextLength);
        _outcome = new StepOutcome(runner.Work, options.SequencesMax);
    }

    public int ContextLength { get; }
    public Scheduler Scheduler => _scheduler;
    public BlockPool Pool => _pool;

    /// <summary>Null when the model has no recurrent states.</summary>
    public StatePool? States { get; }

    /// <summary>Steps computed.</summary>
    public long Steps { get; private set; }
    public long PromptTokens { get; private set; }
    public long CachedPromptTokens { get; private set; }
    public long GeneratedTokens { get; private set; }
    public string? LastFailure { get; private set; }

    /// <summary>Ids that got their last fact since the list was cleared.</summary>
    public List<SequenceId> Finished { get; } = [];

    public void Submit(SequenceRequest request)
    {
        Track(request.Id);
        _scheduler.Submit(request);
    }

    /// <summary>From now on the sequence is owed a last fact.</summary>
    public void Track(SequenceId id) => _open.Add(id);

    public void Allow(SequenceId id, int newTokens) => _scheduler.Allow(id, newTokens);

    /// <summary>Ends a sequence outside a step; <see cref="RunOne"/> or <see cref="TellEnded"/> tells it.</summary>
    public void End(SequenceId id, FinishReason reason, string? failure = null)
    {
        if (_scheduler.End(id) is not { } sequence) return;
        sequence.Text.Complete();
        _ended.Add(new SequenceStep(id, 0, [], sequence.Text.Take(), reason, 0, 0) { Failure = failure });
    }

    public void EndAll(FinishReason reason, string? failure = null)
    {
        foreach (SequenceId id in _scheduler.All.Select(sequence => sequence.Id).ToArray()) End(id, reason, failure);
        TellEnded();
    }

    /// <summary>Tells every sequence that has not had its last fact that it failed, without touching the scheduler: for when an invariant of the engine is broken.</summary>
    public void Abandon(string failure)
    {
        LastFailure = failure;
        _ended.Clear();
        foreach (SequenceId id in _open) _ended.Add(new SequenceStep(id, 0, [], "", FinishReason.Failed, 0, 0) { Failure = failure });
        TellEnded();
    }

    /// <summary>Runs one step. False: there is nothing to compute until something is submitted, allowed or ended.</summary>
    public bool RunOne()
    {
        TellEnded();
        long startNs = _isBusy ? _lastEndNs : _clock.NowNs;
        StepPlan plan = _scheduler.Plan(_options.StepTokensMax);
        _isBusy = !plan.IsEmpty;
        if (!_isBusy) return false;

        Steps++;
        _outcome.Begin(plan);
        if (TryRun(plan)) Advance(plan);
        _lastEndNs = _clock.NowNs;
        Tell(_outcome.ToFact(_facts++, startNs, _lastEndNs));
        return true;
    }

    /// <summary>Tells of the sequences that ended outside a step: a fact of no duration.</summary>
    public void TellEnded()
    {
        while (_ended.Count > 0)
        {
            if (!_isBusy) _lastEndNs = _clock.NowNs;
            var fact = new StepFact(_facts++, _lastEndNs, _lastEndNs, [.. _ended]);
            _ended.Clear();
            Tell(fact);
        }
    }

    /// <summary>Tells that nothing was computed up to now: a fact of no sequences and no duration, so that idle time is known while it passes.</summary>
    public void TellIdle()
    {
        _lastEndNs = _clock.NowNs;
        Tell(new StepFact(_facts++, _lastEndNs, _lastEndNs, []));
    }

    // ---- one step ------------------------------------------------------------------------------------------------

    /// <summary>Computes the plan and chooses the tokens. When the model fails, all sequences of the plan end.</summary>
    private bool TryRun(StepPlan plan)
    {
        Span<float> logits;
        try
        {
            logits = _runner.Run(plan);
        }
        catch (Exception failure)
        {
            foreach (PlannedSlice slice in plan.Slices) Fail(slice, failure);
            return false;
        }
        foreach (PlannedSlice slice in plan.Slices)
        {
            if (slice.Reads && !TryRead(slice, logits)) Fail(slice, new InvalidLogitsException("The model's output is not a number."));
            if (!slice.Generates) continue;
            Span<float> row = logits.Slice(slice.LogitIndex * _runner.Vocabulary, _runner.Vocabulary);
            try
            {
                int token = slice.Sequence.ForcedToken ?? _sampler.Choose(row, slice.Sequence);
                _outcome.Choose(slice.LogitIndex, _sampler.Describe(row, token, slice.Sequence.Request.TopLogprobs));
            }
            catch (Exception failure) when (failure is InvalidLogitsException or GrammarException)
            {
                Fail(slice, failure);
            }
        }
        return true;
    }

    /// <summary>Takes what the sequence was asked to read; false when it holds a number that is none.</summary>
    private bool TryRead(PlannedSlice slice, Span<float> logits)
    {
        ImmutableArray<float> read = slice.HiddenIndex >= 0
            ? [.. _runner.HiddenVector(slice.HiddenIndex)]
            : [.. RowOf(slice, slice.Sequence.Request.Reading!.Tokens, logits)];
        _outcome.Read(slice, read);
        foreach (float number in read)
            if (!float.IsFinite(number)) return false;
        return true;
    }

    private float[] RowOf(PlannedSlice slice, ImmutableArray<int> tokens, Span<float> logits)
    {
        var read = new float[tokens.Length];
        for (int i = 0; i < read.Length; i++) read[i] = logits[slice.LogitIndex * _runner.Vocabulary + tokens[i]];
        return read;
    }

    private void Fail(PlannedSlice slice, Exception failure)
    {
        LastFailure = Describe(failure);
        Finish(slice, FinishReason.Failed);
        _outcome.Fail(slice, LastFailure);
    }

    /// <summary>Applies what was computed and chosen, and ends what is finished.</summary>
    private void Advance(StepPlan plan)
    {
        _scheduler.Commit(plan, _outcome.Sampled);
        foreach (PlannedSlice slice in plan.Slices)
        {
            Sequence sequence = slice.Sequence;
            if (sequence.State == SequenceState.Ended) continue;
            _outcome.Computed(slice);
            PromptTokens += slice.PromptTokensComputed + slice.CachedPromptTokens;
            CachedPromptTokens += slice.CachedPromptTokens;
            if (slice.Reads) Finish(slice, FinishReason.Stop);
            if (!slice.Generates) continue;

            GeneratedTokens++;
            int token = sequence.Tokens[^1];
            int thoughtBefore = sequence.Thought.Tokens;
            sequence.Thought.Append(token, _vocabulary.Bytes(token));
            _outcome.Think(slice, sequence.Thought.Tokens - thoughtBefore);
            sequence.Constraint?.Accept(token);
            if (!_stopRule.IsStopToken(sequence, token)) sequence.Text.Append(_vocabulary.Bytes(token));
            if (_stopRule.After(sequence, token) is { } reason) Finish(slice, reason);
            else _outcome.Say(slice, sequence.Text.Take());
        }
    }

    private void Finish(PlannedSlice slice, FinishReason reason)
    {
        _scheduler.End(slice.Sequence.Id);
        slice.Sequence.Text.Complete();
        _outcome.Say(slice, slice.Sequence.Text.Take());
        _outcome.Finish(slice, reason);
    }

    /// <summary>Hands a fact on. When the sink fails, the books of these sequences are in doubt: they end, and the engine goes on.</summary>
    private void Tell(StepFact fact)
    {
        foreach (SequenceStep step in fact.Sequences)
            if (step.Finish is not null && _open.Remove(step.Id)) Finished.Add(step.Id);
        try
        {
            _sink.OnStep(fact);
        }
        catch (Exception failure)
        {
            LastFailure = Describe(failure);
            foreach (SequenceStep step in fact.Sequences)
                if (step.Finish is null) End(step.Id, FinishReason.Failed, LastFailure);
        }
    }

    private static string Describe(Exception failure) => $"{failure.GetType().Name}: {failure.Message}";
}
