using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>An account by its path, top level first: "assets:receivables", "revenue:usage", "cost of revenue:compute".</summary>
public readonly record struct Account(string Path)
{
    /// <summary>True for the account itself and everything below it.</summary>
    public bool IsUnder(Account ancestor) =>
        Path.StartsWith(ancestor.Path, StringComparison.Ordinal) && (Path.Length == ancestor.Path.Length || Path[ancestor.Path.Length] == ':');

    /// <summary>The account one level below, by its own name.</summary>
    public Account Below(string name) => new($"{Path}:{name}");

    public override string ToString() => Path;
}

/// <summary>What an entry is about. Null: not about any.</summary>
public sealed record Dimensions(TenantId? Tenant = null, ProjectId? Project = null, ModelName? Model = null, DeploymentName? Deployment = null, PoolName? Pool = null)
{
    public static readonly Dimensions None = new();
}

/// <summary>One leg. Debits are positive, credits negative.</summary>
public sealed record Entry(Account Account, Money Amount, Dimensions Dimensions);

/// <summary>Entries that sum to zero in every currency. Made only by the named templates.</summary>
public sealed record Transaction(TransactionId Id, Instant At, string Template, string Memo, ImmutableArray<Entry> Entries)
{
    /// <summary>What is left over in each currency: empty when the transaction balances.</summary>
    public ImmutableArray<Money> Imbalance() =>
        [.. Entries.GroupBy(e => e.Amount.Currency).Select(g => g.Aggregate(Money.Zero(g.Key), (sum, e) => sum + e.Amount)).Where(sum => !sum.IsZero)];

    /// <exception cref="InvalidOperationException">The entries do not sum to zero: nothing may be posted.</exception>
    public void EnsureBalanced()
    {
        ImmutableArray<Money> left = Imbalance();
        if (!left.IsEmpty) throw new InvalidOperationException($"Transaction {Id} ({Template}) is out of balance by {string.Join(" and ", left)}.");
    }
}
