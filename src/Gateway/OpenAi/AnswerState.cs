using System.Diagnostics.CodeAnalysis;
using Qanat.Engine;

namespace Qanat.Gateway;

/// <summary>An answer as its events build it up.</summary>
internal sealed class AnswerState
{
    private const int PromptTailTokens = 8;

    private readonly ThinkingSplit?[] splits;

    public AnswerState(GenerationRequest request, AnswerShape shape, TariffState tariffs)
    {
        Request = request;
        Shape = shape;
        Bill = new Bill(request, tariffs);
        int choicesPerPrompt = request.Calls[0].Choices;
        Choices = [.. Enumerable.Range(0, request.ChoiceCount).Select(index => new ChoiceText(index, request.EchoTexts.IsDefaultOrEmpty ? "" : request.EchoTexts[index / choicesPerPrompt]))];
        splits = [.. Choices.Select(choice => shape.SplitsThinking ? new ThinkingSplit(OpensThinking(request, choice.Index / choicesPerPrompt)) : null)];
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
        if (next.Happened is Delta delta) Choices[IndexOf(next, delta.Choice)].Add(Split(next, delta), delta.Tokens);
        if (next.Happened is ChoiceFinished finished)
        {
            ChoiceText choice = Choices[IndexOf(next, finished.Choice)];
            choice.Add(Rest(choice), []);
            choice.End(Ended(finished.Reason));
        }
    }

    public void Note(CallEvent happened)
    {
        Bill.Add(happened);
        if (happened is Admitted admitted && Bill.Admitted.Count == 1) Head = AnswerHead.Of(Shape.IdPrefix, admitted, Request.Model);
    }

    public int IndexOf(PromptEvent next, int choice) => Request.ChoiceIndex(next.Prompt, choice);

    public AnswerPiece Split(PromptEvent next, Delta delta) => splits[IndexOf(next, delta.Choice)] is { } split ? split.Add(delta.Text) : new AnswerPiece("", delta.Text);

    /// <summary>Text of a choice that was held back until its end.</summary>
    public AnswerPiece Rest(ChoiceText choice) => splits[choice.Index]?.Finish() ?? AnswerPiece.Nothing;

    /// <summary>The reason a choice ended, when it is one that an answer can have.</summary>
    /// <exception cref="ApiException">503 or 500: it was stopped or failed on our side.</exception>
    public static FinishReason Ended(FinishReason reason) => reason switch
    {
        FinishReason.Cancelled => throw new ApiException(503, "server_error", "stopped", "The answer was stopped by the operator. What was generated until then is in the books."),
        FinishReason.Failed => throw new ApiException(500, "server_error", "generation_failed", "The answer failed midway on our side. It is not charged."),
        _ => reason,
    };

    /// <exception cref="InvalidOperationException">The pipeline ended without settling every call.</exception>
    public void EnsureComplete()
    {
        if (!Bill.IsComplete) throw new InvalidOperationException("A call ended without being settled.");
    }

    /// <summary>Some models' prompts end with the opening mark of their thoughts.</summary>
    private static bool OpensThinking(GenerationRequest request, int prompt)
    {
        ReadOnlySpan<int> tokens = request.Calls[prompt].Prompt.AsSpan();
        using MemoryStream tail = new();
        foreach (int token in tokens[Math.Max(0, tokens.Length - PromptTailTokens)..])
            tail.Write(TokenText.BytesOf(request.Model, token));
        return System.Text.Encoding.UTF8.GetString(tail.ToArray()).TrimEnd().EndsWith("<think>", StringComparison.Ordinal);
    }
}
