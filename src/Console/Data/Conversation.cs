using System.Collections.Immutable;
using System.Text;
using Qanat.Books;
using Qanat.Engine;
using Qanat.Gateway;
using Qanat.Models;

namespace Qanat.Console;

/// <summary>One conversation in the playground: what was said, and for every answer what it costs while it grows.</summary>
public sealed class Conversation(PlaygroundCalls calls, ConsoleData books, TimeProvider clock)
{
    private const int SettlementReadsMax = 20;
    private static readonly TimeSpan SettlementReadInterval = TimeSpan.FromMilliseconds(150);
    private readonly List<PlayMessage> messages = [];

    public IReadOnlyList<PlayMessage> Messages => messages;

    /// <summary>Adds the question and its answer, and lets the answer grow. <paramref name="grown"/> is called after every change.</summary>
    public async Task AskAsync(string question, Func<ImmutableArray<PlayTurn>, Task<PlayRequest>> request, Func<Task> grown, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(request);
        ArgumentNullException.ThrowIfNull(grown);
        messages.Add(new PlayMessage(fromUser: true, question));
        ImmutableArray<PlayTurn> turns = [.. messages.Where(message => message.Text.Length > 0).Select(message => new PlayTurn(message.FromUser, message.Text))];
        var answer = new PlayMessage(fromUser: false, "");
        messages.Add(answer);
        await grown();
        long started = clock.GetTimestamp();
        try
        {
            await foreach (CallEvent happened in calls.Run(await request(turns), cancel))
            {
                answer.Add(happened, clock.GetElapsedTime(started));
                await grown();
            }
        }
        catch (OperationCanceledException)
        {
            answer.Stop();
        }
        catch (Exception failure)
        {
            answer.End(Sentences.For(failure));
        }
        answer.End(null);
        await grown();
        if (answer is { Stopped: true, Request: { } id }) await ReadSettlementAsync(answer, id);
    }

    public void Clear() => messages.Clear();

    /// <summary>A stopped answer is settled within a step or two, but nobody tells who stopped it.</summary>
    private async Task ReadSettlementAsync(PlayMessage answer, RequestId id)
    {
        for (int attempt = 0; attempt < SettlementReadsMax && answer.Record is null; attempt++)
        {
            await Task.Delay(SettlementReadInterval, clock);
            if (await books.FindRequestAsync(id, null, CancellationToken.None) is { } record) answer.Settle(record);
        }
    }
}

/// <summary>A question, or an answer with its account.</summary>
public sealed class PlayMessage(bool fromUser, string text)
{
    private readonly StringBuilder text = new(text);
    private readonly StringBuilder thought = new();
    private TimeSpan? firstToken;
    private TimeSpan lastToken;

    public bool FromUser { get; } = fromUser;
    public string Text => text.ToString();

    /// <summary>What the model thought before it answered.</summary>
    public string Thought => thought.ToString();

    /// <summary>Whether there is a thought yet; <see cref="Says"/>: an answer.</summary>
    public bool Thinks => thought.Length > 0;
    public bool Says => text.Length > 0;

    public bool Growing { get; private set; } = !fromUser;

    /// <summary>What went wrong; null when nothing did.</summary>
    public string? Problem { get; private set; }

    /// <summary>Whoever asked has stopped it. What was generated until then is charged.</summary>
    public bool Stopped { get; private set; }
    public RequestId? Request { get; private set; }
    public TokenRates? Rates { get; private set; }
    public bool Admitted { get; private set; }
    public int Generated { get; private set; }
    public AnswerEnd? Finish { get; private set; }

    /// <summary>What is in the books; null until it is settled.</summary>
    public UsageRecord? Record { get; private set; }

    /// <summary>Charge of what was generated so far, without the prompt, whose tokens are counted when it is settled; null: unpriced.</summary>
    public Money? OutputCharge => Rates is { } rates ? rates.OutputPerToken * Generated : null;

    public double? TokensPerSecond => Generated > 1 && firstToken is { } first && lastToken > first ? (Generated - 1) / (lastToken - first).TotalSeconds : null;

    internal void Add(CallEvent happened, TimeSpan at)
    {
        switch (happened)
        {
            case Admitted admitted:
                (Request, Rates, Admitted) = (admitted.Id, admitted.Rates, true);
                break;
            case Delta delta:
                foreach (AnswerPiece piece in delta.Pieces)
                {
                    if (piece is TextPiece said) text.Append(said.Text);
                    if (piece is ReasoningPiece thinking) thought.Append(thinking.Text);
                }
                Generated += delta.Tokens.Length;
                firstToken ??= at;
                lastToken = at;
                break;
            case ChoiceFinished finished:
                Finish = finished.Reason;
                break;
            case Settled settled:
                Record = settled.Record;
                Growing = false;
                break;
        }
    }

    internal void Stop() => Stopped = true;

    internal void End(string? problem)
    {
        Growing = false;
        Problem ??= problem;
    }

    /// <summary>The account of an answer that was stopped, once it stands in the books.</summary>
    internal void Settle(UsageRecord record) => Record ??= record;
}
