using Microsoft.AspNetCore.Http;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Tells an answer as it comes. The last choice's finish is kept back until its call is settled, because the last chunk carries the cost.</summary>
internal sealed class StreamedAnswer(AnswerState answer, EventStream stream, HttpResponse response)
{
    private readonly bool usageFollows = answer.Request.IncludeUsage;
    private ChoiceText? unfinished;

    public void Tell(PromptEvent next)
    {
        bool first = !answer.IsStarted;
        answer.Note(next.Happened);
        switch (next.Happened)
        {
            case Admitted when first:
                // Headers leave with the first event: a call that fails before it still gets a proper status.
                stream.Open();
                BillHeaders.SetStart(response, answer.Bill);
                BillHeaders.DeclareTrailers(response);
                break;
            case Delta delta:
                TellDelta(next, delta);
                break;
            case ChoiceFinished finished:
                ChoiceText choice = answer.Choices[answer.IndexOf(next, finished.Choice)];
                choice.End(AnswerState.Ended(finished.Reason));
                Open(choice);
                TellFinish(bill: null);
                unfinished = choice;
                break;
        }
    }

    /// <summary>Everything is settled: the cost, and the end.</summary>
    public void Finish()
    {
        answer.EnsureComplete();
        TellFinish(usageFollows ? null : answer.Bill);
        if (usageFollows)
        {
            answer.Shape.WriteUsage(stream.Begin(), answer.Head, answer.Bill);
            stream.End();
        }
        stream.WriteDone();
        BillHeaders.SetTrailers(response, answer.Bill);
    }

    private void TellDelta(PromptEvent next, Delta delta)
    {
        ChoiceText choice = answer.Choices[answer.IndexOf(next, delta.Choice)];
        bool withTokens = answer.Request.WithLogprobs && !(delta.Tokens.IsEmpty && delta.ToldLogprobs.IsEmpty);
        if (!withTokens && delta.Pieces.All(static piece => piece is UnspokenPiece)) return;
        Open(choice);
        answer.Shape.WriteDelta(stream.Begin(), answer.Head, choice, new ChunkPart(delta.Pieces, delta.Tokens, withTokens ? answer.Request.Model : null, delta.ToldLogprobs, usageFollows));
        stream.End();
    }

    private void TellFinish(Bill? bill)
    {
        if (unfinished is null) return;
        answer.Shape.WriteFinish(stream.Begin(), answer.Head, unfinished, bill, usageFollows);
        stream.End();
        unfinished = null;
    }

    /// <summary>The first thing told of a choice.</summary>
    private void Open(ChoiceText choice)
    {
        if (choice.IsOpened) return;
        choice.IsOpened = true;
        if (!answer.Shape.HasOpening(choice)) return;
        answer.Shape.WriteOpening(stream.Begin(), answer.Head, choice, usageFollows);
        stream.End();
    }
}
