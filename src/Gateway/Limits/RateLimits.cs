using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Gateway;

public sealed record RateOptions
{
    /// <summary>Requests that may wait in line at the same time at a level that does not say so itself.</summary>
    public int QueueMax { get; init; } = 100;

    /// <summary>How long one waits at most for a place under a limit of concurrency, at a level that does not say so itself.</summary>
    public TimeSpan QueueWaitMax { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The same for a rate that is used up. Zero: it is refused at once.</summary>
    public TimeSpan RateWaitMax { get; init; }

    /// <summary>Levels remembered at once (user tags are named by callers); beyond it idle ones and then those of users are forgotten, which only ever gives.</summary>
    public int LevelsMax { get; init; } = 100_000;
}

/// <summary>What is left at the tightest level, for the headers of the answer.</summary>
public sealed record RateState(long? RequestLimit, long RequestsLeft, TimeSpan RequestsReset, long? TokenLimit, long TokensLeft, TimeSpan TokensReset)
{
    internal static readonly RateState Unlimited = new(null, 0, default, null, 0, default);
}

/// <summary>Requests and tokens per minute and requests at the same time, by tenant, project, key, user tag and model. A request enters all its levels or none. Tokens are taken
/// for what its calls may use, and corrected once for each when it is settled (ADR 76). What finds no room waits in line where its level lets it (ADR 33): keys take turns there, each in its order of
/// arrival, and nobody passes who waits for the same room, so that a large request is not kept out by small ones.</summary>
public sealed class RateLimits : IDisposable
{
    private const string UserLevel = "user";

    /// <summary>Tenant, project, key, user and model.</summary>
    private const int LevelsOfCallMax = 5;

    private readonly TimeProvider clock;
    private readonly Lock gate = new();
    private readonly Dictionary<string, Level> levels = new(StringComparer.Ordinal);
    private readonly LinkedList<Waiting> line = [];
    private readonly ITimer refilled;
    private volatile RateOptions current;
    private long turn;

    public RateLimits(RateOptions options, TimeProvider clock)
    {
        ArgumentNullException.ThrowIfNull(clock);
        (current, this.clock) = (options, clock);
        refilled = clock.CreateTimer(_ => AdmitRefilled(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Puts other limits of the line in force, for those who come from now on.</summary>
    public void Apply(RateOptions next) => current = next;

    /// <param name="tokens">What each call of the request may use; empty: no level counts tokens (<see cref="CountsTokens"/>).</param>
    /// <exception cref="ApiException">429: a rate is used up, with when to come again; or the line is full, or took too long.</exception>
    public async Task<RateLease> EnterAsync(Call call, ImmutableArray<long> tokens, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(call);
        long estimate = SumOf(tokens);
        Waiting ticket;
        TimeSpan waitMax;
        lock (gate)
        {
            List<Level> entered = LevelsOf(call);
            long now = Now();
            if (WaitMax(entered, estimate, now) is not { } most) return Admit(entered, tokens);
            waitMax = most;
            ticket = new Waiting(entered, tokens, $"{KeyTerms.CountedAs(call.Caller.Key)} {call.UserTag}");
            Queue(ticket);
            AdmitWaiting();
        }
        return await WaitAsync(ticket, waitMax, cancel);
    }

    /// <summary>Whether any of the call's levels counts tokens.</summary>
    internal static bool CountsTokens(Call call)
    {
        Caller caller = call.Caller;
        TenantTerms tenant = TenantTerms.Of(caller.Tenant);
        return (tenant.Rates.TokensPerMinute ?? ProjectTerms.Of(caller.Project).Rates.TokensPerMinute ?? caller.Terms.Rates.TokensPerMinute ?? tenant.OfModel(call.Model)?.TokensPerMinute) is not null
            || call.UserTag is not null && tenant.EachUser.TokensPerMinute is not null;
    }

    /// <summary>Requests that wait in line at this moment.</summary>
    public int WaitingCount
    {
        get
        {
            lock (gate) return line.Count;
        }
    }

    internal int LevelsCount
    {
        get
        {
            lock (gate) return levels.Count;
        }
    }

    public void Dispose() => refilled.Dispose();

    /// <summary>What is left at the tightest of the call's levels.</summary>
    public RateState State(Call call)
    {
        ArgumentNullException.ThrowIfNull(call);
        lock (gate)
        {
            List<Level> all = LevelsOf(call);
            if (all.Count == 0) return RateState.Unlimited;
            long now = Now();
            TokenBucket? requests = all.Select(level => level.Requests).OfType<TokenBucket>().MinBy(bucket => bucket.Left(now));
            TokenBucket? tokens = all.Select(level => level.Tokens).OfType<TokenBucket>().MinBy(bucket => bucket.Left(now));
            return new RateState(requests?.PerMinute, requests?.Left(now) ?? 0, requests?.UntilFull(now) ?? default, tokens?.PerMinute, tokens?.Left(now) ?? 0, tokens?.UntilFull(now) ?? default);
        }
    }

    /// <summary>The request has ended: its place is free, and so is what was taken for calls of it that nobody was to serve.</summary>
    internal void Leave(RateLease lease)
    {
        lock (gate)
        {
            foreach (Level level in lease.Levels) level.Running--;
            foreach (TakenTokens call in lease.Calls)
            {
                if (!call.IsKept) Correct(call, 0);
            }
            AdmitWaiting();
        }
    }

    /// <summary>What was taken for a call outlives its request's place.</summary>
    internal void Keep(TakenTokens call)
    {
        lock (gate) call.IsKept = true;
    }

    /// <summary>Takes more for a call that may use more than was taken for it.</summary>
    internal void Reach(TakenTokens call, long most)
    {
        lock (gate)
        {
            if (call.IsSettled || most <= call.Taken) return;
            Take(call, most);
        }
    }

    /// <summary>Corrects what was taken for a call to what it used; the first time counts.</summary>
    internal void Settle(TakenTokens call, long used)
    {
        lock (gate)
        {
            Correct(call, used);
            AdmitWaiting();
        }
    }

    private void Correct(TakenTokens call, long used)
    {
        if (call.IsSettled) return;
        call.IsSettled = true;
        Take(call, used);
    }

    private void Take(TakenTokens call, long tokens)
    {
        long now = Now();
        foreach (TokenBucket bucket in call.Buckets) bucket.Take(tokens - call.Taken, now);
        call.Taken = tokens;
    }

    /// <summary>How long a request that finds no room may wait for it; null: there is room.</summary>
    /// <exception cref="ApiException">It may not wait: not so long, or not beside so many.</exception>
    private TimeSpan? WaitMax(List<Level> entered, long estimate, long now)
    {
        TimeSpan? least = null;
        foreach (Level level in entered)
        {
            if (line.Count == 0 && level.HasRoom(estimate, now)) continue;
            List<Waiting> ahead = line.Count == 0 ? [] : [.. line.Where(each => each.Levels.Contains(level))];
            // Who waits here for room that this one would take comes first.
            bool isBehind = ahead.Exists(each => !level.HasRoom(each.Estimate, now));
            if (!isBehind && level.HasRoom(estimate, now)) continue;
            TimeSpan refill = level.RefillTime(ahead.Count, ahead.Sum(each => each.Estimate), estimate, now);
            TimeSpan most = level.WaitMax ?? (level.HasRate(estimate, now) && !level.HasPlace ? current.QueueWaitMax : current.RateWaitMax);
            if (refill > most) throw UsedUp(level, estimate, now, refill);
            if (most == TimeSpan.Zero) throw Busy(level, "and none may wait");
            if (ahead.Count >= (level.LineMax ?? current.QueueMax)) throw level.HasPlace ? UsedUp(level, estimate, now, refill) : Busy(level, "and as many wait as may");
            if (least is null || most < least) least = most;
        }
        return least;
    }

    /// <summary>Keys take turns (start-time fair queueing with requests of equal weight): one that sent many does not keep another waiting behind all of them.</summary>
    private void Queue(Waiting ticket)
    {
        if (line.Count == 0) turn = 0;
        ticket.Turn = 1 + line.Where(each => each.Party == ticket.Party).Aggregate(turn, (latest, each) => Math.Max(latest, each.Turn));
        LinkedListNode<Waiting>? before = line.Last;
        while (before is not null && before.Value.Turn > ticket.Turn) before = before.Previous;
        if (before is null) line.AddFirst(ticket);
        else line.AddAfter(before, ticket);
    }

    private async Task<RateLease> WaitAsync(Waiting ticket, TimeSpan waitMax, CancellationToken cancel)
    {
        try
        {
            return await ticket.Admitted.Task.WaitAsync(waitMax, clock, cancel);
        }
        catch (Exception error) when (error is TimeoutException or OperationCanceledException)
        {
            bool admitted;
            ApiException? refusal = null;
            lock (gate)
            {
                admitted = !line.Remove(ticket);
                if (!admitted)
                {
                    refusal = Refusal(ticket);
                    // Others may have waited behind it only.
                    AdmitWaiting();
                }
            }
            if (admitted)
            {
                // Admitted in the same instant: the place is used, or given back.
                RateLease lease = await ticket.Admitted.Task;
                if (error is TimeoutException) return lease;
                lease.Dispose();
            }
            if (error is TimeoutException && refusal is not null) throw refusal;
            throw;
        }
    }

    private void AdmitRefilled()
    {
        lock (gate) AdmitWaiting();
    }

    /// <summary>In the line's order, whoever finds room at all its levels and passes nobody who waits for the same; then sets the clock for when a rate gives the next one room.</summary>
    private void AdmitWaiting()
    {
        if (line.Count == 0) return;
        long now = Now();
        HashSet<Level> claimed = [];
        TimeSpan? soonest = null;
        LinkedListNode<Waiting>? node = line.First;
        while (node is not null)
        {
            (LinkedListNode<Waiting>? next, Waiting ticket) = (node.Next, node.Value);
            List<Level> blocked = ticket.Levels.FindAll(level => claimed.Contains(level) || !level.HasRoom(ticket.Estimate, now));
            if (blocked.Count == 0)
            {
                line.Remove(node);
                turn = Math.Max(turn, ticket.Turn);
                ticket.Admitted.TrySetResult(Admit(ticket.Levels, ticket.Tokens));
            }
            foreach (Level level in blocked)
            {
                if (claimed.Add(level) && level.RefillTime(0, 0, ticket.Estimate, now) is var refill && refill > TimeSpan.Zero && (soonest is null || refill < soonest)) soonest = refill;
            }
            node = next;
        }
        refilled.Change(soonest is { } refills ? LookAfter(refills) : Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Timers count whole milliseconds, and not beyond some weeks.</summary>
    private static TimeSpan LookAfter(TimeSpan refill) => refill < TimeSpan.FromHours(1) ? TimeSpan.FromMilliseconds(Math.Ceiling(refill.TotalMilliseconds)) : TimeSpan.FromHours(1);

    private RateLease Admit(List<Level> entered, ImmutableArray<long> tokens)
    {
        long estimate = SumOf(tokens);
        foreach (Level level in entered)
        {
            level.Running++;
            level.Requests?.Take(1);
            level.Tokens?.Take(estimate);
        }
        return new RateLease(this, entered, tokens);
    }

    private static long SumOf(ImmutableArray<long> tokens)
    {
        long sum = 0;
        foreach (long each in tokens) sum += each;
        return sum;
    }

    private ApiException Refusal(Waiting ticket)
    {
        long now = Now();
        Level level = ticket.Levels.Find(each => !each.HasRoom(ticket.Estimate, now)) ?? ticket.Levels[0];
        return level.HasRate(ticket.Estimate, now) ? Busy(level, "and none ended in time") : UsedUp(level, ticket.Estimate, now, level.RefillTime(0, 0, ticket.Estimate, now));
    }

    private static ApiException UsedUp(Level level, long estimate, long now, TimeSpan wait) => level.Requests is { } requests && (level.Tokens is null || requests.WaitFor(1, now) > TimeSpan.Zero)
        ? new ApiException(429, "requests", "rate_limit_exceeded", $"This {level.Name} may send {requests.PerMinute} requests a minute. Try again in {Seconds(wait)} s.", retryAfter: wait)
        : new ApiException(429, "tokens", "rate_limit_exceeded",
            $"This {level.Name} may use {level.Tokens!.PerMinute} tokens a minute; {level.Tokens.Left(now)} are left, and this request asks for up to {estimate}. Try again in {Seconds(wait)} s, or ask for fewer (max_tokens).", retryAfter: wait);

    private List<Level> LevelsOf(Call call)
    {
        Caller caller = call.Caller;
        TenantTerms tenant = TenantTerms.Of(caller.Tenant);
        List<Level> found = [];
        // Before any is found: none of this call's is forgotten under it.
        if (levels.Count > current.LevelsMax - LevelsOfCallMax) MakeRoom();
        Add("tenant", caller.Tenant.Id.Value, "", tenant.Rates);
        Add("project", caller.Project.Id.Value, "", ProjectTerms.Of(caller.Project).Rates);
        Add("key", KeyTerms.CountedAs(caller.Key).Value, "", caller.Terms.Rates);
        if (call.UserTag is { } tag) Add(UserLevel, caller.Tenant.Id.Value, tag, tenant.EachUser);
        if (tenant.OfModel(call.Model) is { } rates) Add("model", caller.Tenant.Id.Value, call.Model.Value, rates);
        return found;

        void Add(string name, Guid id, string part, RateTerms rates)
        {
            if (!rates.IsEmpty) found.Add(LevelOf(name, $"{name} {id} {part}", rates));
        }
    }

    private Level LevelOf(string name, string key, RateTerms rates)
    {
        if (!levels.TryGetValue(key, out Level? level)) levels[key] = level = new Level(name);
        level.Apply(rates, Now());
        return level;
    }

    /// <summary>Forgets what is idle, and of users what is not until a tenth is free, so that it is looked through again only after as many new ones. Whoever names ever new users had room for each of them anyhow; all other levels stay.</summary>
    private void MakeRoom()
    {
        long now = Now();
        foreach (string key in levels.Where(pair => pair.Value.IsIdle(now)).Select(pair => pair.Key).ToList()) levels.Remove(key);
        int excess = levels.Count - (current.LevelsMax - Math.Max(LevelsOfCallMax, current.LevelsMax / 10));
        if (excess <= 0) return;
        HashSet<Level> waitedFor = [.. line.SelectMany(each => each.Levels)];
        foreach (string key in levels.Where(pair => pair.Value is { Name: UserLevel, Running: 0 } && !waitedFor.Contains(pair.Value)).Select(pair => pair.Key).Take(excess).ToList()) levels.Remove(key);
    }

    private long Now() => (long)((Int128)clock.GetTimestamp() * TimeSpan.TicksPerSecond / clock.TimestampFrequency);

    private static ApiException Busy(Level level, string why) => new(429, "rate_limit_error", "too_many_concurrent_requests",
        $"This {level.Name} may have {level.Places} requests under way at the same time, {why}. Try again in a moment.", retryAfter: TimeSpan.FromSeconds(1));

    private static string Seconds(TimeSpan wait) => Math.Ceiling(wait.TotalSeconds).ToString(System.Globalization.CultureInfo.InvariantCulture);

    internal sealed class Level(string name)
    {
        public string Name { get; } = name;
        public TokenBucket? Requests { get; private set; }
        public TokenBucket? Tokens { get; private set; }
        public int? Places { get; private set; }
        public int Running { get; set; }

        /// <summary>How long a request may wait here, and how many; null: as the server says.</summary>
        public TimeSpan? WaitMax { get; private set; }
        public int? LineMax { get; private set; }

        public bool HasPlace => Places is not { } places || Running < places;
        public bool HasRoom(long estimate, long now) => HasPlace && HasRate(estimate, now);
        public bool HasRate(long estimate, long now) => RefillTime(0, 0, estimate, now) == TimeSpan.Zero;

        /// <summary>How long until the rates have given all that go ahead and this request what they ask for; zero: now.</summary>
        public TimeSpan RefillTime(long requestsAhead, long tokensAhead, long estimate, long now)
        {
            TimeSpan requests = Requests?.WaitFor(1, now, requestsAhead) ?? TimeSpan.Zero, tokens = Tokens?.WaitFor(estimate, now, tokensAhead) ?? TimeSpan.Zero;
            return requests > tokens ? requests : tokens;
        }

        public void Apply(RateTerms rates, long now)
        {
            Requests = Bucket(Requests, rates.RequestsPerMinute, now, rates.RequestsBurst);
            Tokens = Bucket(Tokens, rates.TokensPerMinute, now);
            Places = rates.Concurrent;
            WaitMax = rates.WaitSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : null;
            LineMax = rates.WaitingMax;
        }

        /// <summary>Nothing runs and nothing is taken: a new one would be the same.</summary>
        public bool IsIdle(long now) => Running == 0 && (Requests is null || Requests.UntilFull(now) == TimeSpan.Zero) && (Tokens is null || Tokens.UntilFull(now) == TimeSpan.Zero);

        private static TokenBucket? Bucket(TokenBucket? before, long? perMinute, long now, long? burst = null)
        {
            if (perMinute is not { } limit) return null;
            if (before is null) return new TokenBucket(limit, now, burst);
            before.Change(limit, now, burst);
            return before;
        }
    }

    /// <param name="party">Those of one party wait behind each other.</param>
    private sealed class Waiting(List<Level> levels, ImmutableArray<long> tokens, string party)
    {
        public List<Level> Levels { get; } = levels;
        public ImmutableArray<long> Tokens { get; } = tokens;
        public long Estimate { get; } = SumOf(tokens);
        public string Party { get; } = party;
        public long Turn { get; set; }
        public TaskCompletionSource<RateLease> Admitted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <summary>A request's place under its limits until it ends.</summary>
public sealed class RateLease : IDisposable
{
    private RateLimits? limits;

    internal RateLease(RateLimits limits, List<RateLimits.Level> levels, ImmutableArray<long> tokens)
    {
        (this.limits, Levels) = (limits, levels);
        if (tokens.IsEmpty) return;
        TokenBucket[] buckets = [.. levels.Select(level => level.Tokens).OfType<TokenBucket>()];
        Calls = [.. tokens.Select(most => new TakenTokens(limits, buckets, most))];
    }

    internal List<RateLimits.Level> Levels { get; }

    /// <summary>What was taken for each of its calls; empty: no level counts tokens.</summary>
    internal ImmutableArray<TakenTokens> Calls { get; } = [];

    public void Dispose() => Interlocked.Exchange(ref limits, null)?.Leave(this);
}

/// <summary>The tokens that were taken for a call at its levels, until it is known what it used (ADR 76). With its hold they are kept: whoever settles or releases that says what was used, whether or not the
/// client is still there. A call that no hold is placed for used nothing.</summary>
internal sealed class TakenTokens(RateLimits limits, TokenBucket[] buckets, long taken)
{
    /// <summary>Where they were taken: a limit that is set while the call runs has not given them.</summary>
    public TokenBucket[] Buckets { get; } = buckets;

    /// <summary>Its prompt as it was counted for them, so that it is not counted twice; null: it came as tokens.</summary>
    public PromptCount? Counted { get; set; }

    // Changed under the lock of the limits only.
    public long Taken { get; set; } = taken;
    public bool IsKept { get; set; }
    public bool IsSettled { get; set; }

    public void Keep() => limits.Keep(this);

    /// <summary>The call may use up to <paramref name="most"/> tokens from now on.</summary>
    public void Reach(long most) => limits.Reach(this, most);

    public void Settle(long used) => limits.Settle(this, used);
}
