using System.Collections.Immutable;
using System.Threading.Channels;
using Qanat.Books;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>A call between its hold and its settlement. Changed only by the meter of its deployment, one batch at a time.</summary>
public sealed class RunningCall
{
    private readonly Channel<CallEvent> events = Channel.CreateUnbounded<CallEvent>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
    private readonly ChoiceState[] choices;

    /// <param name="reader">Reads the text of a choice; null: whoever answers tells pieces itself.</param>
    public RunningCall(Hold hold, Call call, Reservation reservation, int maxNewTokens, int allowedNewTokens, Func<int, AnswerReader>? reader)
    {
        ArgumentNullException.ThrowIfNull(call);
        Hold = hold;
        Call = call;
        Reservation = reservation;
        MaxNewTokens = maxNewTokens;
        AllowedNewTokens = allowedNewTokens;
        choices = [.. Enumerable.Range(0, call.Choices).Select(choice => new ChoiceState { Reader = reader?.Invoke(choice) })];
    }

    public Hold Hold { get; }
    public Call Call { get; }

    /// <summary>What it is charged by.</summary>
    public RequestTerms Terms => Reservation.Terms;
    public Reservation Reservation { get; }

    /// <summary>Free tokens kept for it.</summary>
    public QuotaHold Quota => Reservation.Quota;

    /// <summary>What each choice must be; null: anything.</summary>
    public AnswerConstraint? Constraint { get; init; }

    /// <summary>Per choice.</summary>
    public int MaxNewTokens { get; }

    /// <summary>Per choice: what the hold pays for.</summary>
    public int AllowedNewTokens { get; set; }

    /// <summary>No budget can pay for more than is allowed now.</summary>
    public bool BudgetExhausted { get; set; }

    /// <summary>Its tenant was stopped while it ran. Set before its sequences are ended for it.</summary>
    public bool IsStopped { get; set; }

    public TokenCounts Tokens { get; private set; }
    public DeviceTime Device { get; private set; }
    public Instant? FirstTokenAt { get; private set; }
    public bool Finished => choices.All(choice => choice.Finish is not null);
    public int MostGenerated => choices.Max(choice => choice.Generated);
    public int Choices => choices.Length;
    public UsageProgress Progress => new(Hold.Id, Tokens, Device);
    public ChannelReader<CallEvent> Events => events.Reader;

    public SequenceId Sequence(int choice) => new(Hold.Id.Value, choice);

    /// <summary>Adds what a step did. The prompt counts once, however many choices read it and however often it was recomputed.</summary>
    public void Add(SequenceStep step, Instant at)
    {
        ArgumentNullException.ThrowIfNull(step);
        ChoiceState choice = choices[step.Id.Choice];
        choice.Prompt = Math.Min(choice.Prompt + step.PromptTokensComputed + step.CachedPromptTokens, Call.Prompt.Length);
        choice.Generated += step.Tokens.Length;
        choice.Reasoning += step.ReasoningTokens;
        choice.Finish ??= step.Finish;
        // Other choices find the first one's prompt in the cache; only what the first found there was there before the request.
        int cached = step.Id.Choice == 0 && Tokens.CacheRead == 0 ? Math.Min(step.CachedPromptTokens, Call.Prompt.Length) : (int)Tokens.CacheRead;
        if (step.Tokens.Length > 0) FirstTokenAt ??= at;
        Device += new DeviceTime(step.PrefillNanoseconds, step.DecodeNanoseconds);
        int read = choices.Max(each => each.Prompt);
        Tokens = new TokenCounts(read, cached, Math.Max(0, Math.Min(read, Call.CacheTokens) - cached), choices.Sum(each => (long)each.Generated), choices.Sum(each => (long)each.Reasoning));
    }

    /// <summary>What a step has to tell the client: the pieces of its text, and the end of the choice.</summary>
    public IEnumerable<CallEvent> Tell(SequenceStep step)
    {
        ArgumentNullException.ThrowIfNull(step);
        if (Call.Reading is not null)
        {
            if (!step.Reading.IsDefaultOrEmpty) yield return new PromptRead(step.Reading);
            if (step.Finish is { } end) yield return new ChoiceFinished(step.Id.Choice, end is FinishReason.Cancelled ? AnswerEnd.Cancelled : end is FinishReason.Failed ? AnswerEnd.Failed : AnswerEnd.Stop);
            yield break;
        }
        AnswerReader reader = choices[step.Id.Choice].Reader ?? throw new InvalidOperationException("This call is answered by an upstream: its steps tell no text.");
        ImmutableArray<AnswerPiece> pieces = reader.Add(step.Text);
        if (step.Finish is { } reason) pieces = pieces.AddRange(reader.Finish(wasCut: reason != FinishReason.Stop));
        if (step.Tokens.Length > 0 || pieces.Length > 0) yield return new Delta(step.Id.Choice, pieces, step.Tokens);
        if (step.Finish is { } finish) yield return new ChoiceFinished(step.Id.Choice, EndOf(finish, reader), step.StoppedBy);
    }

    private static AnswerEnd EndOf(FinishReason reason, AnswerReader reader) => reason switch
    {
        FinishReason.Stop => reader.HasCalls ? AnswerEnd.ToolCalls : AnswerEnd.Stop,
        FinishReason.Length => AnswerEnd.Length,
        FinishReason.Budget => AnswerEnd.Budget,
        FinishReason.Loop => AnswerEnd.Loop,
        FinishReason.Cancelled => AnswerEnd.Cancelled,
        _ => AnswerEnd.Failed,
    };

    /// <summary>Choices that paused because the hold pays for no more.</summary>
    public IEnumerable<int> ChoicesAtTheirLimit() =>
        Enumerable.Range(0, choices.Length).Where(index => choices[index].Finish is null && choices[index].Generated >= AllowedNewTokens);

    /// <summary>To be read once: what it shares with other calls may change at any moment.</summary>
    public Outcome Outcome => choices switch
    {
        _ when Call.IsUncharged || choices.Any(choice => choice.Finish == FinishReason.Failed) => Outcome.Failed,
        // Of a batch only rows that succeed are charged.
        _ when Call.Operation == Operation.Batch && choices.Any(choice => choice.Finish == FinishReason.Cancelled) => Outcome.Failed,
        _ when choices.Any(choice => choice.Finish == FinishReason.Cancelled) => IsStopped ? Outcome.CutByLimit : Outcome.AbortedByClient,
        _ when choices.Any(choice => choice.Finish == FinishReason.Budget) => Outcome.CutByLimit,
        _ => Outcome.Completed,
    };

    /// <summary>Choices from this one on were never submitted: they have nothing to wait for.</summary>
    public void AbandonFrom(int choice)
    {
        foreach (ChoiceState each in choices[choice..]) each.Finish = FinishReason.Cancelled;
    }

    public void Hand(CallEvent happened) => events.Writer.TryWrite(happened);
    public void Complete(Exception? error = null) => events.Writer.TryComplete(error);

    /// <summary>Reads what nobody is told any more, until the books know what became of the call.</summary>
    public async Task EndAsync()
    {
        try
        {
            await foreach (CallEvent _ in events.Reader.ReadAllAsync())
            {
            }
        }
        catch (ApiException)
        {
            // The process ends: the next one settles it.
        }
    }

    private sealed class ChoiceState
    {
        public AnswerReader? Reader;
        public int Prompt;
        public int Generated;
        public int Reasoning;
        public FinishReason? Finish;
    }
}
