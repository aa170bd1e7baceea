using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>What an account must stand at, as far as one kind of event is concerned, and where the other side goes. Posting brings the account there: a due met already posts nothing, one that changed posts the difference.
/// So a posting may be interrupted and repeated, and a fact that comes late becomes one dated adjustment.</summary>
/// <param name="Template">The kind of event.</param> <param name="Account">An account that only this kind of event moves, for these dimensions.</param>
public sealed record Due(string Template, string Memo, Account Account, Account Contra, Dimensions Dimensions, Money Balance)
{
    /// <summary>Transactions that bring every account from where the journal has it to where it must be, dated at an instant.</summary>
    public static ImmutableArray<TransactionPosted> Post(IEnumerable<Due> dues, ImmutableArray<EntrySum> posted, Instant at)
    {
        var balances = posted
            .GroupBy(e => (e.Account, new Dimensions(e.Key.Tenant, null, e.Key.Model, null, e.Key.Pool), e.Amount.Currency))
            .ToDictionary(g => g.Key, g => g.Aggregate(Money.Zero(g.Key.Currency), (sum, e) => sum + e.Amount));
        var postings = ImmutableArray.CreateBuilder<TransactionPosted>();
        foreach (var group in dues.GroupBy(d => (d.Account, d.Dimensions, d.Balance.Currency)))
        {
            Due due = group.First();
            Money target = group.Aggregate(Money.Zero(group.Key.Currency), (sum, d) => sum + d.Balance);
            Money before = balances.GetValueOrDefault(group.Key, Money.Zero(group.Key.Currency));
            if (target == before) continue;
            var id = TransactionId.OfContent(at, $"{due.Template} {due.Account} {due.Dimensions} {before} {target}");
            postings.Add(new TransactionPosted(Templates.Due(id, at, due, target - before), []));
        }
        return [.. postings.OrderBy(p => p.Transaction.Id.Value)];
    }
}
