using System.Buffers;
using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>An answer as it was sent, for clients that ask for it again. It grows while it is made; whoever follows it gets all of it from its beginning.</summary>
internal sealed class Recording
{
    private readonly Lock gate = new();
    private readonly ArrayBufferWriter<byte> bytes = new();
    private TaskCompletionSource grown = NewSignal();
    private bool ended;
    private bool broken;

    /// <summary>Set with the first byte.</summary>
    public int Status { get; private set; }
    public IReadOnlyList<KeyValuePair<string, string?[]>> Headers { get; private set; } = [];

    public long Length
    {
        get
        {
            lock (gate) return bytes.WrittenCount;
        }
    }

    /// <summary>It ended as an answer ends, and not as an error.</summary>
    public bool IsGood
    {
        get
        {
            lock (gate) return ended && !broken && Status is >= 200 and < 300;
        }
    }

    /// <summary>It has begun, and as an error.</summary>
    public bool IsFailure
    {
        get
        {
            lock (gate) return Status is not (0 or >= 200 and < 300);
        }
    }

    public void Begin(int status, IHeaderDictionary headers)
    {
        lock (gate)
        {
            Status = status;
            Headers = [.. headers.Select(header => new KeyValuePair<string, string?[]>(header.Key, [.. header.Value]))];
        }
    }

    public void Write(ReadOnlySpan<byte> more)
    {
        lock (gate)
        {
            bytes.Write(more);
            Signal();
        }
    }

    /// <param name="isBroken">Whoever follows is cut off after the last byte.</param>
    public void End(bool isBroken)
    {
        lock (gate)
        {
            if (ended) return;
            ended = true;
            broken = isBroken;
            Signal();
        }
    }

    /// <summary>Sends all of it, and what comes of it until its end.</summary>
    public async Task SendAsync(HttpResponse response, bool isReplay, CancellationToken cancel)
    {
        long sent = 0;
        bool begun = false;
        while (true)
        {
            (byte[] next, bool isEnd, bool isBroken, Task more) = From(sent);
            if (!begun && (next.Length > 0 || isEnd))
            {
                begun = true;
                response.StatusCode = Status;
                foreach ((string name, string?[] values) in Headers) response.Headers[name] = values;
                if (isReplay) response.Headers["x-qanat-replayed"] = "true";
            }
            if (next.Length > 0)
            {
                await response.Body.WriteAsync(next, cancel);
                await response.Body.FlushAsync(cancel);
                sent += next.Length;
                continue;
            }
            if (isEnd)
            {
                if (isBroken) throw new StreamBrokenOffException(null);
                return;
            }
            await more.WaitAsync(cancel);
        }
    }

    private (byte[] Next, bool IsEnd, bool IsBroken, Task More) From(long position)
    {
        lock (gate) return (bytes.WrittenSpan[(int)position..].ToArray(), ended, broken, grown.Task);
    }

    private void Signal()
    {
        TaskCompletionSource before = grown;
        grown = NewSignal();
        before.SetResult();
    }

    private static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
