using Qanat.Books;

namespace Qanat.Store;

/// <summary>Transactions with the records they sum up, declarations, and the audit trail: added, never changed.
/// Transactions of a batch are looked up before it and written at its end, all together.</summary>
internal sealed class JournalFacts(SqlDatabase database, RowNumbers numbers, RowIdentities identities, EntryRollups rollups)
{
    private readonly Dictionary<Guid, long> _known = [];
    private readonly List<(long No, Transaction Transaction)> _new = [];
    private readonly List<(Guid Record, long Transaction)> _posted = [];
    private long? _lastNo;

    /// <summary>After a batch, or after a rollback.</summary>
    public void Forget()
    {
        _known.Clear();
        _new.Clear();
        _posted.Clear();
        _lastNo = null;
    }

    /// <summary>Looks up which transactions are in the books.</summary>
    public void Load(HashSet<Guid> transactions)
    {
        _known.Clear();
        if (transactions.Count == 0) return;
        foreach (Statement row in database.WithIds("SELECT id, no FROM transactions", transactions)) _known[row.Guid()] = row.Long();
    }

    /// <exception cref="StoreException">The entries do not sum to zero, a record is unknown or posted by another transaction, or the id is another transaction's.</exception>
    public void Post(TransactionPosted posted)
    {
        Transaction transaction = posted.Transaction;
        CheckBalance(transaction);
        if (_known.TryGetValue(transaction.Id.Value, out long known))
        {
            CheckSame(posted, known);
            return;
        }
        _lastNo ??= database["SELECT max(no) FROM transactions"].Scalar() ?? 0;
        long no = (_lastNo += 1).Value;
        _known[transaction.Id.Value] = no;
        _new.Add((no, transaction));
        foreach (RequestId record in posted.Records) _posted.Add((record.Value, no));
    }

    /// <summary>An entry that is there already, the same in all its parts, changes nothing.</summary>
    public void Audit(AuditEntry entry)
    {
        Statement same = database["""
            SELECT 1 FROM audit WHERE at = ? AND who = ? AND action = ? AND subject = ? AND before IS NOT DISTINCT FROM ? AND after IS NOT DISTINCT FROM ?
            """];
        if (Add(same, entry).Scalar() is null) Add(database["INSERT INTO audit (at, who, action, subject, before, after) VALUES (?, ?, ?, ?, ?, ?)"], entry).Run();

        static Statement Add(Statement statement, AuditEntry entry) =>
            statement.Add(entry.At).Add(entry.Who).Add(entry.Action).Add(entry.Subject).Add(entry.Before).Add(entry.After);
    }

    /// <summary>The id is made from the text, so that the same id is the same declaration.</summary>
    public void Declare(Declaration declaration)
    {
        if (database["INSERT INTO declarations (id, at, text) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING"]
            .Add(declaration.Id.Value).Add(declaration.At).Add(declaration.Text).Run() == 1) return;
        if (database["SELECT 1 FROM declarations WHERE id = ? AND text = ?"].Add(declaration.Id.Value).Add(declaration.Text).Scalar() is null)
            throw new StoreException($"The declaration {declaration.Id} is there already with another text.");
    }

    /// <summary>Writes the transactions since the last time. The records they sum up must be written before.</summary>
    public void Flush()
    {
        if (_new.Count == 0) return;
        IRowWriter transactions = database.Rows("transactions", "no, id, at, template, memo");
        foreach ((long no, Transaction transaction) in _new)
        {
            transactions.Row.Add(no).Add(transaction.Id.Value).Add(transaction.At).Add(numbers.Of(transaction.Template)).Add(transaction.Memo);
            transactions.EndRow();
        }
        transactions.Flush();
        IRowWriter entries = database.Rows("entries", "txn, line, at, account, amount_milli, amount_pico, amount_currency, tenant, project, model, deployment, pool");
        foreach ((long no, Transaction transaction) in _new) Write(entries, transaction, no);
        entries.Flush();
        Mark();
        _new.Clear();
        _posted.Clear();
    }

    private void Write(IRowWriter entries, Transaction transaction, long no)
    {
        for (int line = 0; line < transaction.Entries.Length; line++)
        {
            Entry entry = transaction.Entries[line];
            EntryRow row = new(numbers.Of(entry.Account.Path), numbers.Of(entry.Dimensions.Tenant) ?? 0, numbers.Of(entry.Dimensions.Project) ?? 0,
                numbers.Of(entry.Dimensions.Model) ?? 0, numbers.Of(entry.Dimensions.Pool) ?? 0);
            entries.Row.Add(no).Add(line).Add(transaction.At).Add(row.Account).Add(entry.Amount)
                .AddUnlessZero(row.Tenant).AddUnlessZero(row.Project).AddUnlessZero(row.Model)
                .Add(numbers.Of(entry.Dimensions.Deployment)).AddUnlessZero(row.Pool);
            entries.EndRow();
            rollups.Add(transaction.At, row, entry.Amount);
        }
    }

    /// <summary>Says of each record which transaction sums it up.</summary>
    private void Mark()
    {
        if (_posted.Count == 0) return;
        Dictionary<Guid, long> numberOf = PostedRecords.NumbersOf(database, [.. _posted.Select(posted => posted.Record)]);
        IRowWriter marks = database.Rows("posted", "record, txn", "ON CONFLICT DO NOTHING");
        foreach ((Guid record, long transaction) in _posted)
        {
            if (!numberOf.TryGetValue(record, out long no)) throw NotThere(record, transaction);
            marks.Row.Add(no).Add(transaction);
            marks.EndRow();
        }
        if (marks.Flush() != _posted.Count) throw NotThere(_posted[0].Record, _posted[0].Transaction);
        PostedRecords.Advance(database);
    }

    private StoreException NotThere(Guid record, long transaction) => new(
        $"The record {record}, or another of this posting, is not in the books or is posted by another transaction: {_new.First(added => added.No == transaction).Transaction.Id} is not posted.");

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

    private void CheckSame(TransactionPosted posted, long no)
    {
        Transaction given = posted.Transaction;
        Transaction known = _new.Find(added => added.No == no).Transaction ?? TransactionRows.Read(database, identities, no);
        bool same = known.At == given.At && known.Template == given.Template && known.Memo == given.Memo && known.Entries.SequenceEqual(given.Entries);
        same &= PostedRecords.Of(database, no).Concat(_posted.Where(mark => mark.Transaction == no).Select(mark => mark.Record)).ToHashSet()
            .SetEquals(posted.Records.Select(record => record.Value));
        if (!same) throw new StoreException($"The transaction {given.Id} is posted already with other content: correct it by another transaction.");
    }
}
