using Qanat.Books;

namespace Qanat.Store.Tests;

/// <summary>A backup of books in either engine restores into either engine, whole and equal.</summary>
public sealed class BackupTests : IDisposable
{
    private readonly TestDirectory _directory = new();
    private readonly TestBooks _facts = new();
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;
    private static readonly TimeProvider s_clock = TimeProvider.System;

    public void Dispose() => _directory.Dispose();

    private StoreLocation In(string name) => new(_directory.File(name));
    private static StoreLocation InPostgres() => new("", PostgresServer.Shared.NewSchema());

    /// <summary>Something in every table.</summary>
    private async Task Fill(SqlStore store)
    {
        foreach (Fact fact in _facts.Directory) await store.AppendAsync(fact, Cancel);
        Hold[] holds = [.. Enumerable.Range(0, 40).Select(index => _facts.NewHold(TestBooks.At(index * 900)))];
        await store.AppendAsync(new Together([.. holds.Select(hold => new HoldPlaced(hold))]), Cancel);
        await store.AppendAsync(TestBooks.Steps([TestBooks.ProgressOf(holds[0], 5) with { Upstream = TestBooks.Bought }], TestBooks.Stretch(0, 100, busy: 8_500)), Cancel);
        await store.AppendAsync(new HoldReleased(holds[1].Id, TestBooks.At(1), "why"), Cancel);
        await store.AppendAsync(new Together([.. holds[2..].Select(hold => new HoldSettled(_facts.RecordOf(hold)))]), Cancel);
        await store.AppendAsync(new TransactionPosted(_facts.NewTransaction(), [holds[2].Id, holds[5].Id]), Cancel);
        await store.AppendAsync(new Audited(new AuditEntry(TestBooks.At(0), "who\0", "what", "漢", null, "")), Cancel);
        await store.AppendAsync(new Declared(new Declaration(new DeclarationId(_facts.NewId()), TestBooks.At(0), "text")), Cancel);
        await store.TryAddAsync(new NewDocument(new DocumentKey("file", _facts.Tenant.Id, "a"), TestBooks.At(0), new byte[] { 0, 255 }), Cancel);
        await store.TryAddAsync(new NewDocument(new DocumentKey("file", null, "empty"), TestBooks.At(1), ReadOnlyMemory<byte>.Empty), Cancel);
    }

    private async Task<string> Everything(SqlStore store) => await StoreTestKit.Everything(store)
        + string.Join('\n', (await store.ListAsync(new DocumentQuery("file"), Cancel)).Select(document => $"{document.Key} {document.Version} {Convert.ToHexString(document.Content.Span)}"))
        + await store.SumAsync("file", _facts.Tenant.Id, Cancel) + await store.SumAsync("file", null, Cancel);

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task Books_restored_from_a_backup_answer_as_before_and_go_on(bool fromPostgres, bool toPostgres)
    {
        StoreLocation from = fromPostgres ? InPostgres() : In("books"), to = toPostgres ? InPostgres() : In("restored");
        string before;
        string backup = _directory.File("books.backup");
        await using (SqlStore store = await from.OpenAsync(s_clock))
        {
            await Fill(store);
            before = await Everything(store);
            await StoreBackup.WriteAsync(from, backup, s_clock, Cancel); // beside the owner, which goes on
            await store.AppendAsync(new HoldSettled(_facts.NewRecord()), Cancel);
        }
        await StoreBackup.RestoreAsync(backup, to, s_clock, Cancel);
        await using SqlStore restored = await to.OpenAsync(s_clock);
        Assert.Equal(before, await Everything(restored));
        Assert.Empty(await restored.VerifyAsync(Cancel));
        await Fill(restored); // numbers go on after those that were restored
        Assert.Empty(await restored.VerifyAsync(Cancel));
    }

    [Fact]
    public async Task Nothing_is_overwritten_and_nothing_else_is_taken_for_a_backup()
    {
        await using (SqlStore store = await In("books").OpenAsync(s_clock)) await Fill(store);
        string backup = _directory.File("b");
        await StoreBackup.WriteAsync(In("books"), backup, s_clock, Cancel);
        await Assert.ThrowsAsync<StoreException>(() => StoreBackup.WriteAsync(In("books"), backup, s_clock, Cancel));
        await Assert.ThrowsAsync<StoreException>(() => StoreBackup.WriteAsync(In("none"), _directory.File("c"), s_clock, Cancel));
        await Assert.ThrowsAsync<StoreException>(() => StoreBackup.RestoreAsync(backup, In("books"), s_clock, Cancel));
        await File.WriteAllTextAsync(_directory.File("text"), new string('x', 9_000), Cancel);
        await Assert.ThrowsAsync<StoreException>(() => StoreBackup.RestoreAsync(_directory.File("text"), In("new"), s_clock, Cancel));
        await Assert.ThrowsAsync<StoreException>(() => StoreBackup.RestoreAsync(_directory.File("nowhere"), In("new"), s_clock, Cancel));
        Assert.Empty(Directory.GetFiles(_directory.File("new"), "qanat.db*"));
        Assert.False(File.Exists(_directory.File("c")));
    }

    [Fact]
    public async Task Books_are_restored_into_an_empty_schema_only()
    {
        StoreLocation taken = InPostgres();
        await using (SqlStore store = await taken.OpenAsync(s_clock)) await Fill(store);
        string backup = _directory.File("b");
        await StoreBackup.WriteAsync(taken, backup, s_clock, Cancel);
        await Assert.ThrowsAsync<StoreException>(() => StoreBackup.RestoreAsync(backup, taken, s_clock, Cancel));
    }

    /// <summary>Books as Qanat 0.1.0 left them: its schema, and rows written in it.</summary>
    [Fact]
    public async Task Books_of_the_first_release_are_brought_forward_with_all_they_hold()
    {
        string home = _directory.File("old");
        await FirstRelease.WriteAsync(home, FirstRelease.Rows);
        await using SqlStore store = await new StoreLocation(home).OpenAsync(s_clock);
        Assert.Empty(await store.VerifyAsync(Cancel));
        UsageRecord[] all = await store.StreamUsageAsync(new UsageQuery(Period.All), Cancel).ToArrayAsync(Cancel);
        Assert.Equal([100L, 200, 300], all.Select(record => record.Tokens.Input));
        Assert.Equal([all[1]], await store.StreamUsageAsync(new UsageQuery(Period.All, Posted: false), Cancel).ToArrayAsync(Cancel));
        Transaction posting = Assert.Single(await store.StreamJournalAsync(new JournalQuery(Period.All), Cancel).ToArrayAsync(Cancel));
        Assert.Equal([all[0].Id, all[2].Id], await store.ReadPostedRecordsAsync(posting.Id, Cancel));
        Assert.Equal(2, posting.Entries.Length);
        Assert.Equal(3, (await store.SumUsageAsync(new SumQuery(Period.All, GroupBy.None), Cancel)).Single().Requests);
    }
}
