using System.Collections.Immutable;

namespace Qanat.Books;

/// <summary>Is shown every transaction, re-derives usage postings from their records and adds the entries up.</summary>
internal sealed class JournalCheck
{
    private readonly Findings unbalanced = new();
    private readonly Findings underived = new();
    private readonly Findings rollups = new();
    private readonly Dictionary<(Account Account, Currency Currency), Int128> balances = [];
    private readonly Dictionary<Currency, Int128> otherReceivables = [];
    private readonly Dictionary<(string Template, Account Account, PoolName Pool, Currency Currency), Int128> poolSums = [];
    private ImmutableArray<Money> trialSums = [];
    private long transactions, usagePostings, postedIds, rollupLines;
    private UInt128 postedIdSum;

    public void Add(Posting posting)
    {
        Add(posting.Transaction);
        AddPostedRecords(posting);
    }

    /// <summary>After the last transaction.</summary>
    public async Task CompleteAsync(IBookReader store, CancellationToken cancel)
    {
        await CompareRollupsAsync(store, cancel).ConfigureAwait(false);
        trialSums = (await Statements.TrialBalanceAsync(store, Period.All.To, cancel).ConfigureAwait(false)).Sums;
    }

    public IEnumerable<Identity> Identities(UsageCheck usage)
    {
        yield return new Identity("every transaction balances", "", "transactions", transactions, "of them that sum to zero in every currency", transactions - unbalanced.Count, IdentityUnit.Of("transactions"), unbalanced.Texts);
        foreach (Currency currency in trialSums.Select(s => s.Currency))
            yield return new Identity("trial balance", currency.Code, "sum of all debits and credits", trialSums.First(s => s.Currency == currency).Picos, "zero", 0, IdentityUnit.Of(currency), []);
        yield return new Identity("sums are the journal's", "", "sums by account the store keeps", rollupLines, "of them equal to the entries added up", rollupLines - rollups.Count, IdentityUnit.Of("sums"), rollups.Texts);
        bool same = postedIds == usage.PostedRecords && postedIdSum == usage.PostedIdSum && usage.Unreached == 0;
        yield return new Identity("every posted record is in one posting", "", "records listed by postings", postedIds, "records marked as posted", usage.PostedRecords, IdentityUnit.Of("records"),
            same ? [] : ["The postings list other records than those marked as posted, or one of them twice, or a record is neither posted nor waiting to be."]);
        yield return new Identity("postings re-derive from their records", "", "usage postings", usagePostings, "of them equal to the sum of their records", usagePostings - underived.Count, IdentityUnit.Of("postings"), underived.Texts);
        foreach (Currency currency in balances.Keys.Where(k => k.Account == Accounts.Receivables).Select(k => k.Currency).Union(usage.PostedCharges.Keys).OrderBy(c => c.Code, StringComparer.Ordinal))
        {
            yield return new Identity("receivables are the charges", currency.Code, "receivables", balances.GetValueOrDefault((Accounts.Receivables, currency)),
                "charges of posted records, with adjustments", usage.PostedCharges.GetValueOrDefault(currency) + otherReceivables.GetValueOrDefault(currency), IdentityUnit.Of(currency), []);
        }
    }

    /// <summary>Sum of a pool's entries on an account, of one template or of all but one.</summary>
    public Int128 PoolSum(PoolName pool, Currency currency, Account account, Func<string, bool> template)
    {
        Int128 sum = 0;
        foreach (var ((name, of, where, unit), amount) in poolSums)
            if (of == account && where == pool && unit == currency && template(name)) sum += amount;
        return sum;
    }

    private void Add(Transaction transaction)
    {
        transactions++;
        foreach (Money left in transaction.Imbalance())
            unbalanced.Add($"Transaction {transaction.Id} ({transaction.Template}) is out of balance by {left}.");
        foreach (Entry entry in transaction.Entries)
        {
            Currency currency = entry.Amount.Currency;
            balances[(entry.Account, currency)] = balances.GetValueOrDefault((entry.Account, currency)) + entry.Amount.Picos;
            if (entry.Account == Accounts.Receivables && !Templates.IsUsage(transaction.Template))
                otherReceivables[currency] = otherReceivables.GetValueOrDefault(currency) + entry.Amount.Picos;
            if (entry.Dimensions.Pool is { } pool)
            {
                var key = (transaction.Template, entry.Account, pool, currency);
                poolSums[key] = poolSums.GetValueOrDefault(key) + entry.Amount.Picos;
            }
        }
    }

    private void AddPostedRecords(Posting posting)
    {
        (Transaction transaction, ImmutableArray<RequestId> ids, ImmutableArray<UsageRecord> records) = posting;
        foreach (RequestId id in ids)
            postedIdSum = unchecked(postedIdSum + UsageCheck.Number(id));
        postedIds += ids.Length;
        if (!Templates.IsUsage(transaction.Template)) return;

        usagePostings++;
        if (records.IsEmpty || !AreOneGroup(records) || !AreThese(records, ids))
        {
            underived.Add($"Posting {transaction.Id} lists {ids.Length.ToString(System.Globalization.CultureInfo.InvariantCulture)} records; those found do not belong to it, or not together.");
            return;
        }
        Transaction expected = UsagePoster.Sum(records, string.Equals(transaction.Template, Templates.LateUsageName, StringComparison.Ordinal) ? transaction.At : default).Transaction;
        if (!expected.Entries.SequenceEqual(transaction.Entries) || expected.At != transaction.At || expected.Id != transaction.Id)
            underived.Add($"Posting {transaction.Id} differs from the sum of its records.");
    }

    private static bool AreOneGroup(ImmutableArray<UsageRecord> records)
    {
        UsageGroup first = UsagePoster.GroupOf(records[0]);
        foreach (UsageRecord record in records)
            if (UsagePoster.GroupOf(record) != first) return false;
        return true;
    }

    private static bool AreThese(ImmutableArray<UsageRecord> records, ImmutableArray<RequestId> ids) =>
        records.Length == ids.Length && (records.Select(r => r.Id).SequenceEqual(ids) || records.Select(r => r.Id).ToHashSet().SetEquals(ids));

    private async Task CompareRollupsAsync(IBookReader store, CancellationToken cancel)
    {
        var left = new Dictionary<(Account Account, Currency Currency), Int128>(balances);
        foreach (EntrySum sum in await store.SumEntriesAsync(new SumQuery(Period.All, GroupBy.None), cancel).ConfigureAwait(false))
        {
            rollupLines++;
            var key = (sum.Account, sum.Amount.Currency);
            if (!left.Remove(key, out Int128 balance) || balance != sum.Amount.Picos)
                rollups.Add($"The store sums {sum.Account} to {sum.Amount}; its entries make {new Money(balance, sum.Amount.Currency)}.");
        }
        foreach (var ((account, currency), balance) in left)
            rollups.Add($"The store has no sum for {account}; its entries make {new Money(balance, currency)}.");
    }
}
