using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Budgets that are used up although something is left of them (ADR 73). What is spent and held never exceeds a limit and hardly ever meets it: the end of a budget is the first request that what is left cannot pay for.</summary>
public sealed partial class BudgetLimits
{
    /// <summary>Whether a request was refused, or ended before its answer did, because this budget could not pay for it, with at least half of <paramref name="limit"/> used. Another limit has not met its end yet.</summary>
    /// <param name="limit">The one in force; of prepaid credit, what was ever paid.</param>
    public bool IsUsedUp(TenantId tenant, SpanKind kind, Money limit) => IsUsedUp(tenant.Value, kind, limit, "");

    /// <summary>The same of a project.</summary>
    public bool IsUsedUp(ProjectId project, SpanKind kind, Money limit) => IsUsedUp(project.Value, kind, limit, kind == SpanKind.Day ? ProjectPart : "");

    /// <summary>The same of a key.</summary>
    public bool IsUsedUp(KeyId key, SpanKind kind, Money limit) => IsUsedUp(CountedAs(key).Value, kind, limit, kind == SpanKind.Day ? KeyPart : "");

    /// <summary>The same of a model's budget of a tenant.</summary>
    public bool IsUsedUp(TenantId tenant, ModelName model, SpanKind kind, Money limit) => IsUsedUp(tenant.Value, kind, limit, PartOf(model));

    /// <summary>An answer is ended here, because no budget pays for more of it.</summary>
    /// <param name="whole">What all of it may cost with the least more.</param>
    internal void Ended(Reservation reservation, Money whole)
    {
        lock (gate)
        {
            foreach (Budget budget in reservation.Budgets)
            {
                if (budget.Limit is { } limit && StateOf(budget.Scope).Spent + whole.Picos > limit.Picos) NoteUsedUp(budget, reservation.Amount);
            }
        }
    }

    /// <summary>Under the lock.</summary>
    /// <param name="own">What the request itself holds.</param>
    private void NoteUsedUp(Budget budget, Money own)
    {
        BudgetState state = StateOf(budget.Scope);
        (Int128 limit, Int128 spent) = (budget.Limit!.Value.Picos, state.Spent);
        if (budget.Level == CreditLevel)
        {
            // Its limit is what was left when the process began: the whole is what was paid.
            if (Contracts.Credits.Of(new TenantId(budget.Scope.Id), Instant.Now(clock)).FirstOrDefault(each => each.Paid.Currency == own.Currency) is not { } stand) return;
            (limit, spent) = (stand.Paid.Picos, (stand.Paid - stand.Left).Picos);
        }
        if ((spent + own.Picos) * 2 >= limit) state.UsedUpAt = limit;
    }

    private bool IsUsedUp(Guid id, SpanKind kind, Money limit, string part)
    {
        BudgetSpan span = kind == SpanKind.Credit ? BudgetSpan.Credit : Current(kind);
        lock (gate) return states.TryGetValue(new BudgetScope(id, span, limit.Currency, part), out BudgetState? state) && state.UsedUpAt == limit.Picos;
    }
}
