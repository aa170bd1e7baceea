using System.Security.Cryptography;
using System.Text;

namespace Qanat.Gateway;

/// <summary>Which request an id that a client chose stands for: the same id with the same key, path and body is the same request.</summary>
internal readonly record struct RetryId(string Value)
{
    public static RetryId Of(string key, string id, string path, ReadOnlySpan<byte> body)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (string part in (string[])[key, id, path])
        {
            hash.AppendData(SHA256.HashData(Encoding.UTF8.GetBytes(part)));
        }
        hash.AppendData(body);
        return new RetryId(Convert.ToHexString(hash.GetHashAndReset()));
    }
}

/// <summary>Answers that are being made or were made a moment ago, in memory only. Bounded by age and by bytes; the oldest go first.</summary>
internal sealed class Recordings(GatewayOptions options, TimeProvider clock)
{
    private readonly Lock gate = new();
    private readonly Dictionary<RetryId, Entry> entries = [];
    private readonly Queue<(RetryId Id, Entry Entry)> kept = [];
    private long keptBytes;

    /// <summary>Answers that have ended and are kept.</summary>
    public int KeptCount
    {
        get
        {
            lock (gate) return kept.Count;
        }
    }

    /// <summary>The recording of this request, and whether the caller is the first and must make it.</summary>
    public Followed Join(RetryId id)
    {
        lock (gate)
        {
            Forget();
            // Whoever has a failure and asks again is served anew, although its maker may not have come to its end yet.
            bool isFirst = !entries.TryGetValue(id, out Entry? entry) || entry.Recording.IsFailure;
            if (isFirst) entries[id] = entry = new Entry();
            entry!.Followers++;
            entry.LeftAlone?.Cancel();
            entry.LeftAlone = null;
            return new Followed(id, entry.Recording, isFirst, entry.Abandoned.Token);
        }
    }

    /// <summary>A client no longer follows. When nobody does, the answer is made on for a moment: a client that lost its connection comes back.</summary>
    public void Leave(Followed followed)
    {
        lock (gate)
        {
            // Under the same id there may be another answer by now.
            if (!entries.TryGetValue(followed.Id, out Entry? entry) || entry.Recording != followed.Recording || --entry.Followers > 0 || entry.HasEnded) return;
            entry.LeftAlone = new CancellationTokenSource();
            _ = AbandonAsync(entry, entry.LeftAlone.Token);
        }
    }

    /// <summary>The answer has ended: a good one is kept for a while, any other is forgotten, so that a retry tries again.</summary>
    public void End(Followed followed, bool isBroken)
    {
        lock (gate)
        {
            // Here, so that whoever is told of the end and asks again finds the answer kept or forgotten.
            followed.Recording.End(isBroken);
            if (!entries.TryGetValue(followed.Id, out Entry? entry) || entry.Recording != followed.Recording) return;
            entry.HasEnded = true;
            entry.LeftAlone?.Cancel();
            if (!followed.Recording.IsGood || followed.Recording.Length > options.ReplayBytesMax)
            {
                entries.Remove(followed.Id);
                return;
            }
            entry.EndedAt = clock.GetTimestamp();
            keptBytes += followed.Recording.Length;
            kept.Enqueue((followed.Id, entry));
            Forget();
        }
    }

    private void Forget()
    {
        while (kept.TryPeek(out (RetryId Id, Entry Entry) oldest) && (keptBytes > options.ReplayBytesMax || clock.GetElapsedTime(oldest.Entry.EndedAt) > options.ReplayWindow))
        {
            kept.Dequeue();
            keptBytes -= oldest.Entry.Recording.Length;
            entries.Remove(oldest.Id);
        }
    }

    private async Task AbandonAsync(Entry entry, CancellationToken someoneCame)
    {
        try
        {
            await Task.Delay(options.RetryGrace, clock, someoneCame);
        }
        catch (OperationCanceledException)
        {
            return;
        }
        await entry.Abandoned.CancelAsync();
    }

    private sealed class Entry
    {
        public Recording Recording { get; } = new();
        public CancellationTokenSource Abandoned { get; } = new();
        public CancellationTokenSource? LeftAlone { get; set; }
        public int Followers { get; set; }
        public bool HasEnded { get; set; }
        public long EndedAt { get; set; }
    }
}

/// <param name="Abandoned">Nobody waits for the answer any more.</param>
internal sealed record Followed(RetryId Id, Recording Recording, bool IsFirst, CancellationToken Abandoned);
