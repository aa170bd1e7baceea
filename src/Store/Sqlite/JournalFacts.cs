using Qanat.Books;

namespace Qanat.Store;

/// <summary>Transactions with the records they sum up, declarations, and the audit trail: added, never changed.</summary>
internal sealed class JournalFacts(SqliteDatabase database, RowNumbers numbers, RowIdentities identities, EntryRollups rollups)
{
    /// <exception cref="StoreException">The entries do not sum to zero, a record is unknown or posted by another transaction, or the id is another transaction's.</exception>
    public void Post(TransactionPosted posted)
    {
        Transaction transaction = posted.Transaction;
        CheckBalance(transaction);
        int added = database["INSERT INTO transactions (id, at, template, memo) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"]
            .Add(transaction.Id.Value).Add(transaction.At).Add(numbers.Of(transaction.Template)).Add(transaction.Memo).Run();
        long no = database["SELECT no FROM transactions WHERE id = ?"].Add(transaction.Id.Value).Scalar()!.Value;
        if (added == 0)
        {
            CheckSame(posted, no);
            return;
        }
        for (int line = 0; line < transaction.Entries.Length; line++) Add(transaction, no, line);
        foreach (RequestId record in posted.Records)
        {
            if (database["UPDATE usage SET txn = ? WHERE id = ? AND txn IS NULL"].Add(no).Add(record.Value).Run() == 0)
                throw new StoreException($"The record {record} is not in the books or is posted by another transaction: {transaction.Id} is not posted.");
        }
    }

    /// <summary>An entry that is there already, the same in all its parts, changes nothing.</summary>
    public void Audit(AuditEntry entry) =>
        database["""
            INSERT INTO audit (at, who, action, subject, before, after) SELECT ?1, ?2, ?3, ?4, ?5, ?6
            WHERE NOT EXISTS (SELECT 1 FROM audit WHERE at = ?1 AND who = ?2 AND action = ?3 AND subject = ?4 AND before IS ?5 AND after IS ?6)
            """].Add(entry.At).Add(entry.Who).Add(entry.Action).Add(entry.Subject).Add(entry.Before).Add(entry.After).Run();

    /// <summary>The id is made from the text, so that the same id is the same declaration.</summary>
    public void Declare(Declaration declaration)
    {
        if (database["INSERT INTO declarations (id, at, text) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING"]
            .Add(declaration.Id.Value).Add(declaration.At).Add(declaration.Text).Run() == 1) return;
        if (database["SELECT 1 FROM declarations WHERE id = ? AND text = ?"].Add(declaration.Id.Value).Add(declaration.Text).Scalar() is null)
            throw new StoreException($"The declaration {declaration.Id} is there already with another text.");
    }

    private static void CheckBalance(Transaction transaction)
    {
        Dictionary<Currency, Money> sums = [];
        foreach (Entry entry in transaction.Entries)
            sums[entry.Amount.Currency] = sums.TryGetValue(entry.Amount.Currency, out Money sum) ? sum + entry.Amount : entry.Amount;
        foreach (Money sum in sums.Values)
        {
            if (!sum.IsZero) throw new StoreException($"The transaction {transaction.Id} does not balance: its entries sum to {sum}.");
        }
    }

    private void Add(Transaction transaction, long no, int line)
    {
        Entry entry = transaction.Entries[line];
        EntryRow row = new(numbers.Of(entry.Account.Path), numbers.Of(entry.Dimensions.Tenant) ?? 0, numbers.Of(entry.Dimensions.Project) ?? 0,
            numbers.Of(entry.Dimensions.Model) ?? 0, numbers.Of(entry.Dimensions.Pool) ?? 0);
        database["""
            INSERT INTO entries (txn, line, at, account, amount_milli, amount_pico, amount_currency, tenant, project, model, deployment, pool)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """].Add(no).Add(line).Add(transaction.At).Add(row.Account).Add(entry.Amount)
            .AddUnlessZero(row.Tenant).AddUnlessZero(row.Project).AddUnlessZero(row.Model)
            .Add(numbers.Of(entry.Dimensions.Deployment)).AddUnlessZero(row.Pool).Run();
        rollups.Add(transaction.At, row, entry.Amount);
    }

    private void CheckSame(TransactionPosted posted, long no)
    {
        Transaction known = TransactionRows.Read(database, identities, no);
        Transaction given = posted.Transaction;
        bool same = known.At == given.At && known.Template == given.Template && known.Memo == given.Memo && known.Entries.SequenceEqual(given.Entries);
        HashSet<Guid> records = [.. posted.Records.Select(record => record.Value)];
        same &= database["SELECT count(*) FROM usage WHERE txn = ?"].Add(no).Scalar() == records.Count;
        foreach (Guid record in records)
            same &= database["SELECT 1 FROM usage WHERE id = ? AND txn = ?"].Add(record).Add(no).Scalar() is not null;
        if (!same) throw new StoreException($"The transaction {given.Id} is posted already with other content: correct it by another transaction.");
    }
}
