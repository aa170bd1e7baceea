using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>Transactions and the audit trail.</summary>
internal static class JournalQueries
{
    /// <summary>Whole transactions that have an entry with all that is asked for.</summary>
    public static IEnumerable<Transaction> Stream(Reader reader, JournalQuery query)
    {
        Filter filter = new Filter().Within("at", query.Period);
        Filter entries = new Filter().Within("at", query.Period);
        if (query.Account is Account account) entries.And("account = (SELECT no FROM names WHERE text = ?)", account.Path);
        entries.About(query.Tenant, query.Project, query.Model, query.Pool);
        if ((query.Account, query.Tenant, query.Project, query.Model, query.Pool) != default)
            filter.And($"no IN (SELECT txn FROM entries{entries.Sql})").Take(entries);
        Statement rows = filter.Bind(reader.Database.Streamed($"SELECT no FROM transactions{filter.Sql} ORDER BY at, id LIMIT ?")).Add(Math.Max(0, query.Limit));
        while (rows.Step()) yield return TransactionRows.Read(reader.Database, reader.Identities, rows.Long());
        rows.Reset();
    }

    /// <summary>All transactions with their records, side by side.</summary>
    public static IEnumerable<Posting> Postings(Reader reader)
    {
        Statement rows = reader.Database.Streamed("SELECT no FROM transactions ORDER BY at, id");
        while (rows.Step())
        {
            long no = rows.Long();
            ImmutableArray<UsageRecord>.Builder records = ImmutableArray.CreateBuilder<UsageRecord>();
            ImmutableArray<RequestId>.Builder ids = ImmutableArray.CreateBuilder<RequestId>();
            Statement posted = reader.Database[UsageRows.Select + " WHERE no IN (SELECT record FROM posted WHERE txn = ?)"].Add(no);
            while (posted.Step())
            {
                UsageRecord record = UsageRows.Read(posted, reader.Identities);
                records.Add(record);
                ids.Add(record.Id);
            }
            posted.Reset();
            yield return new Posting(TransactionRows.Read(reader.Database, reader.Identities, no), ids.DrainToImmutable(), records.DrainToImmutable());
        }
        rows.Reset();
    }

    public static ImmutableArray<AuditEntry> Audit(Reader reader, int limit)
    {
        ImmutableArray<AuditEntry>.Builder entries = ImmutableArray.CreateBuilder<AuditEntry>();
        Statement rows = reader.Database["SELECT at, who, action, subject, before, after FROM audit ORDER BY no DESC LIMIT ?"].Add(Math.Max(0, limit));
        while (rows.Step()) entries.Add(new AuditEntry(rows.Instant(), rows.Text(), rows.Text(), rows.Text(), rows.TextOrNull(), rows.TextOrNull()));
        rows.Reset();
        return entries.ToImmutable();
    }
}

/// <summary>Rows of transactions as the domain's records.</summary>
internal static class TransactionRows
{
    public static Transaction Read(SqlDatabase database, RowIdentities identities, long no)
    {
        ImmutableArray<Entry>.Builder entries = ImmutableArray.CreateBuilder<Entry>();
        Statement lines = database["""
            SELECT account, amount_milli, amount_pico, amount_currency, tenant, project, model, deployment, pool FROM entries WHERE txn = ? ORDER BY line
            """].Add(no);
        while (lines.Step())
        {
            entries.Add(new Entry(new Account(identities.Name(lines.Long())), lines.Money(), new Dimensions(identities.Tenant(lines.LongOrNull()),
                identities.Project(lines.LongOrNull()), identities.Model(lines.LongOrNull()), identities.Deployment(lines.LongOrNull()), identities.Pool(lines.LongOrNull()))));
        }
        lines.Reset();
        Statement row = database["SELECT id, at, template, memo FROM transactions WHERE no = ?"].Add(no);
        if (!row.Step()) throw new InvalidOperationException("The transaction was just found.");
        Transaction transaction = new(new TransactionId(row.Guid()), row.Instant(), identities.Name(row.Long()), row.Text(), entries.ToImmutable());
        row.Reset();
        return transaction;
    }
}
