using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>One upstream as a server of one model.</summary>
public sealed record UpstreamTarget(UpstreamState State, UpstreamModel Model, UpstreamLink Link)
{
    public UpstreamSpec Spec => State.Spec;
}

/// <summary>The upstreams that serve a model, and which of them the next call goes to.</summary>
public sealed class UpstreamSet(UpstreamRoute route, ImmutableArray<UpstreamTarget> targets, UpstreamOptions options)
{
    private readonly Lock gate = new();
    private readonly long[] credits = new long[targets.Length];

    public UpstreamRoute Route { get; } = route;
    public ModelName Name => Route.Model;
    public ImmutableArray<UpstreamTarget> Targets { get; } = targets;

    /// <summary>The largest context among its upstreams.</summary>
    public int ContextLength => Targets.Max(target => target.Model.ContextLength);

    /// <summary>There is something to choose, and what calls have in common decides it.</summary>
    public bool UsesAffinity => Targets.Length > 1 && Route.Policy == RoutePolicy.Prefix;

    /// <summary>Takes a place at the upstream that the policy chooses among those that may be tried, of the lowest rank that has one; null: none may.</summary>
    /// <param name="affinity">What the call has in common with others; 0: nothing.</param>
    /// <param name="tried">Upstreams that failed this call already.</param>
    public UpstreamTarget? Enter(ulong affinity, IReadOnlyCollection<UpstreamTarget> tried)
    {
        ArgumentNullException.ThrowIfNull(tried);
        if (Targets.Length == 1) return !tried.Contains(Targets[0]) && Targets[0].State.TryEnter() ? Targets[0] : null;
        foreach (IGrouping<int, UpstreamTarget> rank in Targets.Where(target => !tried.Contains(target)).GroupBy(target => target.Spec.Rank).OrderBy(group => group.Key))
        {
            foreach (UpstreamTarget target in InOrder([.. rank.Where(target => target.State.IsOpen)], affinity))
            {
                if (target.State.TryEnter()) return target;
            }
        }
        return null;
    }

    private IEnumerable<UpstreamTarget> InOrder(UpstreamTarget[] open, ulong affinity)
    {
        if (open.Length <= 1) return open;
        return Route.Policy switch
        {
            RoutePolicy.Prefix when affinity != 0 => ByAffinity(open, affinity),
            RoutePolicy.Weighted => InTurn(open),
            _ => ByLoad(open),
        };
    }

    private static IEnumerable<UpstreamTarget> ByLoad(UpstreamTarget[] open) =>
        open.OrderBy(target => (target.State.Running + 1L) * 1_000_000 / target.Spec.Weight).ThenBy(target => target.Spec.Name, StringComparer.Ordinal);

    /// <summary>Highest random weight (Thaler and Ravishankar, 1998) with bounded loads (Mirrokni et al., 2018): an upstream that comes or goes moves only its own part of the sessions,
    /// and one that is far over its part passes the call on to the next in the session's own order.</summary>
    private IEnumerable<UpstreamTarget> ByAffinity(UpstreamTarget[] open, ulong affinity)
    {
        long running = open.Sum(target => (long)target.State.Running) + 1;
        long weights = open.Sum(target => (long)target.Spec.Weight);
        bool HasRoom(UpstreamTarget target) => target.State.Running * weights * 100 < running * target.Spec.Weight * options.PrefixLoadPercent + weights * 100;
        UpstreamTarget[] ordered = [.. open.OrderByDescending(target => Score(target, affinity))];
        return ordered.Where(HasRoom).Concat(ByLoad([.. ordered.Where(target => !HasRoom(target))]));
    }

    /// <summary>A draw that is the same for the same session and upstream, raised by its weight: weight / -ln(u) for u in (0, 1).</summary>
    private static double Score(UpstreamTarget target, ulong affinity)
    {
        byte[] seed = [.. BitConverter.GetBytes(affinity), .. Encoding.UTF8.GetBytes(target.Spec.Name)];
        double draw = ((BinaryPrimitives.ReadUInt64LittleEndian(SHA256.HashData(seed)) >> 11) + 0.5) / (1UL << 53);
        return target.Spec.Weight / -Math.Log(draw);
    }

    /// <summary>Smooth weighted turns: each gains its weight, the richest goes first and pays the sum.</summary>
    private UpstreamTarget[] InTurn(UpstreamTarget[] open)
    {
        lock (gate)
        {
            long sum = 0;
            foreach (UpstreamTarget target in open)
            {
                credits[Targets.IndexOf(target)] += target.Spec.Weight;
                sum += target.Spec.Weight;
            }
            UpstreamTarget[] ordered = [.. open.OrderByDescending(target => credits[Targets.IndexOf(target)])];
            credits[Targets.IndexOf(ordered[0])] -= sum;
            return ordered;
        }
    }
}

/// <summary>What calls have in common that an upstream's cache can use: a session that the client names, else the beginning of the conversation.</summary>
public static class Affinity
{
    public static ulong Of(Call call, int prefixChars)
    {
        ArgumentNullException.ThrowIfNull(call);
        // No cache helps with texts that are read once.
        if (call.Texts is not null && call.Session is null) return 0;
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Add(hash, call.Caller.Tenant.Id.ToString());
        if (call.Session is { } session) Add(hash, session);
        else if (call.Conversation is { } conversation)
        {
            // The system's words and the first turn: what later turns of the same conversation begin with.
            int left = prefixChars;
            foreach (Qanat.Models.ChatMessage message in conversation.Messages.Take(2))
            {
                ReadOnlySpan<char> part = message.Content.AsSpan(0, Math.Min(left, message.Content.Length));
                Add(hash, part);
                left -= part.Length;
            }
        }
        else if (call.PromptText is { } text) Add(hash, text.AsSpan(0, Math.Min(text.Length, prefixChars)));
        else Add(hash, MemoryMarshal.Cast<int, char>(call.Prompt.AsSpan()[..Math.Min(call.Prompt.Length, prefixChars / 4)]));
        return Math.Max(1, BinaryPrimitives.ReadUInt64LittleEndian(hash.GetHashAndReset()));
    }

    private static void Add(IncrementalHash hash, ReadOnlySpan<char> text) => hash.AppendData(MemoryMarshal.AsBytes(text));
}
