using System.Globalization;
using Microsoft.Data.Sqlite;
using Qanat.Books;

namespace Qanat.Store.Tests;

/// <summary>The file and the directory: opening again, owning it alone, migrations, backup, a full disk, damage.</summary>
public sealed class SqliteFileTests : IDisposable
{
    private readonly TestDirectory _directory = new();
    private readonly TestBooks _facts = new();
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    private Task<SqliteBookStore> Open(string? directory = null) => SqliteBookStore.OpenAsync(directory ?? _directory.Path, TimeProvider.System);

    private async Task Fill(SqliteBookStore store, int records = 20)
    {
        foreach (Fact fact in _facts.Directory) await store.AppendAsync(fact, Cancel);
        Hold[] holds = [.. Enumerable.Range(0, records).Select(index => _facts.NewHold(TestBooks.At(index * 1_000)))];
        foreach (Hold hold in holds) await store.AppendAsync(new HoldPlaced(hold), Cancel);
        await store.AppendAsync(TestBooks.Steps([TestBooks.ProgressOf(holds[0], 5)], TestBooks.Stretch(0, 100, busy: 8_500)), Cancel);
        await store.AppendAsync(new Together([.. holds[1..].Select(hold => new HoldSettled(_facts.RecordOf(hold)))]), Cancel);
        await store.AppendAsync(new TransactionPosted(_facts.NewTransaction(), [holds[1].Id]), Cancel);
    }

    [Fact]
    public async Task A_store_opened_again_answers_the_same()
    {
        string before;
        await using (SqliteBookStore store = await Open())
        {
            await Fill(store);
            before = await StoreTestKit.Everything(store);
        }
        Assert.Equal(["qanat.db", "qanat.lock"], Directory.GetFiles(_directory.Path).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        await using SqliteBookStore again = await Open();
        Assert.Equal(before, await StoreTestKit.Everything(again));
        Assert.Empty(await again.VerifyAsync(Cancel));
    }

    [Fact]
    public async Task The_log_stays_bounded_however_much_is_written_and_whoever_reads()
    {
        const int LogBytes = 256 << 10;
        await using SqliteBookStore store = await SqliteBookStore.OpenAsync(_directory.Path, TimeProvider.System, StoreOptions.Default with { LogBytesBegin = LogBytes });
        await Fill(store, 300);
        FileInfo log = new(_directory.File("qanat.db-wal"));
        int written = 0;
        await foreach (UsageRecord record in store.StreamUsageAsync(new UsageQuery(Period.All), Cancel))
        {
            await store.AppendAsync(new HoldSettled(_facts.NewRecord()), Cancel);
            written++;
        }
        log.Refresh();
        long whileReading = log.Length;
        for (int index = 0; index < 1_500; index++) await store.AppendAsync(new HoldSettled(_facts.NewRecord()), Cancel);
        log.Refresh();
        // Each commit writes at least four pages: without copying the log would be larger than this by far.
        Assert.InRange(log.Length, 1, whileReading + 6 * LogBytes);
        Assert.True(1_500 * 4 * 4096 > whileReading + 6 * LogBytes);
        Assert.Equal(299 + written + 1_500, (await store.SumUsageAsync(new SumQuery(Period.All, GroupBy.None), Cancel)).Single().Requests);
    }

    [Fact]
    public async Task A_directory_has_one_owner_and_the_second_is_told_who()
    {
        await using (await Open())
        {
            StoreException refused = await Assert.ThrowsAsync<StoreException>(() => Open());
            Assert.Contains(Environment.ProcessId.ToString(CultureInfo.InvariantCulture), refused.Message, StringComparison.Ordinal);
        }
        await using SqliteBookStore next = await Open();
    }

    [Fact]
    public async Task A_closed_store_refuses_facts_and_questions()
    {
        SqliteBookStore store = await Open();
        await store.DisposeAsync();
        await Assert.ThrowsAnyAsync<StoreException>(() => store.AppendAsync(new TenantSaved(_facts.Tenant), Cancel));
        await Assert.ThrowsAsync<StoreClosedException>(() => store.ReadDirectoryAsync(Cancel));
    }

    [Fact]
    public async Task Closing_ends_streams_and_whoever_waits_for_a_reader()
    {
        SqliteBookStore store = await SqliteBookStore.OpenAsync(_directory.Path, TimeProvider.System, StoreOptions.Default with { ReadersMax = 1 });
        await Fill(store, 600);
        await using IAsyncEnumerator<UsageRecord> stream = store.StreamUsageAsync(new UsageQuery(Period.All), Cancel).GetAsyncEnumerator(Cancel);
        Assert.True(await stream.MoveNextAsync());
        Task<UsageRecord[]> waiting = store.StreamUsageAsync(new UsageQuery(Period.All), Cancel).ToArrayAsync(Cancel).AsTask();
        Task closing = store.DisposeAsync().AsTask();
        await Assert.ThrowsAsync<StoreClosedException>(() => waiting);
        await Assert.ThrowsAsync<StoreClosedException>(async () =>
        {
            while (await stream.MoveNextAsync()) continue;
        });
        await closing;
    }

    [Fact]
    public async Task Whoever_closes_the_readers_may_be_the_one_who_still_reads()
    {
        await using (SqliteBookStore store = await Open()) await Fill(store);
        ReaderPool readers = new(() => SqliteDatabase.OpenReader(_directory.File(SqliteBookStore.FileName)), readersMax: 1);
        ReaderPool.HeldReader held = await readers.BeginAsync(Cancel);
        Task closing = readers.DisposeAsync().AsTask();
        Assert.False(closing.IsCompleted);
        held.Dispose();
        await closing;
    }

    [Fact]
    public async Task A_question_can_be_asked_for_each_row_of_a_stream_even_with_one_reader()
    {
        await using SqliteBookStore store = await SqliteBookStore.OpenAsync(_directory.Path, TimeProvider.System, StoreOptions.Default with { ReadersMax = 1 });
        await Fill(store);
        await foreach (UsageRecord record in store.StreamUsageAsync(new UsageQuery(Period.All), Cancel))
            Assert.Equal(record, Assert.Single(await store.ReadUsageAsync(new UsageQuery(Period.All, Id: record.Id), Cancel)));
    }

    [Fact]
    public async Task A_backup_made_while_writing_goes_on_is_a_whole_store()
    {
        await using SqliteBookStore store = await Open();
        await Fill(store);
        string backup = _directory.File("backup.db");
        Task[] writing = [.. Enumerable.Range(0, 200).Select(index => store.AppendAsync(new Together([new HoldSettled(_facts.NewRecord()),
            new Audited(new AuditEntry(TestBooks.At(index), "a", "b", "c", null, null))]), Cancel))];
        await store.BackupAsync(backup, Cancel);
        await Task.WhenAll(writing);
        await Assert.ThrowsAsync<StoreException>(() => store.BackupAsync(backup, Cancel));
        Assert.False(File.Exists(backup + ".partial"));

        Directory.CreateDirectory(_directory.File("restored"));
        File.Copy(backup, _directory.File("restored/qanat.db"));
        await using SqliteBookStore restored = await Open(_directory.File("restored"));
        Assert.Empty(await restored.VerifyAsync(Cancel));
        int audits = (await restored.ReadAuditAsync(int.MaxValue, Cancel)).Length;
        Assert.Equal(19 + audits, (await restored.SumUsageAsync(new SumQuery(Period.All, GroupBy.None), Cancel)).Single().Requests);
        await store.BackupAsync(_directory.File("later.db"), Cancel);
        File.Copy(_directory.File("later.db"), Path.Combine(Directory.CreateDirectory(_directory.File("later")).FullName, "qanat.db"));
        await using SqliteBookStore later = await Open(_directory.File("later"));
        Assert.Equal(await StoreTestKit.Everything(store), await StoreTestKit.Everything(later));
    }

    [Fact]
    public async Task A_full_disk_refuses_whole_facts_and_leaves_the_rest_right()
    {
        string before;
        int stored = 0;
        await using (SqliteBookStore store = await SqliteBookStore.OpenAsync(_directory.Path, TimeProvider.System, StoreOptions.Default with { DatabaseBytesMax = 600 * 1024 }))
        {
            await Fill(store, 2);
            StoreException? full = null;
            for (; full is null; stored += 100)
            {
                Together facts = new([.. Enumerable.Range(0, 100).Select(index => new HoldSettled(_facts.NewRecord(TestBooks.At(stored + index))))]);
                full = await Record.ExceptionAsync(() => store.AppendAsync(facts, Cancel)) as StoreException;
            }
            Assert.Contains("full", full.Message, StringComparison.Ordinal);
            stored -= 100;
            Assert.True(stored > 100);
            before = await StoreTestKit.Everything(store);
            Assert.Equal(stored + 1, (await store.SumUsageAsync(new SumQuery(Period.All, GroupBy.None), Cancel)).Single().Requests);
            Assert.Empty(await store.VerifyAsync(Cancel));
        }
        await using SqliteBookStore roomy = await Open();
        Assert.Equal(before, await StoreTestKit.Everything(roomy));
        await roomy.AppendAsync(new Together([.. Enumerable.Range(0, 100).Select(_ => new HoldSettled(_facts.NewRecord()))]), Cancel);
    }

    [Theory]
    [InlineData("UPDATE usage SET output = output + 1 WHERE no = 3", "sums")]
    [InlineData("UPDATE usage_days SET charge_pico = (charge_pico + 1) % 1000000000", "Daily sums")]
    [InlineData("DELETE FROM usage_hours WHERE start = (SELECT min(start) FROM usage_hours)", "Hourly sums")]
    [InlineData("DELETE FROM entries WHERE line = 0", "zero")]
    [InlineData("DELETE FROM entries", "Totals of entries")]
    [InlineData("UPDATE entry_days SET entries = entries + 1", "Daily sums of entries")]
    [InlineData("DELETE FROM transactions", "not there")]
    [InlineData("UPDATE entries SET at = at + 1", "another time")]
    [InlineData("INSERT INTO capacity SELECT pool, to_at + 5, to_at + 9, state, 0, to_at + 5, 0 FROM capacity", "Capacity")]
    [InlineData("INSERT INTO releases SELECT id, tenant, 0, '' FROM holds", "released")]
    [InlineData("INSERT INTO holds SELECT id, placed_at, tenant, project, key, NULL, model, deployment, pool, 0, NULL, 0, 0, 'USD', 0, 0, 0, 0, 0, 0, 0, NULL FROM usage", "open and settled")]
    [InlineData("PRAGMA ignore_check_constraints = ON; UPDATE usage SET charge_pico = 1000000000", "damaged")]
    public async Task The_check_finds_what_was_tampered_with(string tampering, string finding)
    {
        await using (SqliteBookStore store = await SqliteBookStore.OpenAsync(_directory.Path, TimeProvider.System, StoreOptions.Default with { UnsummedRecordsMax = 1 }))
        {
            await Fill(store);
            // Sums and records by tenant go into their tables with the commits that follow.
            for (int index = 0; index < 3; index++) await store.AppendAsync(new HoldSettled(_facts.NewRecord()), Cancel);
        }
        Execute(_directory.File("qanat.db"), "PRAGMA foreign_keys = OFF; " + tampering);
        await using SqliteBookStore again = await Open();
        Assert.Contains(await again.VerifyAsync(Cancel), text => text.Contains(finding, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Clearing_the_demo_is_refused_where_it_would_leave_something_that_refers_to_it()
    {
        Tenant demo = _facts.NewTenant("demo", isDemo: true);
        Project project = _facts.NewProject(demo);
        await using (SqliteBookStore store = await Open())
        {
            foreach (Fact fact in _facts.Directory.Concat([new TenantSaved(demo), new ProjectSaved(project)])) await store.AppendAsync(fact, Cancel);
        }
        Execute(_directory.File("qanat.db"), "PRAGMA foreign_keys = OFF; UPDATE keys SET project = (SELECT max(no) FROM projects)");
        await using SqliteBookStore again = await Open();
        await Assert.ThrowsAsync<StoreException>(() => again.AppendAsync(new DemoCleared(TestBooks.At(0), null), Cancel));
        await again.AppendAsync(new ProjectSaved(_facts.NewProject(_facts.Tenant)), Cancel);
        DirectorySnapshot directory = await again.ReadDirectoryAsync(Cancel);
        Assert.Equal((2, 3), (directory.Tenants.Length, directory.Projects.Length));
    }

    [Fact]
    public async Task Migrations_go_forward_from_what_is_there_and_are_applied_once()
    {
        Migration first = new(1, "one", "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (7)");
        Migration second = new(2, "two", "CREATE TABLE b (x INTEGER) STRICT; INSERT INTO b SELECT x + 1 FROM a");
        await Migrate(first);
        await Migrate(first, second);
        await Migrate(first, second);
        Assert.Equal(8, Execute(_directory.File("qanat.db"), "SELECT sum(x) FROM b"));
        Assert.Equal(2, Execute(_directory.File("qanat.db"), "SELECT count(*) FROM migrations WHERE applied_at > 0 AND length(checksum) = 64"));
    }

    [Fact]
    public async Task A_migration_that_fails_leaves_nothing_of_itself()
    {
        Migration first = new(1, "one", "CREATE TABLE a (x INTEGER) STRICT");
        await Migrate(first);
        await Assert.ThrowsAsync<StoreException>(() => Migrate(first, new Migration(2, "two", "CREATE TABLE b (x INTEGER) STRICT; INSERT INTO nowhere VALUES (1)")));
        await Migrate(first, new Migration(2, "two", "CREATE TABLE b (x INTEGER) STRICT"));
    }

    [Fact]
    public async Task Books_from_a_newer_program_or_another_history_are_refused()
    {
        Migration first = new(1, "one", "CREATE TABLE a (x INTEGER) STRICT"), second = new(2, "two", "CREATE TABLE b (x INTEGER) STRICT");
        await Migrate(first, second);
        Assert.Contains("newer", (await Assert.ThrowsAsync<StoreException>(() => Migrate(first))).Message, StringComparison.Ordinal);
        Assert.Contains("0002_two", (await Assert.ThrowsAsync<StoreException>(() => Migrate(first, second with { Sql = "", Checksum = "00" }))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_database_that_is_not_Qanats_is_refused_and_left_alone()
    {
        Execute(_directory.File("qanat.db"), "CREATE TABLE theirs (x)");
        byte[] before = await File.ReadAllBytesAsync(_directory.File("qanat.db"), Cancel);
        await Assert.ThrowsAsync<StoreException>(() => Open());
        Assert.Equal(before, await File.ReadAllBytesAsync(_directory.File("qanat.db"), Cancel));
        await File.WriteAllTextAsync(_directory.File("qanat.db"), new string('x', 5000), Cancel);
        await Assert.ThrowsAsync<StoreException>(() => Open());
    }

    [Fact]
    public void Shipped_migrations_are_numbered_without_a_gap()
    {
        IReadOnlyList<Migration> shipped = SqliteSchema.Shipped;
        Assert.NotEmpty(shipped);
        Assert.Equal(Enumerable.Range(1, shipped.Count), shipped.Select(migration => migration.Number));
    }

    [Fact]
    public void Numbers_that_stand_for_names_in_the_file_never_change()
    {
        Assert.Equal("Chat, Completion, Embedding, Rerank, Batch, Train", string.Join(", ", Enum.GetValues<Operation>()));
        Assert.Equal("Completed, AbortedByClient, CutByLimit, Failed, Recovered", string.Join(", ", Enum.GetValues<Outcome>()));
        Assert.Equal("Loading, Serving, Down", string.Join(", ", Enum.GetValues<CapacityState>()));
        Assert.Equal("Inference, Owner, Finance, Operator, Developer, Viewer", string.Join(", ", Enum.GetValues<KeyRole>()));
    }

    private async Task Migrate(params Migration[] migrations) =>
        await SqliteBookStore.Open(_directory.Path, TimeProvider.System, StoreOptions.Default, migrations).DisposeAsync();

    private static long Execute(string file, string sql)
    {
        using SqliteConnection connection = new($"Data Source={file};Pooling=False");
        connection.Open();
        using SqliteCommand command = connection.CreateCommand();
#pragma warning disable CA2100 // the texts are this test's own
        command.CommandText = sql;
#pragma warning restore CA2100
        return command.ExecuteScalar() is long number ? number : 0;
    }
}
