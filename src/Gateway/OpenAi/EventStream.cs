using System.Buffers;
using System.IO.Pipelines;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>Writes a stream of JSON documents in one of the framings, and its heartbeat while there is nothing to say.</summary>
internal sealed class EventStream(HttpResponse response, StreamFraming framing, TimeSpan heartbeatInterval, TimeProvider clock) : IDisposable
{
    private readonly PipeWriter body = response.BodyWriter;
    private readonly Utf8JsonWriter json = new(response.BodyWriter, JsonAnswer.Options);
    private CancellationTokenSource? beating;
    private Task? heartbeat;
    private bool unflushed;
    private bool isOpen;

    /// <summary>Something was written, sent or not: it cannot be taken back.</summary>
    public bool HasBegun { get; private set; }

    /// <summary>The call is admitted: sets the framing's headers. Not before this may a heartbeat send them: until then the answer can still be a refusal with its own status, and what else they tell is not known.</summary>
    public void Open()
    {
        isOpen = true;
        response.ContentType = framing.ContentType;
        response.Headers.CacheControl = "no-cache";
        // Proxies that buffer (nginx) are told not to.
        response.Headers["X-Accel-Buffering"] = "no";
    }

    /// <summary>Waits for what comes next; sends what was written before it waits, and, once it is open, a heartbeat every interval while it does.</summary>
    public async ValueTask<bool> WaitAsync(ValueTask<bool> next, CancellationToken cancel)
    {
        if (next.IsCompletedSuccessfully) return next.Result;
        // Until it is open there is nothing to send, not even a heartbeat.
        if (!isOpen && !unflushed) return await next;
        Task<bool> waiting = next.AsTask();
        try
        {
            await FlushAsync(cancel);
            while (!waiting.IsCompleted)
            {
                // One timer serves many tokens: it is replaced only when it has run out. It ends with the stream: those of thousands that have ended meanwhile would all be looked through, and kept, until they run out.
                heartbeat ??= Task.Delay(heartbeatInterval, clock, (beating ??= new CancellationTokenSource()).Token);
                await Task.WhenAny(waiting, heartbeat);
                if (!heartbeat.IsCompleted) continue;
                heartbeat = null;
                if (waiting.IsCompleted || !isOpen) continue;
                cancel.ThrowIfCancellationRequested();
                Write(framing.Heartbeat);
                await FlushAsync(cancel);
            }
        }
        catch
        {
            // The source must come to rest before it may be disposed of.
            await waiting.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            throw;
        }
        return await waiting;
    }

    /// <summary>Begins an event; its JSON goes to the writer, then <see cref="End"/>.</summary>
    public Utf8JsonWriter Begin() => Begin([]);

    /// <summary>Begins an event with lines of its own before its data.</summary>
    /// <param name="lines">Each with its line break, e.g. "event: ping\n".</param>
    public Utf8JsonWriter Begin(ReadOnlySpan<byte> lines)
    {
        Write(lines);
        Write(framing.Opening);
        json.Reset();
        return json;
    }

    public void End()
    {
        json.Flush();
        Write(framing.Closing);
    }

    public void WriteDone() => Write("data: [DONE]\n\n"u8);

    public async Task FlushAsync(CancellationToken cancel)
    {
        if (!unflushed) return;
        unflushed = false;
        await body.FlushAsync(cancel);
    }

    public void Dispose()
    {
        beating?.Cancel();
        beating?.Dispose();
        json.Dispose();
    }

    private void Write(ReadOnlySpan<byte> bytes)
    {
        body.Write(bytes);
        unflushed = HasBegun = true;
    }
}
