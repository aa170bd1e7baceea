using Microsoft.AspNetCore.Http;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Serves a generation over HTTP in the words of any API, whole or as a stream. A client that leaves cancels its calls; a failure midway ends the stream with an error and a cut connection, never cleanly.</summary>
internal sealed class AnswerServing(RunCall run, TariffState tariffs, GatewayOptions options, TimeProvider clock)
{
    /// <param name="settled">What must be done before the end of the answer is told; null: nothing.</param>
    public Task SendAsync(HttpContext context, GenerationRequest request, AnswerTeller teller, Func<ToldAnswer, Task>? settled = null) =>
        request.Stream ? StreamAsync(context, request, teller, settled) : WholeAsync(context, request, teller, settled);

    /// <summary>Generates a whole answer, and tells it when all of it is settled.</summary>
    public async Task<ToldAnswer> GatherAsync(GenerationRequest request, AnswerTeller teller, CancellationToken cancel)
    {
        AnswerPieces pieces = new(request, new Bill(request, tariffs), teller.IdPrefix);
        // Nobody sees it before: an upstream may be asked for it as a whole.
        await foreach (PromptEvent next in CallGroup.RunAsync(run, [.. request.Calls.Select(call => call with { Whole = true })], cancel))
            pieces.Take(next);
        pieces.EnsureComplete();
        return pieces.Answer;
    }

    private async Task WholeAsync(HttpContext context, GenerationRequest request, AnswerTeller teller, Func<ToldAnswer, Task>? settled)
    {
        ToldAnswer answer = await GatherAsync(request, teller, context.RequestAborted);
        if (settled is not null) await settled(answer);
        SetStart(context.Response, teller, answer.Bill);
        BillHeaders.SetEnd(context.Response, answer.Bill);
        using JsonAnswer json = new();
        teller.WriteWhole(json.Writer, answer);
        await json.SendAsync(context.Response);
    }

    private async Task StreamAsync(HttpContext context, GenerationRequest request, AnswerTeller teller, Func<ToldAnswer, Task>? settled)
    {
        HttpResponse response = context.Response;
        CancellationToken cancel = context.RequestAborted;
        using EventStream stream = new(response, teller.Framing, options.HeartbeatInterval, clock);
        AnswerPieces pieces = new(request, new Bill(request, tariffs), teller.IdPrefix);
        Telling telling = new(teller, stream, pieces.Answer);
        try
        {
            await using IAsyncEnumerator<PromptEvent> events = CallGroup.RunAsync(run, request.Calls, cancel).GetAsyncEnumerator(cancel);
            while (await stream.WaitAsync(events.MoveNextAsync(), cancel))
            {
                bool first = !pieces.Answer.IsStarted;
                pieces.Take(events.Current, telling.Tell, telling.Finish);
                if (first) SetHeaders(response, teller, stream, pieces.Answer.Bill);
            }
            pieces.EnsureComplete();
            if (settled is not null) await settled(pieces.Answer);
            // What this writes leaves with the end of the response, in one piece.
            teller.Settle(stream, pieces.Answer);
            BillHeaders.SetTrailers(response, pieces.Answer.Bill);
        }
        catch (Exception error) when (stream.HasBegun && !cancel.IsCancellationRequested)
        {
            telling.Open();
            teller.Break(stream, pieces.Answer, ErrorBoundary.Word(error));
            await stream.FlushAsync(cancel);
            throw new StreamBrokenOffException(error);
        }
    }

    private static void SetHeaders(HttpResponse response, AnswerTeller teller, EventStream stream, Bill bill)
    {
        stream.Open();
        SetStart(response, teller, bill);
        BillHeaders.DeclareTrailers(response);
    }

    private static void SetStart(HttpResponse response, AnswerTeller teller, Bill bill)
    {
        BillHeaders.SetStart(response, bill);
        teller.Errors.RepeatId(response);
    }

    /// <summary>Opens the answer before the first thing that is told of it.</summary>
    private sealed class Telling(AnswerTeller teller, EventStream stream, ToldAnswer answer)
    {
        private bool opened;

        public void Open()
        {
            if (opened) return;
            opened = true;
            teller.Begin(stream, answer);
        }

        public void Tell(ToldChoice choice, AnswerPiece piece)
        {
            if (piece is UnspokenPiece && !teller.TellsUnspoken) return;
            Open();
            teller.Tell(stream, answer, choice, piece);
        }

        public void Finish(ToldChoice choice)
        {
            Open();
            teller.Finish(stream, answer, choice);
        }
    }
}
