using Qanat.Books;

namespace Qanat.Gateway;

public sealed record RateOptions
{
    /// <summary>Requests that may wait for a place under a limit of concurrency at the same time, at each level.</summary>
    public int QueueMax { get; init; } = 100;

    /// <summary>How long one waits at most.</summary>
    public TimeSpan QueueWaitMax { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Levels remembered at once (user tags are named by callers); beyond it idle ones are forgotten, which only ever gives.</summary>
    public int LevelsMax { get; init; } = 100_000;
}

/// <summary>What is left at the tightest level, for the headers of the answer.</summary>
public sealed record RateState(long? RequestLimit, long RequestsLeft, TimeSpan RequestsReset, long? TokenLimit, long TokensLeft, TimeSpan TokensReset);

/// <summary>Requests and tokens per minute and requests at the same time, by tenant, project, key, user tag and model. A request enters all its levels or none. Tokens are taken
/// for the prompt and the answer that was asked for, and corrected when the answer is known.</summary>
public sealed class RateLimits(RateOptions options, TimeProvider clock)
{
    private readonly Lock gate = new();
    private readonly Dictionary<string, Level> levels = new(StringComparer.Ordinal);
    private readonly LinkedList<Waiting> line = [];
    private volatile RateOptions current = options;

    /// <summary>Puts other limits of the line in force, for those who come from now on.</summary>
    public void Apply(RateOptions next) => current = next;

    /// <exception cref="ApiException">429: a rate is used up, with when to come again; or the line for a place is full, or took too long.</exception>
    public async Task<RateLease> EnterAsync(Call call, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(call);
        long estimate = (long)call.Prompt.Length + (long)(call.MaxTokens ?? 0) * call.Choices;
        Waiting ticket;
        lock (gate)
        {
            List<Level> entered = LevelsOf(call);
            foreach (Level level in entered) ThrowIfUsedUp(level, estimate);
            if (entered.All(level => level.HasPlace)) return Admit(entered, estimate);
            if (line.Count(each => each.Levels.Exists(level => !level.HasPlace && entered.Contains(level))) >= current.QueueMax)
                throw Busy(entered.First(level => !level.HasPlace), "and as many wait as may");
            ticket = new Waiting(entered, estimate);
            line.AddLast(ticket);
        }
        return await WaitAsync(ticket, cancel);
    }

    /// <summary>What is left at the tightest of the call's levels.</summary>
    public RateState State(Call call)
    {
        ArgumentNullException.ThrowIfNull(call);
        lock (gate)
        {
            long now = Now();
            List<Level> all = LevelsOf(call);
            TokenBucket? requests = all.Select(level => level.Requests).OfType<TokenBucket>().MinBy(bucket => bucket.Left(now));
            TokenBucket? tokens = all.Select(level => level.Tokens).OfType<TokenBucket>().MinBy(bucket => bucket.Left(now));
            return new RateState(requests?.PerMinute, requests?.Left(now) ?? 0, requests?.UntilFull(now) ?? default, tokens?.PerMinute, tokens?.Left(now) ?? 0, tokens?.UntilFull(now) ?? default);
        }
    }

    internal void Leave(RateLease lease, long? used)
    {
        lock (gate)
        {
            foreach (Level level in lease.Levels)
            {
                level.Running--;
                if (used is { } tokens) level.Tokens?.Take(tokens - lease.Estimate);
            }
            AdmitWaiting();
        }
    }

    private async Task<RateLease> WaitAsync(Waiting ticket, CancellationToken cancel)
    {
        try
        {
            return await ticket.Admitted.Task.WaitAsync(current.QueueWaitMax, clock, cancel);
        }
        catch (Exception error) when (error is TimeoutException or OperationCanceledException)
        {
            bool admitted;
            lock (gate) admitted = !line.Remove(ticket);
            if (admitted)
            {
                // Admitted in the same instant: the place is used, or given back.
                RateLease lease = await ticket.Admitted.Task;
                if (error is TimeoutException) return lease;
                lease.Dispose();
            }
            if (error is TimeoutException) throw Busy(ticket.Levels[0], "and none ended in time");
            throw;
        }
    }

    /// <summary>In order of arrival, whoever finds a place at all its levels.</summary>
    private void AdmitWaiting()
    {
        LinkedListNode<Waiting>? node = line.First;
        while (node is not null)
        {
            LinkedListNode<Waiting>? next = node.Next;
            if (node.Value.Levels.TrueForAll(level => level.HasPlace))
            {
                line.Remove(node);
                node.Value.Admitted.TrySetResult(Admit(node.Value.Levels, node.Value.Estimate));
            }
            node = next;
        }
    }

    private RateLease Admit(List<Level> entered, long estimate)
    {
        foreach (Level level in entered)
        {
            level.Running++;
            level.Requests?.Take(1);
            level.Tokens?.Take(estimate);
        }
        return new RateLease(this, entered, estimate);
    }

    private void ThrowIfUsedUp(Level level, long estimate)
    {
        long now = Now();
        if (level.Requests is { } requests && requests.WaitFor(1, now) is { } wait && wait > TimeSpan.Zero)
            throw new ApiException(429, "requests", "rate_limit_exceeded", $"This {level.Name} may send {requests.PerMinute} requests a minute. Try again in {Seconds(wait)} s.", retryAfter: wait);
        if (level.Tokens is { } tokens && tokens.WaitFor(estimate, now) is { } pause && pause > TimeSpan.Zero)
            throw new ApiException(429, "tokens", "rate_limit_exceeded",
                $"This {level.Name} may use {tokens.PerMinute} tokens a minute; {tokens.Left(now)} are left, and this request asks for up to {estimate}. Try again in {Seconds(pause)} s, or ask for fewer (max_tokens).", retryAfter: pause);
    }

    private List<Level> LevelsOf(Call call)
    {
        Caller caller = call.Caller;
        TenantTerms tenant = TenantTerms.Of(caller.Tenant);
        List<Level> found = [];
        Add("tenant", caller.Tenant.Id.ToString(), tenant.Rates);
        Add("project", caller.Project.Id.ToString(), ProjectTerms.Of(caller.Project).Rates);
        Add("key", caller.Key.Id.ToString(), caller.Terms.Rates);
        if (call.UserTag is { } tag) Add("user", $"{caller.Tenant.Id} {tag}", tenant.EachUser);
        if (tenant.Models.FirstOrDefault(pair => pair.Key.Equals(call.Model.Value, StringComparison.OrdinalIgnoreCase)).Value is { } rates) Add("model", $"{caller.Tenant.Id} {call.Model.Value}", rates);
        return found;

        void Add(string name, string id, RateTerms rates)
        {
            if (!rates.IsEmpty) found.Add(LevelOf(name, id, rates));
        }
    }

    private Level LevelOf(string name, string id, RateTerms rates)
    {
        string key = $"{name} {id}";
        if (!levels.TryGetValue(key, out Level? level))
        {
            if (levels.Count >= current.LevelsMax) ForgetIdle();
            levels[key] = level = new Level(name);
        }
        level.Apply(rates, Now());
        return level;
    }

    private void ForgetIdle()
    {
        long now = Now();
        foreach (string key in levels.Where(pair => pair.Value.IsIdle(now)).Select(pair => pair.Key).ToList()) levels.Remove(key);
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
        public bool HasPlace => Places is not { } places || Running < places;

        public void Apply(RateTerms rates, long now)
        {
            Requests = Bucket(Requests, rates.RequestsPerMinute, now, rates.RequestsBurst);
            Tokens = Bucket(Tokens, rates.TokensPerMinute, now);
            Places = rates.Concurrent;
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

    private sealed class Waiting(List<Level> levels, long estimate)
    {
        public List<Level> Levels { get; } = levels;
        public long Estimate { get; } = estimate;
        public TaskCompletionSource<RateLease> Admitted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <summary>A request's place under its limits until it ends.</summary>
public sealed class RateLease : IDisposable
{
    private RateLimits? limits;

    internal RateLease(RateLimits limits, List<RateLimits.Level> levels, long estimate) => (this.limits, Levels, Estimate) = (limits, levels, estimate);

    internal List<RateLimits.Level> Levels { get; }
    internal long Estimate { get; }

    /// <summary>Tokens it used, once known; null: it ended before that and its estimate stands.</summary>
    public long? Used { get; set; }

    public void Dispose() => Interlocked.Exchange(ref limits, null)?.Leave(this, Used);
}
