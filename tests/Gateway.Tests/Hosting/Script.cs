using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using Qanat.Books;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway.Tests;

/// <summary>Stands in for the pipeline: what each call answers is written by the test. It bills one token per byte at the rates of <see cref="TestGateway"/>.</summary>
internal sealed class Script
{
    private readonly ConcurrentQueue<Call> calls = [];

    /// <summary>What a call answers; the default says "Hello" in two pieces.</summary>
    public Func<Call, CancellationToken, IAsyncEnumerable<CallEvent>> Answer { get; set; } = Hello;

    public IReadOnlyCollection<Call> Calls => calls;
    public Call LastCall => calls.Last();

    public void Reset()
    {
        Answer = Hello;
        calls.Clear();
    }

    public IAsyncEnumerable<CallEvent> RunAsync(Call call, CancellationToken cancel)
    {
        calls.Enqueue(call);
        return call.Reading is null ? Answer(call, cancel) : Read(call);
    }

    public static IAsyncEnumerable<CallEvent> Say(Call call, params string[] pieces) => Say(call, AnswerEnd.Stop, pieces);

    /// <summary>Every choice says the same pieces, which are read as a model's text is.</summary>
    public static async IAsyncEnumerable<CallEvent> Say(Call call, AnswerEnd reason, params string[] pieces)
    {
        await Task.Yield();
        Admitted admitted = Admit(call);
        yield return admitted;
        AnswerReader[] readers = [.. Enumerable.Range(0, call.Choices).Select(_ => ReaderOf(call))];
        foreach (string piece in pieces)
        {
            for (int choice = 0; choice < call.Choices; choice++)
                yield return new Delta(choice, readers[choice].Add(piece), TokensOf(piece, call.TopLogprobs));
        }
        for (int choice = 0; choice < call.Choices; choice++)
        {
            if (readers[choice].Finish(wasCut: reason != AnswerEnd.Stop) is { IsEmpty: false } rest) yield return new Delta(choice, rest, []);
            yield return new ChoiceFinished(choice, reason == AnswerEnd.Stop && readers[choice].HasCalls ? AnswerEnd.ToolCalls : reason);
        }
        yield return Settle(call, admitted, pieces.Sum(piece => piece.Length) * call.Choices);
    }

    /// <summary>Says a piece, and is ended by a stop string.</summary>
    public static async IAsyncEnumerable<CallEvent> StopAt(Call call, string stop, string piece)
    {
        await Task.Yield();
        Admitted admitted = Admit(call);
        yield return admitted;
        yield return new Delta(0, [new TextPiece(piece)], TokensOf(piece, call.TopLogprobs));
        yield return new ChoiceFinished(0, AnswerEnd.Stop, stop);
        yield return Settle(call, admitted, piece.Length);
    }

    /// <summary>Says the pieces, then waits until the client is gone or the gate opens.</summary>
    public static async IAsyncEnumerable<CallEvent> SayAndWait(Call call, Task gate, [EnumeratorCancellation] CancellationToken cancel)
    {
        Admitted admitted = Admit(call);
        yield return admitted;
        yield return new Delta(0, [new TextPiece("waiting")], TokensOf("waiting", call.TopLogprobs));
        await gate.WaitAsync(cancel);
        yield return new ChoiceFinished(0, AnswerEnd.Stop);
        yield return Settle(call, admitted, 7);
    }

    /// <summary>Says a piece, then fails.</summary>
    public static async IAsyncEnumerable<CallEvent> SayAndFail(Call call, string piece, Exception error)
    {
        await Task.Yield();
        yield return Admit(call);
        if (piece.Length > 0) yield return new Delta(0, [new TextPiece(piece)], TokensOf(piece, call.TopLogprobs));
        throw error;
    }

    public static async IAsyncEnumerable<CallEvent> Refuse(ApiException error)
    {
        await Task.Yield();
        if (error is not null) throw error;
        yield break;
    }

    /// <summary>The vector of a prompt is (its tokens, 1, 2, 2); the logits of a pair are its tokens and 0.</summary>
    private static async IAsyncEnumerable<CallEvent> Read(Call call)
    {
        await Task.Yield();
        Admitted admitted = Admit(call);
        yield return admitted;
        yield return new PromptRead(call.Reading!.Tokens.IsEmpty ? [call.Prompt.Length, 1, 2, 2] : [call.Prompt.Length, 0]);
        yield return new ChoiceFinished(0, AnswerEnd.Stop);
        yield return Settle(call, admitted, 0);
    }

    private static IAsyncEnumerable<CallEvent> Hello(Call call, CancellationToken cancel) => Say(call, "Hel", "lo");

    private static AnswerReader ReaderOf(Call call) => call.Conversation is { } conversation
        ? new AnswerReader(promptOpensThinking: false, conversation.OfferedTools, index => $"call_{index}")
        : AnswerReader.Plain();

    public static Admitted Admit(Call call) => new(new RequestId(new Guid(0x01234567, 0x89ab, 0x7cde, 0x80, 0, 0, 0, 0, 0, 0, (byte)(call.Prompt.Length % 256))), TestGateway.Now, Money.Parse("0.0005", Currency.Usd), TestGateway.Rates);

    public static Settled Settle(Call call, Admitted admitted, int outputTokens)
    {
        TokenCounts tokens = new(call.Prompt.Length, 1, Math.Max(0, call.CacheTokens - 1), outputTokens, 0);
        DeviceTime device = new(3_000_000, 2_000_000);
        call.Tokens?.Settle(tokens.Input + tokens.Output);
        Party party = new(call.Caller.Tenant.Id, call.Caller.Project.Id, call.Caller.Key.Id, call.UserTag);
        return new Settled(new UsageRecord(admitted.Id, admitted.At, admitted.At, admitted.At, party, call.Model, new DeploymentName("test/scripted-1"), TestGateway.Pool, call.Operation,
            Outcome.Completed, tokens, device, TestGateway.PriceId, Rating.Charge(TestGateway.Rates, tokens, call.Cache), TestGateway.PoolRateId, Money.Parse("0.000000123456", Currency.Usd)));
    }

    /// <summary>One token per byte, each with as many alternatives as were asked for.</summary>
    public static ImmutableArray<GeneratedToken> TokensOf(string text, int topLogprobs) =>
        [.. ScriptedModel.Tokens(text).Select(token => new GeneratedToken(token, -0.5f, [.. Enumerable.Range(0, Math.Max(0, topLogprobs)).Select(rank => new TokenLogprob((token + rank) % 256, -0.5f - rank))]))];
}
