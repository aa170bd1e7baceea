using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace Qanat.Gateway;

/// <summary>Something that happened to one of the calls of a request.</summary>
internal readonly record struct PromptEvent(int Prompt, CallEvent Happened);

/// <summary>Runs the calls of one request, all at once, as one sequence of events. When one fails the others are cancelled, and what they used until then is settled.</summary>
internal static class CallGroup
{
    public static IAsyncEnumerable<PromptEvent> RunAsync(RunCall run, IReadOnlyList<Call> calls, CancellationToken cancel) =>
        calls.Count == 1 ? OneAsync(run, calls[0], cancel) : ManyAsync(run, calls, cancel);

    private static async IAsyncEnumerable<PromptEvent> OneAsync(RunCall run, Call call, [EnumeratorCancellation] CancellationToken cancel)
    {
        await foreach (CallEvent happened in run(call, cancel))
            yield return new PromptEvent(0, happened);
    }

    private static async IAsyncEnumerable<PromptEvent> ManyAsync(RunCall run, IReadOnlyList<Call> calls, [EnumeratorCancellation] CancellationToken cancel)
    {
        using CancellationTokenSource ending = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        // A slow client slows its own calls only: each waits for room here, as it would for the client alone.
        Channel<PromptEvent> events = Channel.CreateBounded<PromptEvent>(new BoundedChannelOptions(calls.Count * 4) { SingleReader = true });
        Task all = Task.WhenAll(calls.Select((call, prompt) => ForwardAsync(run, call, prompt, events.Writer, ending)));
        Task closing = CloseAsync(all, events.Writer);
        try
        {
            await foreach (PromptEvent happened in events.Reader.ReadAllAsync(cancel))
                yield return happened;
        }
        finally
        {
            await ending.CancelAsync();
            await closing;
        }
    }

    private static async Task ForwardAsync(RunCall run, Call call, int prompt, ChannelWriter<PromptEvent> writer, CancellationTokenSource ending)
    {
        try
        {
            await foreach (CallEvent happened in run(call, ending.Token))
                await writer.WriteAsync(new PromptEvent(prompt, happened), ending.Token);
        }
        catch (Exception error)
        {
            // The first failure is the one to tell; those that follow from it are cancellations.
            writer.TryComplete(error);
            await ending.CancelAsync();
        }
    }

    private static async Task CloseAsync(Task all, ChannelWriter<PromptEvent> writer)
    {
        await all;
        writer.TryComplete();
    }
}
