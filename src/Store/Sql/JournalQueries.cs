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
    /// <summary>Some transactions, by their numbers.</summary>
    public static Dictionary<long, Transaction> ReadAll(Reader reader, IReadOnlyCollection<long> numbers)
    {
        Dictionary<long, ImmutableArray<Entry>.Builder> entries = numbers.ToDictionary(no => no, _ => ImmutableArray.CreateBuilder<Entry>());
        foreach (Statement line in reader.Database.WithNumbers($"SELECT txn, {Line} FROM entries", "txn", numbers, "ORDER BY txn, line"))
            entries[line.Long()].Add(ReadLine(line, reader.Identities));
        Dictionary<long, Transaction> read = new(numbers.Count);
        foreach (Statement row in reader.Database.WithNumbers("SELECT no, id, at, template, memo FROM transactions", "no", numbers))
        {
            long no = row.Long();
            read[no] = new Transaction(new TransactionId(row.Guid()), row.Instant(), reader.Identities.Name(row.Long()), row.Text(), entries[no].DrainToImmutable());
        }
        return read;
    }

    private const string Line = "account, amount_milli, amount_pico, amount_currency, tenant, project, model, deployment, pool";

    private static Entry ReadLine(Statement line, RowIdentities identities) => new(new Account(identities.Name(line.Long())), line.Money(), new Dimensions(identities.Tenant(line.LongOrNull()),
        identities.Project(line.LongOrNull()), identities.Model(line.LongOrNull()), identities.Deployment(line.LongOrNull()), identities.Pool(line.LongOrNull())));

    public static Transaction Read(SqlDatabase database, RowIdentities identities, long no)
    {
        ImmutableArray<Entry>.Builder entries = ImmutableArray.CreateBuilder<Entry>();
        Statement lines = database[$"SELECT {Line} FROM entries WHERE txn = ? ORDER BY line"].Add(no);
        while (lines.Step()) entries.Add(ReadLine(lines, identities));
        lines.Reset();
        Statement row = database["SELECT id, at, template, memo FROM transactions WHERE no = ?"].Add(no);
        if (!row.Step()) throw new InvalidOperationException("The transaction was just found.");
        Transaction transaction = new(new TransactionId(row.Guid()), row.Instant(), identities.Name(row.Long()), row.Text(), entries.ToImmutable());
        row.Reset();
        return transaction;
    }
}
