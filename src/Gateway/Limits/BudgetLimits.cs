using System.Buffers.Binary;
using Qanat.Books;

namespace Qanat.Gateway;

public sealed record BudgetOptions
{
    /// <summary>How long a request may wait for other requests' holds to settle when its own does not fit beside them.</summary>
    public TimeSpan HoldWaitMax { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Requests that may wait so at the same time.</summary>
    public int WaitingMax { get; init; } = 1024;
}

/// <summary>Budgets: per month and day for tenant, project, key, each user and model of a tenant, and what it has paid in advance as the books know it. What is spent plus what is held never exceeds any of them. A request whose worst case does not fit beside the
/// open holds waits for them to settle; it is refused only when it does not fit what is left without them. Keys that were rotated from one another spend the same budget, where the directory is known.</summary>
public sealed partial class BudgetLimits(BudgetOptions options, TimeProvider clock, ContractLimits? contracts = null, DirectoryState? directory = null)
{
    private const string CreditLevel = "prepaid credit";

    private readonly Lock gate = new();
    private readonly Dictionary<BudgetScope, BudgetState> states = [];
    private readonly LinkedList<WaitingHold> waiting = [];

    /// <summary>Free quotas and prepaid credit, which limit requests besides their budgets.</summary>
    public ContractLimits Contracts { get; } = contracts ?? new ContractLimits();

    /// <summary>Takes over what was spent earlier, at start, by the rule of a running process: a request counts where it was placed, whenever it ended.</summary>
    public async Task RestoreAsync(IBookReader store, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(store);
        books = store;
        foreach (BudgetSpan span in (BudgetSpan[])[CurrentMonth(), CurrentDay()])
        {
            Instant start = Instant.From(new DateTimeOffset(span.Start, TimeOnly.MinValue, TimeSpan.Zero));
            Period since = new(start, Period.All.To);
            foreach (SpendRow row in await store.ReadSpendAsync(since, cancel))
                Add(span, row.Tenant, row.Project, row.Key, row.Charge);
            // Ended since, but placed before: the span before has counted them. Ids tell when a request was placed, to a millisecond.
            await foreach (UsageRecord record in store.StreamUsageAsync(new UsageQuery(since, Before: FirstIdAfter(start)), cancel))
            {
                if (record.PlacedAt < start && record.Charge is { } charge) Add(span, record.Party.Tenant, record.Party.Project, record.Party.Key, -charge);
            }
        }
    }

    /// <summary>Reserves <paramref name="amount"/>; waits while only open holds stand in the way.</summary>
    /// <exception cref="ApiException">402: the budget cannot pay for it. 429: it waited as long as it may.</exception>
    /// <param name="parts">Whose and which request it is, where that has a budget: <see cref="KnowPartsAsync"/> goes before.</param>
    public async Task<Reservation> PlaceAsync(Caller caller, Money amount, CancellationToken cancel, CallParts parts = default)
    {
        ArgumentNullException.ThrowIfNull(caller);
        Reservation reservation = new(BudgetsOf(caller, amount.Currency, parts), amount);
        WaitingHold? ticket;
        lock (gate)
        {
            if (TryHold(reservation, amount.Picos)) return reservation;
            ThrowIfHopeless(reservation);
            if (waiting.Count >= options.WaitingMax)
                throw BudgetBusy("too many requests are waiting for this budget");
            ticket = new WaitingHold(reservation);
            waiting.AddLast(ticket);
        }
        return await WaitAsync(ticket, cancel);
    }

    /// <summary>Raises a reservation if every budget allows it at once; a running stream never waits for another, so that two cannot wait for each other.</summary>
    public bool TryExtend(Reservation reservation, Money extra)
    {
        ArgumentNullException.ThrowIfNull(reservation);
        lock (gate)
        {
            if (!TryHold(reservation, extra.Picos)) return false;
            reservation.Amount += extra;
            return true;
        }
    }

    /// <summary>What every budget of the reservation still allows beyond spent and held; null: no limit.</summary>
    public Money? Available(Reservation reservation)
    {
        ArgumentNullException.ThrowIfNull(reservation);
        lock (gate) return Least(reservation, state => state.Spent + state.Held);
    }

    /// <summary>The same before anything is placed.</summary>
    public Money? Available(Caller caller, Currency currency, CallParts parts = default) => Available(new Reservation(BudgetsOf(caller, currency, parts), Money.Zero(currency)));

    /// <summary>Turns the reservation into spending of <paramref name="charge"/> and frees the rest.</summary>
    public void Settle(Reservation reservation, Money charge)
    {
        ArgumentNullException.ThrowIfNull(reservation);
        lock (gate)
        {
            BudgetState[] held = StatesOf(reservation);
            for (int index = 0; index < held.Length; index++)
            {
                held[index].Held -= reservation.Amount.Picos;
                // Parts are counted by records.
                if (!reservation.Budgets[index].Scope.IsPart) held[index].Spent += charge.Picos;
            }
            reservation.Amount = Money.Zero(reservation.Amount.Currency);
            AdmitWaiting();
        }
    }

    /// <summary>Turns the reservation into spending of what a request was charged: drawn from credit first, so that nothing is ever free twice in between.</summary>
    public void Settle(Reservation reservation, UsageRecord record)
    {
        ArgumentNullException.ThrowIfNull(reservation);
        ArgumentNullException.ThrowIfNull(record);
        reservation.Tokens?.Settle(record.Tokens.Input + record.Tokens.Output);
        // Under one lock, so that nobody finds what is left lower and what is spent not yet higher, and is refused for it.
        lock (gate)
        {
            Contracts.Charged(record);
            SpendParts(record);
            Settle(reservation, record.Charge ?? Money.Zero(reservation.Amount.Currency));
        }
    }

    /// <summary>Counts a request that was served elsewhere: nothing was held for it, so it may exceed what was left.</summary>
    public void Spend(Caller caller, UsageRecord record)
    {
        ArgumentNullException.ThrowIfNull(caller);
        ArgumentNullException.ThrowIfNull(record);
        Contracts.Charged(record);
        lock (gate) SpendParts(record);
        if (record.Charge is not { } charge) return;
        DateTimeOffset placed = record.PlacedAt.ToDateTimeOffset();
        foreach (BudgetSpan span in (BudgetSpan[])[BudgetSpan.MonthOf(placed), BudgetSpan.DayOf(placed)]) Add(span, caller.Tenant.Id, caller.Project.Id, caller.Key.Id, charge);
    }

    /// <summary>Frees all that was held for a call under which nothing was used: money and free tokens.</summary>
    public void Release(Reservation reservation)
    {
        ArgumentNullException.ThrowIfNull(reservation);
        reservation.Tokens?.Settle(0);
        Contracts.Quotas.Release(reservation.Quota);
        Settle(reservation, Money.Zero(reservation.Amount.Currency));
    }

    /// <summary>Spent and held this month by a tenant, project or key.</summary>
    public (Money Spent, Money Held) Use(Guid scopeId, Currency currency) => Use(CountedAs(new KeyId(scopeId)).Value, CurrentMonth(), currency);

    /// <summary>Spent and held today, of a tenant.</summary>
    public (Money Spent, Money Held) UseToday(TenantId tenant, Currency currency) => Use(tenant.Value, CurrentDay(), currency);

    /// <summary>What a tenant has paid in advance, by currency: of all that was ever paid, what is used up (drawn by charges, or expired) and what is held.</summary>
    public IReadOnlyList<PrepaidUse> UsePrepaid(TenantId tenant) =>
        [.. Contracts.Credits.Of(tenant, Instant.Now(clock)).Select(stand => new PrepaidUse(stand.Paid, stand.Paid - stand.Left, Use(tenant.Value, BudgetSpan.Credit, stand.Paid.Currency).Held))];

    private (Money Spent, Money Held) Use(Guid scopeId, BudgetSpan span, Currency currency, string part = "")
    {
        lock (gate)
        {
            BudgetState? state = states.GetValueOrDefault(new BudgetScope(scopeId, span, currency, part));
            return (new Money(state?.Spent ?? 0, currency), new Money(state?.Held ?? 0, currency));
        }
    }

    private void Add(BudgetSpan span, TenantId tenant, ProjectId project, KeyId key, Money charge)
    {
        lock (gate)
        {
            StateOf(new BudgetScope(tenant.Value, span, charge.Currency)).Spent += charge.Picos;
            if (span.Kind != SpanKind.Month) return;
            StateOf(new BudgetScope(project.Value, span, charge.Currency)).Spent += charge.Picos;
            StateOf(new BudgetScope(CountedAs(key).Value, span, charge.Currency)).Spent += charge.Picos;
        }
    }

    /// <summary>What is no key, or none that was rotated, counts as itself.</summary>
    private KeyId CountedAs(KeyId id) => directory?.Current.FindKey(id) is { } key ? KeyTerms.CountedAs(key) : id;

    private static RequestId FirstIdAfter(Instant time)
    {
        Span<byte> bytes = stackalloc byte[16];
        bytes.Clear();
        BinaryPrimitives.WriteInt64BigEndian(bytes, ((time.UnixNanoseconds / 1_000_000) + 1) << 16);
        return new RequestId(new Guid(bytes, bigEndian: true));
    }

    private async Task<Reservation> WaitAsync(WaitingHold ticket, CancellationToken cancel)
    {
        try
        {
            return await ticket.Admitted.Task.WaitAsync(options.HoldWaitMax, clock, cancel);
        }
        catch (Exception error) when (error is TimeoutException or OperationCanceledException)
        {
            lock (gate)
            {
                // Admitted in the same instant: the money is held, so the reservation must be used or freed.
                if (!waiting.Remove(ticket) && ticket.Admitted.Task.IsCompletedSuccessfully)
                {
                    if (error is TimeoutException) return ticket.Reservation;
                    Release(ticket.Reservation);
                }
                AdmitWaiting();
            }
            if (error is TimeoutException)
                throw BudgetBusy("requests that are still running hold the rest of this budget");
            throw;
        }
    }

    /// <summary>In order of arrival, every waiting request that fits now; what fits is never blocked by a larger one before it.</summary>
    private void AdmitWaiting()
    {
        LinkedListNode<WaitingHold>? node = waiting.First;
        while (node is not null)
        {
            LinkedListNode<WaitingHold>? next = node.Next;
            WaitingHold ticket = node.Value;
            ApiException? hopeless = Hopeless(ticket.Reservation);
            if (hopeless is not null || TryHold(ticket.Reservation, ticket.Reservation.Amount.Picos))
            {
                waiting.Remove(node);
                if (hopeless is null) ticket.Admitted.TrySetResult(ticket.Reservation);
                else ticket.Admitted.TrySetException(hopeless);
            }
            node = next;
        }
    }

    private bool TryHold(Reservation reservation, Int128 picos)
    {
        BudgetState[] known = StatesOf(reservation);
        for (int index = 0; index < known.Length; index++)
        {
            if (reservation.Budgets[index].Limit is not { } limit || known[index].Spent + known[index].Held + picos <= limit.Picos) continue;
            // While it holds nothing, one that is over may be forgotten.
            reservation.States = null;
            return false;
        }
        foreach (BudgetState state in known) state.Held += picos;
        return true;
    }

    private void ThrowIfHopeless(Reservation reservation)
    {
        if (Hopeless(reservation) is { } error) throw error;
    }

    /// <summary>Why a request fits no more, whatever others give back; null: it may. Each budget that it does not fit has met its end.</summary>
    private ApiException? Hopeless(Reservation reservation)
    {
        ApiException? error = null;
        foreach (Budget budget in reservation.Budgets)
        {
            if (budget.Limit is not { } limit) continue;
            Money spent = new(StateOf(budget.Scope).Spent, limit.Currency);
            if (spent + reservation.Amount <= limit) continue;
            NoteUsedUp(budget, Money.Zero(limit.Currency));
            error ??= budget.Level == CreditLevel
                ? new ApiException(402, "insufficient_quota", "credit_exhausted",
                    $"{limit - spent} of the credit paid in advance is left, and this request may cost up to {reservation.Amount}. Top up the credit, or ask for fewer tokens (max_tokens).")
                : new ApiException(402, "insufficient_quota", "budget_exceeded",
                    $"The {budget.Name} of this {budget.Level} is {limit}; {spent} is spent, and this request may cost up to {reservation.Amount}. Raise it, or ask for fewer tokens (max_tokens).");
        }
        return error;
    }

    private static ApiException BudgetBusy(string why) => new(429, "insufficient_quota", "budget_held",
        $"The request does not fit the budget right now: {why}. Try again in a moment.", retryAfter: TimeSpan.FromSeconds(1));

    private Money? Least(Reservation reservation, Func<BudgetState, Int128> used)
    {
        Money? least = null;
        foreach (Budget budget in reservation.Budgets)
        {
            if (budget.Limit is not { } limit) continue;
            Money left = new(Int128.Max(0, limit.Picos - used(StateOf(budget.Scope))), limit.Currency);
            if (least is null || left < least) least = left;
        }
        return least;
    }

    /// <summary>Those of its budgets, in their order; looked up once: while it holds anything none of them is forgotten.</summary>
    private BudgetState[] StatesOf(Reservation reservation)
    {
        if (reservation.States is { } known) return known;
        BudgetState[] states = new BudgetState[reservation.Budgets.Count];
        for (int index = 0; index < states.Length; index++) states[index] = StateOf(reservation.Budgets[index].Scope);
        return reservation.States = states;
    }

    private BudgetState StateOf(BudgetScope scope)
    {
        if (!states.TryGetValue(scope, out BudgetState? state))
            states[scope] = state = new BudgetState();
        return state;
    }

    /// <summary>The budgets a caller's request counts against, in the price's currency: by month for tenant, project and key, by day for the tenant, its credit, and those of its parts.</summary>
    public IReadOnlyList<Budget> BudgetsOf(Caller caller, Currency currency, CallParts parts = default)
    {
        ArgumentNullException.ThrowIfNull(caller);
        BudgetSpan month = CurrentMonth();
        TenantTerms terms = TenantTerms.Of(caller.Tenant);
        return
        [
            Budget("tenant", caller.Tenant.Id.Value, month, caller.Tenant.MonthlyBudget),
            Budget("project", caller.Project.Id.Value, month, caller.Project.MonthlyBudget),
            Budget("key", KeyTerms.CountedAs(caller.Key).Value, month, caller.Key.MonthlyBudget),
            Budget("tenant", caller.Tenant.Id.Value, CurrentDay(), terms.DailyLimit),
            .. CreditOf(caller.Tenant.Id, currency) is { } credit ? [credit] : Array.Empty<Budget>(),
            .. HasPartBudgets(caller) ? PartsOf(caller, currency, parts) : [],
        ];

        Budget Budget(string level, Guid id, BudgetSpan span, Money? limit) => BudgetIn(currency, level, id, span, limit);
    }

    private static Budget BudgetIn(Currency currency, string level, Guid id, BudgetSpan span, Money? limit, string part = "") => limit is { } money && money.Currency != currency
        ? throw new ApiException(402, "insufficient_quota", "budget_currency",
            $"The {level}'s budget is in {money.Currency} but the model's price is in {currency}: set the budget in {currency}.")
        : new Budget(level, new BudgetScope(id, span, currency, part), limit);

    /// <summary>Prepaid credit as a budget that lasts as long as the credit does: its limit is what is left beyond what this process has settled already.</summary>
    private Budget? CreditOf(TenantId tenant, Currency currency)
    {
        BudgetScope scope = new(tenant.Value, BudgetSpan.Credit, currency);
        lock (gate)
        {
            return Contracts.Credits.Left(tenant, currency, Instant.Now(clock)) is { } left ? new Budget(CreditLevel, scope, left + new Money(StateOf(scope).Spent, currency)) : null;
        }
    }

    private BudgetSpan CurrentMonth() => BudgetSpan.MonthOf(clock.GetUtcNow());
    private BudgetSpan CurrentDay() => BudgetSpan.DayOf(clock.GetUtcNow());

    internal sealed class BudgetState
    {
        public Int128 Spent;
        public Int128 Held;

        /// <summary>The limit under which it could not pay for a request any more; null: it has paid for all.</summary>
        public Int128? UsedUpAt;
    }

    private sealed class WaitingHold(Reservation reservation)
    {
        public Reservation Reservation { get; } = reservation;
        public TaskCompletionSource<Reservation> Admitted { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}

/// <param name="Paid">Ever.</param>
/// <param name="Used">Of it, drawn or expired.</param>
public sealed record PrepaidUse(Money Paid, Money Used, Money Held);

public enum SpanKind { Month, Day, Credit }

/// <summary>What a budget is for: a UTC calendar month or day (by its first day), or as long as credit lasts.</summary>
public readonly record struct BudgetSpan(SpanKind Kind, DateOnly Start)
{
    /// <summary>As long as the credits of a tenant's contracts last, which come and expire.</summary>
    public static readonly BudgetSpan Credit = new(SpanKind.Credit, DateOnly.MinValue);

    public static BudgetSpan MonthOf(DateTimeOffset time) => new(SpanKind.Month, new DateOnly(time.UtcDateTime.Year, time.UtcDateTime.Month, 1));
    public static BudgetSpan DayOf(DateTimeOffset time) => new(SpanKind.Day, DateOnly.FromDateTime(time.UtcDateTime));
}

/// <summary>One tenant, project or key, or a part of its requests, in one span and currency.</summary>
/// <param name="Part">Whose, or which; empty: all.</param>
public readonly record struct BudgetScope(Guid Id, BudgetSpan Span, Currency Currency, string Part = "")
{
    public bool IsPart => Part.Length > 0;
}

/// <param name="Limit">Null: no limit at this level.</param>
public sealed record Budget(string Level, BudgetScope Scope, Money? Limit)
{
    public string Name => Scope.Span.Kind switch { SpanKind.Month => "monthly budget", SpanKind.Day => "daily budget", _ => "prepaid credit" };
}

/// <summary>Money held for one request in the spans in which it was placed.</summary>
public sealed class Reservation(IReadOnlyList<Budget> budgets, Money amount)
{
    public IReadOnlyList<Budget> Budgets { get; } = budgets;
    public Money Amount { get; internal set; } = amount;

    /// <summary>What the request is charged by.</summary>
    public RequestTerms Terms { get; internal set; } = RequestTerms.None;

    /// <summary>Free tokens kept for it.</summary>
    public QuotaHold Quota { get; internal set; } = QuotaHold.None;

    /// <summary>What was taken of its tokens a minute, to be corrected with its settlement; null: nothing counts them.</summary>
    internal TakenTokens? Tokens { get; private set; }

    /// <summary>The hold is placed: what was taken for the call is corrected when this is settled or released.</summary>
    internal void Keep(TakenTokens? taken)
    {
        Tokens = taken;
        taken?.Keep();
    }

    /// <summary>What is spent and held of each budget, once it was looked up.</summary>
    internal BudgetLimits.BudgetState[]? States { get; set; }
}
