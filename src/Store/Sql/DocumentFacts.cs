using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>Documents as rows. A change puts a new row in the place of the old one, so that the row's number is the document's version.</summary>
internal sealed class DocumentFacts(SqlDatabase database)
{
    private const string IsKey = "kind = ? AND tenant = ? AND id = ?";
    private const string IsAlive = "(expires_at IS NULL OR expires_at > ?)";

    public void Write(DocumentChange change) => change.Result = change switch
    {
        DocumentAdded added => Add(added),
        DocumentReplaced replaced => Replace(replaced),
        DocumentDeleted deleted => Delete(deleted),
        ExpiredDeleted expired => DeleteExpired(expired),
        _ => throw new InvalidOperationException($"This store does not know the change {change.GetType().Name}."),
    };

    private long? Add(DocumentAdded added)
    {
        NewDocument document = added.Document;
        Key(database[$"DELETE FROM documents WHERE {IsKey} AND NOT {IsAlive}"], document.Key).Add(added.Now).Run();
        added.IsBeyond = document.Within is { } bounds && !bounds.Hold(With(document));
        return added.IsBeyond ? null : Insert(document.Key, document.CreatedAt, document.ExpiresAt, document.Content.Span);
    }

    /// <summary>What there would be with it.</summary>
    private DocumentSum With(NewDocument document)
    {
        DocumentSum now = DocumentRows.Sum(database, document.Key.Kind, document.Key.Tenant);
        return new DocumentSum(now.Documents + 1, now.ContentBytes + document.Content.Length);
    }

    private long? Replace(DocumentReplaced replaced)
    {
        long? createdAt = Key(database[$"DELETE FROM documents WHERE {IsKey} AND no = ? AND {IsAlive} RETURNING created_at"], replaced.Key).Add(replaced.Expected.Value).Add(replaced.Now).Scalar();
        return createdAt is long at ? Insert(replaced.Key, new Instant(at), replaced.ExpiresAt, replaced.Content.Span) : null;
    }

    private long? Delete(DocumentDeleted deleted)
    {
        Statement delete = deleted.Expected is DocumentVersion expected
            ? Key(database[$"DELETE FROM documents WHERE {IsKey} AND {IsAlive} AND no = ?"], deleted.Key).Add(deleted.Now).Add(expected.Value)
            : Key(database[$"DELETE FROM documents WHERE {IsKey} AND {IsAlive}"], deleted.Key).Add(deleted.Now);
        return delete.Run() == 0 ? null : 1;
    }

    private long? DeleteExpired(ExpiredDeleted expired) =>
        database["DELETE FROM documents WHERE no IN (SELECT no FROM documents WHERE expires_at <= ? ORDER BY expires_at LIMIT ?)"].Add(expired.Now).Add(Math.Max(0, expired.DocumentsMax)).Run();

    private long? Insert(DocumentKey key, Instant createdAt, Instant? expiresAt, ReadOnlySpan<byte> content) =>
        Key(database["INSERT INTO documents (kind, tenant, id, created_at, expires_at, content) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING no"], key)
            .Add(createdAt).Add(expiresAt).Add(content).Scalar();

    private static Statement Key(Statement statement, DocumentKey key) => statement.Add(key.Kind).Add(DocumentRows.Of(key.Tenant)).Add(key.Id);
}

/// <summary>Questions about documents; each sees only those that have not expired.</summary>
internal static class DocumentRows
{
    private const string Columns = "SELECT kind, tenant, id, no, created_at, expires_at, content FROM documents";

    /// <summary>The installation's own documents stand under the empty id.</summary>
    public static Guid Of(TenantId? tenant) => tenant?.Value ?? Guid.Empty;

    public static StoredDocument? Find(Reader reader, DocumentKey key, Instant now)
    {
        Filter filter = new Filter().And("kind = ? AND tenant = ? AND id = ?", key.Kind, Of(key.Tenant), key.Id).And("(expires_at IS NULL OR expires_at > ?)", now);
        Statement rows = filter.Bind(reader.Database[Columns + filter.Sql]);
        StoredDocument? found = rows.Step() ? Read(rows) : null;
        rows.Reset();
        return found;
    }

    public static ImmutableArray<StoredDocument> List(Reader reader, DocumentQuery query, Instant now)
    {
        Filter filter = new Filter().And("kind = ?", query.Kind);
        if (query.Tenant is TenantId tenant) filter.And("tenant = ?", tenant.Value);
        if (query.After is DocumentPosition after)
            filter.And($"(created_at, id, tenant) {(query.NewestFirst ? '<' : '>')} (?, ?, ?)", after.CreatedAt, after.Id, Of(after.Tenant));
        filter.And("(expires_at IS NULL OR expires_at > ?)", now);
        string order = query.NewestFirst ? "created_at DESC, id DESC, tenant DESC" : "created_at, id, tenant";
        var page = ImmutableArray.CreateBuilder<StoredDocument>();
        Statement rows = filter.Bind(reader.Database[$"{Columns}{filter.Sql} ORDER BY {order} LIMIT ?"]).Add(Math.Max(0, query.Limit));
        while (rows.Step()) page.Add(Read(rows));
        rows.Reset();
        return page.ToImmutable();
    }

    /// <summary>The database itself keeps the sums, so that they hold whoever adds or deletes.</summary>
    public static DocumentSum Sum(SqlDatabase database, string kind, TenantId? tenant)
    {
        Statement row = database["SELECT documents, bytes FROM document_sums WHERE kind = ? AND tenant = ?"].Add(kind).Add(Of(tenant));
        DocumentSum sum = row.Step() ? new DocumentSum(row.Long(), row.Long()) : default;
        row.Reset();
        return sum;
    }

    private static StoredDocument Read(Statement row)
    {
        string kind = row.Text();
        Guid tenant = row.Guid();
        string id = row.Text();
        return new StoredDocument(new DocumentKey(kind, tenant == Guid.Empty ? null : new TenantId(tenant), id), new DocumentVersion(row.Long()), row.Instant(), row.InstantOrNull(), row.Bytes());
    }
}
