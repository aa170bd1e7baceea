using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Builds an answer up from the events of its calls, and passes on what is new in each.</summary>
internal sealed class AnswerPieces(GenerationRequest request, Bill bill, string idPrefix)
{
    public ToldAnswer Answer { get; } = new(request, bill);

    /// <summary>Takes an event; tells the pieces and the end that come of it, each after the answer has it.</summary>
    public void Take(PromptEvent next, Action<ToldChoice, AnswerPiece>? tell = null, Action<ToldChoice>? finish = null)
    {
        Answer.Bill.Add(next.Happened);
        switch (next.Happened)
        {
            case Admitted admitted when !Answer.IsStarted:
                Answer.Head = AnswerHead.Of(idPrefix, admitted, Answer.Request.Model);
                break;
            case Delta delta:
                Answer.OutputTokens += delta.Tokens.Length;
                if (Answer.Request.WithLogprobs) ChoiceOf(next, delta.Choice).Add(delta.Tokens, delta.ToldLogprobs);
                foreach (AnswerPiece piece in delta.Pieces)
                {
                    ChoiceOf(next, delta.Choice).Add(piece);
                    tell?.Invoke(ChoiceOf(next, delta.Choice), piece);
                }
                break;
            case ChoiceFinished finished:
                ChoiceOf(next, finished.Choice).End = AnswerState.Ended(finished.Reason);
                ChoiceOf(next, finished.Choice).StoppedBy = finished.StoppedBy;
                finish?.Invoke(ChoiceOf(next, finished.Choice));
                break;
        }
    }

    /// <exception cref="InvalidOperationException">The pipeline ended without settling every call.</exception>
    public void EnsureComplete()
    {
        if (!Answer.Bill.IsComplete) throw new InvalidOperationException("A call ended without being settled.");
    }

    private ToldChoice ChoiceOf(PromptEvent next, int choice) => Answer.Choices[Answer.Request.ChoiceIndex(next.Prompt, choice)];
}
