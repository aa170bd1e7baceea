using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>Serves a generation over HTTP, whole or as a stream. A client that leaves cancels its calls; a failure midway ends the stream with an error event and a cut connection, never cleanly.</summary>
internal sealed class GenerationAnswer(RunCall run, TariffState tariffs, GatewayOptions options, TimeProvider clock)
{
    public Task SendAsync(HttpContext context, GenerationRequest request, AnswerShape shape) =>
        request.Stream ? StreamAsync(context, request, shape) : WholeAsync(context, request, shape);

    /// <summary>Generates a whole answer without telling anyone.</summary>
    public async Task<AnswerState> GatherAsync(GenerationRequest request, AnswerShape shape, CancellationToken cancel)
    {
        AnswerState answer = new(request, shape, tariffs);
        if (request.Calls is [{ } only])
        {
            await foreach (CallEvent happened in run(only.Whole ? only : only with { Whole = true }, cancel)) answer.Take(new PromptEvent(0, happened));
        }
        else
        {
            await foreach (PromptEvent next in CallGroup.RunAsync(run, [.. request.Calls.Select(call => call with { Whole = true })], cancel)) answer.Take(next);
        }
        answer.EnsureComplete();
        return answer;
    }

    private async Task WholeAsync(HttpContext context, GenerationRequest request, AnswerShape shape)
    {
        AnswerState answer = await GatherAsync(request, shape, context.RequestAborted);
        BillHeaders.SetStart(context.Response, answer.Bill);
        BillHeaders.SetEnd(context.Response, answer.Bill);
        using JsonAnswer json = new();
        shape.WriteWhole(json.Writer, answer.Head, request, answer.Choices, answer.Bill);
        await json.SendAsync(context.Response);
    }

    private async Task StreamAsync(HttpContext context, GenerationRequest request, AnswerShape shape)
    {
        HttpResponse response = context.Response;
        CancellationToken cancel = context.RequestAborted;
        using EventStream stream = new(response, StreamFraming.Events, options.HeartbeatInterval, clock);
        AnswerState state = new(request, shape, tariffs);
        StreamedAnswer answer = new(state, stream, response);
        try
        {
            if (request.Calls is [{ } only])
            {
                // Its own sequence: one around it would be awaited once more for each of its events.
                await using IAsyncEnumerator<CallEvent> events = run(only, cancel).GetAsyncEnumerator(cancel);
                while (await stream.WaitAsync(events.MoveNextAsync(), cancel)) answer.Tell(new PromptEvent(0, events.Current));
            }
            else
            {
                await using IAsyncEnumerator<PromptEvent> events = CallGroup.RunAsync(run, request.Calls, cancel).GetAsyncEnumerator(cancel);
                while (await stream.WaitAsync(events.MoveNextAsync(), cancel)) answer.Tell(events.Current);
            }
            // What this writes leaves with the end of the response, in one piece.
            answer.Finish();
        }
        catch (Exception error) when (stream.HasBegun && !cancel.IsCancellationRequested)
        {
            await BreakOffAsync(context, stream, state.Bill, error);
        }
    }

    /// <summary>Some clients take a stream that ends cleanly after an error event for a whole answer: the connection must break.</summary>
    private static async Task BreakOffAsync(HttpContext context, EventStream stream, Bill bill, Exception error)
    {
        ApiException told = ErrorBoundary.Word(error);
        ErrorBody.Write(stream.Begin(), told, bill.IsWholeAfter(told) ? bill : null);
        stream.End();
        await stream.FlushAsync(context.RequestAborted);
        throw new StreamBrokenOffException(error);
    }
}
