using Qanat.Books;

namespace Qanat.Store.Tests;

/// <summary>The kit on PostgreSQL, and what is PostgreSQL's own.</summary>
public sealed class PostgresStoreTests : StoreTestKit
{
    private string? _connection;

    protected override async Task<IStore> OpenAsync()
    {
        _connection = PostgresServer.Shared.NewSchema();
        return await PostgresBookStore.OpenAsync(_connection, Clock);
    }

    protected override ValueTask RemoveAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Books_have_one_owner_and_the_second_is_refused()
    {
        StoreException refused = await Assert.ThrowsAsync<StoreException>(() => PostgresBookStore.OpenAsync(_connection!, Clock));
        Assert.Contains("in use by another process", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Books_opened_again_answer_the_same()
    {
        string schema = PostgresServer.Shared.NewSchema(), before;
        await using (PostgresBookStore store = await PostgresBookStore.OpenAsync(schema, Clock))
        {
            foreach (Fact fact in Facts.Directory) await store.AppendAsync(fact, Cancel);
            await store.AppendAsync(new HoldSettled(Facts.NewRecord()), Cancel);
            before = await Everything(store);
        }
        await using PostgresBookStore again = await PostgresBookStore.OpenAsync(schema, Clock);
        Assert.Equal(before, await Everything(again));
    }

    [Theory]
    [InlineData("\0")]
    [InlineData("\uF8F0\uF8F1\0\uF8F0")]
    [InlineData("\uF8F2\uF8F0\uF8F2")]
    [InlineData("plain, 漢字, \U0001F600")]
    public async Task Any_text_comes_back_as_it_was(string text)
    {
        await Append(new Audited(new AuditEntry(TestBooks.At(0), text, "what", "whom", null, text)));
        AuditEntry entry = Assert.Single(await Store.ReadAuditAsync(1, Cancel));
        Assert.Equal((text, text), (entry.Who, entry.After));
    }

    [Fact]
    public async Task Half_a_character_is_replaced_and_the_fact_is_kept()
    {
        await Append(new Audited(new AuditEntry(TestBooks.At(0), "a\ud800", "what", "whom", null, null)));
        Assert.Equal("a\ufffd", Assert.Single(await Store.ReadAuditAsync(1, Cancel)).Who);
    }

    /// <summary>Both schemas are written by hand: what one has, the other must have.</summary>
    [Fact]
    public async Task Both_engines_have_the_same_tables_with_the_same_columns()
    {
        using TestDirectory directory = new();
        await (await SqliteBookStore.OpenAsync(directory.Path, Clock)).DisposeAsync();
        using SqliteDatabase sqlite = SqliteDatabase.OpenReader(directory.File("qanat.db"));
        using PostgresDatabase postgres = new(_connection!);
        string[] columns = Lines(postgres["SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = current_schema()"]);
        Assert.Equal(Lines(sqlite["SELECT m.name || '.' || c.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.name NOT LIKE 'sqlite_%' AND m.name <> 'usage_of_tenants' AND m.type IN ('table', 'view')"]),
            columns.Where(column => column != "commits.number"));

        static string[] Lines(Statement rows)
        {
            List<string> lines = [];
            while (rows.Step()) lines.Add(rows.Text());
            return [.. lines.Order(StringComparer.Ordinal)];
        }
    }

    [Fact]
    public async Task A_schema_that_is_not_there_or_not_Qanats_is_refused()
    {
        string schema = PostgresServer.Shared.NewSchema();
        PostgresServer.Shared.Execute($"CREATE TABLE {schema.Split('=')[^1]}.theirs (x int)");
        Assert.Contains("other tables", (await Assert.ThrowsAsync<StoreException>(() => PostgresBookStore.OpenAsync(schema, Clock))).Message, StringComparison.Ordinal);
        Assert.Contains("not there", (await Assert.ThrowsAsync<StoreException>(() => PostgresBookStore.OpenAsync(schema + "_none", Clock))).Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<StoreException>(() => PostgresBookStore.OpenAsync("Host=127.0.0.1;Port=1;Timeout=1", Clock));
        await Assert.ThrowsAsync<StoreException>(() => PostgresBookStore.OpenAsync("no connection string", Clock));
    }
}
