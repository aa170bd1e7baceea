using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>What tells the parts of a tenant's requests apart that may have budgets of their own.</summary>
public readonly record struct CallParts(string? User, ModelName? Model)
{
    public static CallParts Of(Call call)
    {
        ArgumentNullException.ThrowIfNull(call);
        return new CallParts(call.UserTag, call.Model);
    }
}

/// <summary>Budgets that few tenants have: by day for project and key, by day and month for each user and for a model (ADR 43). They are counted by records, for tenants that have one, from their first
/// request under it; what was spent before, in the running month, is read from the books then.</summary>
public sealed partial class BudgetLimits
{
    internal const string UserPart = "user ";
    private const string ProjectPart = "project", KeyPart = "key", ModelPart = "model ";
    private readonly Dictionary<TenantId, PartCount> counts = [];
    private IBookReader? books;
    private DateOnly prunedOn;

    /// <summary>To be awaited before a call is placed: what the parts of the tenant have spent is known from then on.</summary>
    /// <exception cref="StoreException">The books cannot be read.</exception>
    public Task KnowPartsAsync(Caller caller)
    {
        ArgumentNullException.ThrowIfNull(caller);
        return HasPartBudgets(caller) ? KnowPartsAsync(caller.Tenant.Id) : Task.CompletedTask;
    }

    /// <summary>Whether what the parts of a tenant have spent is known. If not, it is asked for.</summary>
    public bool KnowsParts(TenantId tenant) => KnowPartsAsync(tenant).IsCompletedSuccessfully;

    /// <summary>The same of all parts of a tenant.</summary>
    internal Task KnowPartsAsync(TenantId tenant)
    {
        lock (gate)
        {
            if (!counts.TryGetValue(tenant, out PartCount? count)) counts[tenant] = count = new PartCount();
            // After a failure it is tried again; what has been settled since the first time is remembered.
            else if (!count.Known.IsFaulted) return count.Known;
            return count.Known = Task.Run(() => CountAsync(tenant, count));
        }
    }

    /// <summary>Spent and held today, of a project.</summary>
    public (Money Spent, Money Held) UseToday(ProjectId project, Currency currency) => Use(project.Value, CurrentDay(), currency, ProjectPart);

    /// <summary>Spent and held today, of a key.</summary>
    public (Money Spent, Money Held) UseToday(KeyId key, Currency currency) => Use(CountedAs(key).Value, CurrentDay(), currency, KeyPart);

    /// <summary>Spent and held of a user of a tenant, this month or today.</summary>
    public (Money Spent, Money Held) UseOfUser(TenantId tenant, string user, SpanKind kind, Currency currency) => Use(tenant.Value, Current(kind), currency, UserPart + user);

    /// <summary>Spent and held by a tenant for a model, this month or today.</summary>
    public (Money Spent, Money Held) UseOfModel(TenantId tenant, ModelName model, SpanKind kind, Currency currency) => Use(tenant.Value, Current(kind), currency, PartOf(model));

    /// <summary>What each user who is counted has spent and holds, this month and today; null: more is counted than may be looked through while calls wait.</summary>
    public IReadOnlyList<UserUse>? UsersNow(int countedMax)
    {
        lock (gate)
        {
            if (states.Count > countedMax) return null;
            (BudgetSpan month, BudgetSpan day) = (CurrentMonth(), CurrentDay());
            return [.. states.Where(pair => pair.Key.Part.StartsWith(UserPart, StringComparison.Ordinal) && (pair.Key.Span == month || pair.Key.Span == day))
                .Select(pair => new UserUse(new TenantId(pair.Key.Id), pair.Key.Part, pair.Key.Span.Kind, new Money(pair.Value.Spent, pair.Key.Currency), new Money(pair.Value.Held, pair.Key.Currency)))];
        }
    }

    private static bool HasPartBudgets(Caller caller)
    {
        TenantTerms terms = TenantTerms.Of(caller.Tenant);
        return terms.EachUser.HasBudget || caller.Terms.DailyBudget is not null || ProjectTerms.Of(caller.Project).DailyBudget is not null
            || !terms.Models.IsEmpty && terms.Models.Values.Any(each => each.HasBudget);
    }

    private ImmutableArray<Budget> PartsOf(Caller caller, Currency currency, CallParts parts)
    {
        ImmutableArray<Budget>.Builder found = ImmutableArray.CreateBuilder<Budget>();
        TenantTerms terms = TenantTerms.Of(caller.Tenant);
        Add("project", caller.Project.Id.Value, SpanKind.Day, ProjectTerms.Of(caller.Project).DailyLimit, ProjectPart);
        Add("key", KeyTerms.CountedAs(caller.Key).Value, SpanKind.Day, caller.Terms.DailyLimit, KeyPart);
        if (parts.User is { } user) AddBoth("user", UserPart + user, terms.EachUser);
        if (parts.Model is { } model && terms.OfModel(model) is { } ofModel) AddBoth("model", PartOf(model), ofModel);
        return found.DrainToImmutable();

        void AddBoth(string level, string part, PartTerms bounds)
        {
            Add(level, caller.Tenant.Id.Value, SpanKind.Month, bounds.MonthlyLimit, part);
            Add(level, caller.Tenant.Id.Value, SpanKind.Day, bounds.DailyLimit, part);
        }

        void Add(string level, Guid id, SpanKind kind, Money? limit, string part)
        {
            if (limit is not null) found.Add(BudgetIn(currency, level, id, Current(kind), limit, part));
        }
    }

    private static string PartOf(ModelName model) => ModelPart + model.Value.ToUpperInvariant();

    private BudgetSpan Current(SpanKind kind) => kind == SpanKind.Month ? CurrentMonth() : CurrentDay();

    /// <summary>Adds what the books know of the running month to what has been counted since.</summary>
    private async Task CountAsync(TenantId tenant, PartCount count)
    {
        List<UsageRecord> earlier = [];
        if (books is { } reader)
        {
            Instant start = Instant.From(new DateTimeOffset(CurrentMonth().Start, TimeOnly.MinValue, TimeSpan.Zero));
            await foreach (UsageRecord record in reader.StreamUsageAsync(new UsageQuery(new Period(start, Period.All.To), tenant), CancellationToken.None))
            {
                if (record.PlacedAt >= start && record.Charge is { IsZero: false }) earlier.Add(record);
            }
        }
        lock (gate)
        {
            foreach (UsageRecord record in earlier)
            {
                // Settled while the books were read: it is counted already.
                if (!count.Since.Contains(record.Id)) Spend(record);
            }
            count.Since.Clear();
            count.IsRead = true;
        }
    }

    /// <summary>Under the lock.</summary>
    private void SpendParts(UsageRecord record)
    {
        if (!counts.TryGetValue(record.Party.Tenant, out PartCount? count)) return;
        if (!count.IsRead) count.Since.Add(record.Id);
        Spend(record);
    }

    private void Spend(UsageRecord record)
    {
        if (record.Charge is not { IsZero: false } charge) return;
        Prune();
        DateTimeOffset placed = record.PlacedAt.ToDateTimeOffset();
        (BudgetSpan month, BudgetSpan day) = (BudgetSpan.MonthOf(placed), BudgetSpan.DayOf(placed));
        Party party = record.Party;
        Add(party.Project.Value, day, ProjectPart);
        Add(CountedAs(party.Key).Value, day, KeyPart);
        foreach (BudgetSpan span in (BudgetSpan[])[month, day])
        {
            if (party.UserTag is { } user) Add(party.Tenant.Value, span, UserPart + user);
            Add(party.Tenant.Value, span, PartOf(record.Model));
        }

        void Add(Guid id, BudgetSpan span, string part) => StateOf(new BudgetScope(id, span, charge.Currency, part)).Spent += charge.Picos;
    }

    /// <summary>Once a day, forgets parts of spans that are over: users come and go.</summary>
    private void Prune()
    {
        DateOnly today = CurrentDay().Start, month = CurrentMonth().Start;
        if (prunedOn == today) return;
        prunedOn = today;
        foreach (BudgetScope scope in states.Where(pair => pair.Key.IsPart && pair.Value.Held == 0 && pair.Key.Span.Start < (pair.Key.Span.Kind == SpanKind.Day ? today : month)).Select(pair => pair.Key).ToArray())
            states.Remove(scope);
    }

    /// <summary>Whether what the parts of a tenant have spent is known.</summary>
    private sealed class PartCount
    {
        public Task Known { get; set; } = Task.CompletedTask;

        /// <summary>What the books knew is in.</summary>
        public bool IsRead { get; set; }

        /// <summary>What was settled while the books were read.</summary>
        public HashSet<RequestId> Since { get; } = [];
    }
}

/// <summary>What a user has spent and holds, in the running month or day.</summary>
/// <param name="Part">As the user's budgets are counted under.</param>
public readonly record struct UserUse(TenantId Tenant, string Part, SpanKind Span, Money Spent, Money Held)
{
    public Money Used => Spent + Held;
    public string User => Part[BudgetLimits.UserPart.Length..];
}
