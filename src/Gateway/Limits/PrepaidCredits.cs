using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>What tenants that paid in advance have left. The charges of each day are kept, so that it is drawn here exactly as the books draw it (<see cref="CreditPosition"/>).</summary>
public sealed class PrepaidCredits
{
    private readonly Lock gate = new();
    private readonly Dictionary<(TenantId Tenant, Currency Currency), SortedDictionary<Instant, Int128>> charges = [];
    private ImmutableArray<Credit> credits = [];

    /// <summary>Whose charges are drawn from what; swapped whole when one is declared.</summary>
    public void Declare(ImmutableArray<Credit> all)
    {
        lock (gate) credits = all;
    }

    /// <summary>A request of a tenant was charged.</summary>
    public void Add(TenantId tenant, Money charge, Instant completedAt)
    {
        lock (gate)
        {
            if (!charges.TryGetValue((tenant, charge.Currency), out SortedDictionary<Instant, Int128>? days)) charges[(tenant, charge.Currency)] = days = [];
            days[completedAt.DayStart] = days.GetValueOrDefault(completedAt.DayStart) + charge.Picos;
        }
    }

    /// <summary>What a tenant has paid in advance, and what is left of it, by currency.</summary>
    public ImmutableArray<PrepaidStand> Of(TenantId tenant, Instant now)
    {
        lock (gate)
        {
            return
            [
                .. credits.Where(credit => credit.Tenant == tenant && credit.PaidAt <= now).GroupBy(credit => credit.Amount.Currency).Select(group =>
                {
                    ImmutableArray<CreditPosition> positions = CreditPosition.Of(group, DaysOf(tenant, group.Key), JustAfter(now));
                    return new PrepaidStand(positions.Aggregate(Money.Zero(group.Key), (sum, each) => sum + each.Credit.Amount), positions.Aggregate(Money.Zero(group.Key), (sum, each) => sum + each.Left));
                }),
            ];
        }
    }

    /// <summary>What is left to draw from. Null: no limit, because the tenant pays nothing in advance or owes what goes beyond it.</summary>
    public Money? Left(TenantId tenant, Currency currency, Instant now)
    {
        lock (gate)
        {
            if (credits.IsEmpty) return null;
            ImmutableArray<Credit> own = [.. credits.Where(credit => credit.Tenant == tenant && credit.PaidAt <= now)];
            if (own.IsEmpty || own.Any(credit => credit.Then == WhenExhausted.Charge)) return null;
            return CreditPosition.Of(own.Where(credit => credit.Amount.Currency == currency), DaysOf(tenant, currency), JustAfter(now)).Aggregate(Money.Zero(currency), (sum, position) => sum + position.Left);
        }
    }

    private IEnumerable<DayCharge> DaysOf(TenantId tenant, Currency currency) =>
        charges.TryGetValue((tenant, currency), out SortedDictionary<Instant, Int128>? byDay) ? byDay.Select(day => new DayCharge(day.Key, new Money(day.Value, currency))) : [];

    /// <summary>The books' rule leaves out what happens at its instant.</summary>
    private static Instant JustAfter(Instant now) => new(now.UnixNanoseconds + 1);
}

/// <param name="Paid">Ever.</param>
/// <param name="Left">To draw from: neither drawn nor expired.</param>
public sealed record PrepaidStand(Money Paid, Money Left);
