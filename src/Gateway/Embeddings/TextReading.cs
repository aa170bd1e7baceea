using System.Collections.Immutable;
using Qanat.Books;
using Qanat.Engine;

namespace Qanat.Gateway;

/// <summary>What was read of each text of a request, in the order asked for, and what it cost.</summary>
internal sealed record TextsRead(IReadOnlyList<ImmutableArray<float>> Values, Bill Bill);

/// <summary>Has prompts read through the pipeline, a few at a time: a long list does not fill the engine's queue.</summary>
internal sealed class TextReading(RunCall run, TariffState tariffs, GatewayOptions options)
{
    /// <exception cref="ApiException">One of them was refused or failed: the others are cancelled.</exception>
    public async Task<TextsRead> RunAsync(ServedModel model, IReadOnlyList<Call> calls, CancellationToken cancel)
    {
        Bill bill = new(new GenerationRequest(model, [.. calls], Stream: false, IncludeUsage: false, []), tariffs);
        ImmutableArray<float>[] values = new ImmutableArray<float>[calls is [{ Texts: { } asked }] ? asked.Texts.Length : calls.Count];
        using RequestFate? request = calls.Count > 1 ? RequestFate.Of(calls) : null;
        for (int from = 0; from < calls.Count; from += options.TextsInFlightMax)
        {
            Call[] few = [.. (request?.Calls ?? calls).Skip(from).Take(options.TextsInFlightMax)];
            await foreach (PromptEvent next in CallGroup.RunAsync(run, few, cancel))
            {
                bill.Add(next.Happened);
                if (next.Happened is PromptRead read) values[from + next.Prompt + read.Text] = read.Values;
                if (next.Happened is ChoiceFinished finished) AnswerState.Ended(finished.Reason);
            }
        }
        if (!bill.IsComplete || values.Any(each => each.IsDefault)) throw new InvalidOperationException("A call ended without what it was to read.");
        return new TextsRead(values, bill);
    }

    public static Call CallOf(Caller caller, Operation operation, ServedModel model, ImmutableArray<int> prompt, PromptReading reading, string? userTag) =>
        new(caller, operation, model.Name, prompt, 1, MaxTokens: 0, new SamplingOptions(), [], -1, IgnoreStopTokens: false, userTag) { Reading = reading };

    /// <summary>One request of an upstream, however many texts it has.</summary>
    public static Call CallOf(Caller caller, Operation operation, ServedModel model, TextsAsked texts, string? userTag) =>
        new(caller, operation, model.Name, [], 1, MaxTokens: 0, new SamplingOptions(), [], -1, IgnoreStopTokens: false, userTag) { Texts = texts, Whole = true };
}
