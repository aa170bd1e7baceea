using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Something that happened to one of the calls of a request.</summary>
internal readonly record struct PromptEvent(int Prompt, CallEvent Happened);

/// <summary>Runs the calls of one request, or those of its calls that may run now, all at once, as one sequence of events. When one fails the others are cancelled, and what they used until then is settled: as the request failed (ADR 47).</summary>
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
        using RequestFate? whole = calls[0].Fate is null ? RequestFate.Of(calls) : null;
        Task<ApiException?[]> all = Task.WhenAll((whole?.Calls ?? calls).Select((call, prompt) => ForwardAsync(run, call, prompt, events.Writer, ending)));
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

    /// <returns>Why it was stopped; null: it was not.</returns>
    private static async Task<ApiException?> ForwardAsync(RunCall run, Call call, int prompt, ChannelWriter<PromptEvent> writer, CancellationTokenSource ending)
    {
        try
        {
            await foreach (CallEvent happened in run(call, ending.Token))
                await writer.WriteAsync(new PromptEvent(prompt, happened), ending.Token);
        }
        catch (ApiException stopped) when (stopped.Code == TenantStops.Code)
        {
            // The switch ends the others too, and each tells what it is charged before the request fails.
            call.Fate!.End(IsUncharged(call, stopped));
            return stopped;
        }
        catch (Exception error)
        {
            // The first failure is the one to tell; those that follow from it are cancellations.
            // Before anybody hears of it: what ends the others is to find it.
            call.Fate!.End(IsUncharged(call, error));
            writer.TryComplete(error);
            await ending.CancelAsync();
        }
        return null;
    }

    /// <summary>Whether what the other calls do is not charged once this one has failed: what failed on our side never is, what nobody was given is not where this cloud was busy, and of a batch only rows that succeed are.
    /// A client that leaves, or asks for more than it may, pays for what was made for it until then.</summary>
    private static bool IsUncharged(Call call, Exception error) => call.Operation == Operation.Batch || error switch
    {
        OperationCanceledException => false,
        ApiException { Status: 429 } => call.Whole || call.Reads,
        ApiException refused => refused.Status >= 500,
        _ => true,
    };

    private static async Task CloseAsync(Task<ApiException?[]> all, ChannelWriter<PromptEvent> writer)
    {
        ApiException?[] stopped = await all;
        writer.TryComplete(stopped.FirstOrDefault(each => each is not null));
    }
}
