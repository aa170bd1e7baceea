using System.Collections.Immutable;
using System.Globalization;
using System.Text;

namespace Qanat.Books;

/// <summary>A posting of usage as its records are added, one after the other: their sums and ids are kept, the records are not.</summary>
internal sealed class UsageDraft(UsageRecord first)
{
    private readonly List<RequestId> ids = [];
    private TokenCounts tokens;
    private Instant last = first.CompletedAt;
    private Money? charge = Zero(first.Charge), cost = Zero(first.Cost), discount, free;

    public int Count => ids.Count;

    /// <param name="record">Of the same group as the first.</param>
    public void Add(UsageRecord record)
    {
        ids.Add(record.Id);
        tokens += record.Tokens;
        if (record.CompletedAt > last) last = record.CompletedAt;
        if (charge is { } charged) charge = charged + record.Charge!.Value;
        if (cost is { } spent) cost = spent + record.Cost!.Value;
        if (record.Basis is not { } basis) return;
        discount = discount is { } off ? off + basis.Discount : basis.Discount;
        free = free is { } given ? given + basis.Free : basis.Free;
    }

    public TransactionPosted ToPosting(Instant closedThrough)
    {
        bool late = last < closedThrough;
        Instant at = late ? closedThrough : last;
        ImmutableArray<RequestId> records = [.. ids.OrderBy(id => id.Value)];
        var dimensions = new Dimensions(first.Party.Tenant, first.Party.Project, first.Model, first.Deployment, first.Pool);
        return new TransactionPosted(Templates.Usage(IdOf(at, records), at, Memo() + (late ? $", of {last}" : ""), dimensions, charge, cost, discount, free,
            late ? Templates.LateUsageName : Templates.UsageName, first.Upstream is not null), records);
    }

    private static Money? Zero(Money? amount) => amount is { } money ? Money.Zero(money.Currency) : null;

    private static TransactionId IdOf(Instant at, ImmutableArray<RequestId> records)
    {
        var content = new StringBuilder(Templates.UsageName);
        foreach (RequestId id in records)
            content.Append(' ').Append(id);
        return TransactionId.OfContent(at, content.ToString());
    }

    private string Memo()
    {
        string memo = string.Create(CultureInfo.InvariantCulture, $"{ids.Count} {(ids.Count == 1 ? "request" : "requests")}, {tokens.Input} input and {tokens.Output} output tokens");
        if (charge is null) memo += ", unpriced";
        if (cost is null) memo += ", uncosted";
        return memo;
    }
}
