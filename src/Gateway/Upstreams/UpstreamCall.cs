using System.Collections.Immutable;
using Qanat.Books;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>A call that upstreams serve, between its hold and its settlement. Used by one task.</summary>
internal sealed class UpstreamCall
{
    private readonly OwnCount own;
    private readonly List<UpstreamAttempt> attempts = [];
    private readonly int[] generated;
    private readonly bool[] finished;
    private readonly List<string> run = [];
    private int runChoice;
    private UpstreamTarget? serving;
    private TokenCounts? told;

    public UpstreamCall(Hold hold, Call call, Reservation reservation, int? maxNewTokens, int allowedNewTokens, OwnCount own)
    {
        (Hold, Call, Reservation, MaxNewTokens, AllowedNewTokens, this.own) = (hold, call, reservation, maxNewTokens, allowedNewTokens, own);
        AmountWritten = hold.Amount;
        generated = new int[call.Choices];
        finished = new bool[call.Choices];
    }

    /// <summary>The upstreams to be tried, in order; null: those of the model and of the models that stand in for it.</summary>
    public ImmutableArray<UpstreamSet>? Within { get; init; }

    /// <summary>When nobody here serves it, another place may: its hold is left open and <see cref="NotServed"/> says why.</summary>
    public bool MayPassOn { get; init; }
    public ApiException? NotServed { get; set; }

    /// <summary>Its tenant was stopped while it was read.</summary>
    public bool IsStopped { get; set; }

    /// <summary>The client was told of its admission already.</summary>
    public bool IsAdmitted { get; init; }

    /// <summary>Attempts before it came here.</summary>
    public ImmutableArray<UpstreamAttempt> Before { init => attempts.AddRange(value); }

    /// <summary>Attempts that failed.</summary>
    public ImmutableArray<UpstreamAttempt> Failed => [.. attempts];

    /// <summary>The model that stands in for the one asked for; null: that one answers.</summary>
    public ModelName? ServedModel => serving is { Model.Name: var name } && name != Hold.Model ? name : null;

    public Hold Hold { get; }
    public Call Call { get; }
    public RequestTerms Terms => Reservation.Terms;
    public Reservation Reservation { get; }

    /// <summary>Per choice; null: as many as the upstream likes.</summary>
    public int? MaxNewTokens { get; }

    /// <summary>Per choice: what the hold pays for.</summary>
    public int AllowedNewTokens { get; set; }

    /// <summary>The hold's amount as it is durable.</summary>
    public Money AmountWritten { get; set; }

    public int InputTokens => own.Input;
    public int MostGenerated => generated.Max();
    public Instant? FirstTokenAt { get; private set; }
    public int Attempts => attempts.Count + (serving is null ? 0 : 1);
    public UpstreamTarget? Serving => serving;

    /// <summary>How the answer of the upstream that serves it has ended, if it has.</summary>
    public AttemptEnd End { get; private set; } = AttemptEnd.Closed;

    /// <summary>How its usage stands to our own count.</summary>
    public UsageCheckState State { get; private set; } = UsageCheckState.Missing;

    /// <summary>Money went or may have gone to an upstream, although nothing was served.</summary>
    public bool IsCostly => attempts.Any(attempt => attempt.Tokens != default);

    /// <summary>Tokens used so far, as far as anyone knows.</summary>
    public TokenCounts Tokens => serving is null ? default : told ?? own.Counts;

    public UsageProgress Progress => new(Hold.Id, Tokens, default, Use);

    /// <summary>An attempt that failed before anything of it was delivered.</summary>
    public void Fail(UpstreamTarget target, AttemptEnd how) => attempts.Add(new UpstreamAttempt(target.Spec.Name, how,
        how is AttemptEnd.TimedOut or AttemptEnd.Closed or AttemptEnd.Cut ? new TokenCounts(own.Input, 0, 0, 0, 0) : default, target.Model.Rates));

    /// <summary>This upstream's answer has begun.</summary>
    public void Serve(UpstreamTarget target, Instant at)
    {
        serving = target;
        FirstTokenAt = at;
    }

    /// <summary>Takes events and adds what the client is to be told of them. True: the answer is complete.</summary>
    public bool Take(List<UpstreamEvent> events, List<CallEvent> tell)
    {
        bool done = false;
        foreach (UpstreamEvent happened in events)
        {
            switch (happened)
            {
                case UpstreamPieces pieces:
                    long before = own.Counts.Output;
                    own.Add(pieces);
                    generated[pieces.Choice] += (int)(own.Counts.Output - before);
                    Tell(pieces, tell);
                    break;
                case UpstreamRead read:
                    TellRun(tell);
                    tell.Add(new PromptRead(read.Values) { Text = read.Text });
                    break;
                case UpstreamFinish finish:
                    finished[finish.Choice] = true;
                    TellRun(tell);
                    tell.Add(new ChoiceFinished(finish.Choice, finish.Reason, finish.StoppedBy));
                    break;
                case UpstreamUsage usage:
                    told = usage.Tokens;
                    break;
                case UpstreamDone:
                    done = true;
                    break;
                default:
                    throw new InvalidOperationException($"{happened.GetType().Name} is not an event of an answer.");
            }
        }
        TellRun(tell);
        if (done) Complete();
        return done;
    }

    /// <summary>What came together, and is counted by one commit, is told together: text that follows text becomes one piece.</summary>
    private void Tell(UpstreamPieces more, List<CallEvent> tell)
    {
        if (more is { Pieces: [TextPiece text], Logprobs.IsEmpty: true })
        {
            if (more.Choice != runChoice) TellRun(tell);
            runChoice = more.Choice;
            run.Add(text.Text);
            return;
        }
        TellRun(tell);
        tell.Add(new Delta(more.Choice, more.Pieces, []) { ToldLogprobs = more.Logprobs });
    }

    /// <summary>Tells the text that has gathered.</summary>
    private void TellRun(List<CallEvent> tell)
    {
        if (run.Count == 0) return;
        tell.Add(new Delta(runChoice, [new TextPiece(run.Count == 1 ? run[0] : string.Concat(run))], []));
        run.Clear();
    }

    /// <summary>The answer ended early. What the upstream told until then is not its whole usage.</summary>
    public void Break(AttemptEnd how)
    {
        End = how;
        State = UsageCheckState.Missing;
        if (told is { } partly && partly.Output < own.Counts.Output) told = null;
    }

    /// <summary>Ends the choices that still run.</summary>
    public IEnumerable<CallEvent> EndRest(AnswerEnd reason) =>
        Enumerable.Range(0, finished.Length).Where(choice => !finished[choice]).Select(choice => new ChoiceFinished(choice, reason));

    public UpstreamUse Use => new(serving is null ? [.. attempts] : [.. attempts, new UpstreamAttempt(serving.Spec.Name, End, Tokens, serving.Model.Rates)], State, own.Counts);

    private void Complete()
    {
        End = AttemptEnd.Served;
        // Usage without a single output token, after something was said, is no usage.
        if (told is { Output: 0 } && own.Counts.Output > 0 || told is { Input: 0 }) told = null;
        State = told is { } usage ? own.Check(usage, finished.Length) : UsageCheckState.Missing;
    }
}
