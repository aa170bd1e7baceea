using System.Text.Json;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Tells one answer in the words of one API. Made for the answer, so that it may remember what it told already.</summary>
internal abstract class AnswerTeller
{
    /// <summary>Begins the ids of its answers.</summary>
    public abstract string IdPrefix { get; }

    public abstract StreamFraming Framing { get; }

    /// <summary>How this API words errors.</summary>
    public abstract ErrorWords Errors { get; }

    /// <summary>It has words for what most APIs have none for.</summary>
    public virtual bool TellsUnspoken => false;

    // ---- a stream ------------------------------------------------------------------------------------------------

    /// <summary>Right before the first piece: a call that fails before it still gets a proper status.</summary>
    public abstract void Begin(EventStream stream, ToldAnswer answer);

    /// <param name="choice">Has the piece already.</param>
    public abstract void Tell(EventStream stream, ToldAnswer answer, ToldChoice choice, AnswerPiece piece);

    /// <summary>A choice has ended. Its words may wait for <see cref="Settle"/>, which always follows when all choices have ended.</summary>
    public abstract void Finish(EventStream stream, ToldAnswer answer, ToldChoice choice);

    /// <summary>Everything is settled: the end of the stream, with its cost.</summary>
    public abstract void Settle(EventStream stream, ToldAnswer answer);

    /// <summary>The answer failed midway; the connection breaks after this. What is charged nevertheless stands beside the error.</summary>
    public abstract void Break(EventStream stream, ToldAnswer answer, ApiException error);

    // ---- whole ---------------------------------------------------------------------------------------------------

    public abstract void WriteWhole(Utf8JsonWriter json, ToldAnswer answer);
}

/// <summary>An answer as it is told: what every part of it may need.</summary>
internal sealed class ToldAnswer(GenerationRequest request, Bill bill)
{
    private AnswerHead? head;

    public GenerationRequest Request { get; } = request;
    public Bill Bill { get; } = bill;
    public IReadOnlyList<ToldChoice> Choices { get; } = [.. Enumerable.Range(0, request.ChoiceCount).Select(index => new ToldChoice(index))];
    public AnswerHead Head { get => head ?? throw new InvalidOperationException("A call must be admitted before anything else happens to it."); set => head = value; }
    public bool IsStarted => head is not null;

    /// <summary>Tokens of all prompts.</summary>
    public long PromptTokens => Request.Calls.Sum(call => (long)call.Prompt.Length);

    /// <summary>Tokens generated so far; the bill has the final count.</summary>
    public long OutputTokens { get; set; }
}
