using System.Diagnostics.CodeAnalysis;

namespace Qanat.Gateway;

/// <summary>An answer as its events build it up.</summary>
internal sealed class AnswerState
{
    public AnswerState(GenerationRequest request, AnswerShape shape, TariffState tariffs)
    {
        Request = request;
        Shape = shape;
        Bill = new Bill(request, tariffs);
        int choicesPerPrompt = request.Calls[0].Choices;
        ChoiceText[] choices = new ChoiceText[request.ChoiceCount];
        for (int index = 0; index < choices.Length; index++)
            choices[index] = new ChoiceText(index, request.EchoTexts.IsDefaultOrEmpty ? "" : request.EchoTexts[index / choicesPerPrompt]);
        Choices = choices;
    }

    public GenerationRequest Request { get; }
    public AnswerShape Shape { get; }
    public Bill Bill { get; }
    public IReadOnlyList<ChoiceText> Choices { get; }

    /// <summary>Known from the first admission on.</summary>
    [AllowNull]
    public AnswerHead Head { get => field ?? throw new InvalidOperationException("A call must be admitted before anything else happens to it."); private set; }

    public bool IsStarted => Bill.Admitted.Count > 0;

    /// <summary>Takes an event of a whole answer.</summary>
    public void Take(PromptEvent next)
    {
        Note(next.Happened);
        if (next.Happened is Delta delta) Choices[IndexOf(next, delta.Choice)].Add(delta);
        if (next.Happened is ChoiceFinished finished) Choices[IndexOf(next, finished.Choice)].End(Ended(finished.Reason));
    }

    public void Note(CallEvent happened)
    {
        Bill.Add(happened);
        if (happened is Admitted admitted && Bill.Admitted.Count == 1) Head = AnswerHead.Of(Shape.IdPrefix, admitted, Request.Model);
    }

    public int IndexOf(PromptEvent next, int choice) => Request.ChoiceIndex(next.Prompt, choice);

    /// <summary>The reason a choice ended, when it is one that an answer can have.</summary>
    /// <exception cref="ApiException">503 or 500: it was stopped or failed on our side.</exception>
    public static AnswerEnd Ended(AnswerEnd reason) => reason switch
    {
        AnswerEnd.Cancelled => throw new ApiException(503, "server_error", "stopped", "The answer was stopped by the operator. What was generated until then is in the books."),
        AnswerEnd.Failed => throw new ApiException(500, "server_error", "generation_failed", "The answer failed midway on our side. It is not charged."),
        _ => reason,
    };

    /// <exception cref="InvalidOperationException">The pipeline ended without settling every call.</exception>
    public void EnsureComplete()
    {
        if (!Bill.IsComplete) throw new InvalidOperationException("A call ended without being settled.");
    }
}
