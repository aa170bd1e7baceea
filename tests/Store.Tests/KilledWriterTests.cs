using System.Diagnostics;
using System.Globalization;
using Qanat.Books;

namespace Qanat.Store.Tests;

/// <summary>A process of its own writes as fast as it can and says what was acknowledged; it is killed at some instant; the books must hold all of that, whole.</summary>
public sealed class KilledWriterTests : IDisposable
{
    private const string DirectoryVariable = "QANAT_STORE_KILLED_DIRECTORY";
    private const int Callers = 12;
    private const int Rounds = 6;

    private readonly TestDirectory _directory = new(onDisk: true);
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Every_acknowledged_fact_is_there_after_kill_9_and_nothing_is_half()
    {
        Random random = new(20_261);
        for (int round = 0; round < Rounds; round++)
        {
            string directory = _directory.File("round" + round);
            Dictionary<string, Stage> acknowledged = await WriteAndKill(directory, random.Next(1, 1_500));
            await using SqliteBookStore store = await SqliteBookStore.OpenAsync(directory, TimeProvider.System);
            await Compare(store, acknowledged);
            // The books go on from there.
            await store.AppendAsync(new Audited(new AuditEntry(TestBooks.At(0), "test", "after", "kill", null, null)), Cancel);
        }
    }

    /// <summary>Runs the writer until it has acknowledged so many facts, kills it, and returns what it had acknowledged by then.</summary>
    private static async Task<Dictionary<string, Stage>> WriteAndKill(string directory, int killAfter)
    {
        ProcessStartInfo start = new(Path.Combine(AppContext.BaseDirectory, "Qanat.Store.Tests")) { UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (string argument in (string[])["-method", $"{typeof(KilledWriterTests).FullName}.{nameof(Writes_until_it_is_killed)}", "-explicit", "only", "-noColor"])
            start.ArgumentList.Add(argument);
        start.Environment[DirectoryVariable] = directory;
        using Process writer = Process.Start(start)!;
        // It would write for ever, should this test end before it.
        using IDisposable ending = new Killed(writer);
        Task<string> errors = writer.StandardError.ReadToEndAsync(Cancel);
        Dictionary<string, Stage> acknowledged = [];
        List<string> other = [];
        int lines = 0;
        while (await writer.StandardOutput.ReadLineAsync(Cancel) is string line)
        {
            if (!line.StartsWith("ack ", StringComparison.Ordinal))
            {
                other.Add(line);
                continue;
            }
            string[] parts = line.Split(' ');
            acknowledged[parts[1]] = Enum.Parse<Stage>(parts[2]);
            if (++lines != killAfter) continue;
            StoreException refused = await Assert.ThrowsAsync<StoreException>(() => SqliteBookStore.OpenAsync(directory, TimeProvider.System));
            Assert.Contains(writer.Id.ToString(CultureInfo.InvariantCulture), refused.Message, StringComparison.Ordinal);
            writer.Kill();
        }
        await writer.WaitForExitAsync(Cancel);
        Assert.True(lines >= killAfter, $"The writer ended by itself: {string.Join('\n', other)} {await errors}");
        return acknowledged;
    }

    private static async Task Compare(SqliteBookStore store, Dictionary<string, Stage> acknowledged)
    {
        Assert.Empty(await store.VerifyAsync(Cancel));
        Dictionary<RequestId, UsageProgress> open = (await store.ReadOpenHoldsAsync(Cancel)).ToDictionary(hold => hold.Hold.Id, hold => hold.Progress);
        Dictionary<RequestId, UsageRecord> settled = (await store.StreamUsageAsync(new UsageQuery(Period.All), Cancel).ToArrayAsync(Cancel)).ToDictionary(record => record.Id);
        HashSet<RequestId> posted = [.. await store.StreamUsageAsync(new UsageQuery(Period.All, Posted: true), Cancel).Select(record => record.Id).ToArrayAsync(Cancel)];
        HashSet<string> audited = [.. (await store.ReadAuditAsync(int.MaxValue, Cancel)).Select(entry => entry.Subject)];
        HashSet<string> journal = [.. await store.StreamJournalAsync(new JournalQuery(Period.All), Cancel).Select(transaction => transaction.Memo).ToArrayAsync(Cancel)];
        foreach ((string request, Stage stage) in acknowledged)
        {
            RequestId id = new(Guid.Parse(request));
            Assert.True(open.ContainsKey(id) != settled.ContainsKey(id), $"{request} is in one place");
            if (stage == Stage.Metered) Assert.True(settled.ContainsKey(id) || open[id].Tokens.Output == 5);
            if (stage >= Stage.Settled) Assert.Equal(10, settled[id].Tokens.Output);
            if (stage == Stage.Posted) Assert.Contains(id, posted);
        }
        foreach (UsageRecord record in settled.Values)
        {
            Assert.Contains(record.Id.ToString(), audited); // written together with the record
            Assert.Equal(posted.Contains(record.Id), journal.Contains(record.Id.ToString()));
        }
        Assert.Equal(settled.Count, audited.Count);
    }

    private sealed class Killed(Process process) : IDisposable
    {
        public void Dispose() => process.Kill();
    }

    private enum Stage { Placed, Metered, Settled, Posted }

    /// <summary>Not a test: what the killed process does.</summary>
    [Fact(Explicit = true)]
    public async Task Writes_until_it_is_killed()
    {
        string directory = Environment.GetEnvironmentVariable(DirectoryVariable) ?? throw new InvalidOperationException("Only the test above starts this.");
        // A small log, so that it is copied and begun anew many times before the kill.
        await using SqliteBookStore store = await SqliteBookStore.OpenAsync(directory, TimeProvider.System, StoreOptions.Default with { LogBytesBegin = 128 << 10 });
        TestBooks shared = new();
        foreach (Fact fact in shared.Directory) await store.AppendAsync(fact, Cancel);
        await using Stream output = Console.OpenStandardOutput();
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(caller => Task.Run(() => Requests(store, shared, new TestBooks(seed: caller + 1), output), Cancel)));
    }

    private static async Task Requests(SqliteBookStore store, TestBooks shared, TestBooks facts, Stream output)
    {
        while (true)
        {
            Hold hold = facts.NewHold(key: shared.Key) with { Price = shared.Price.Id };
            UsageRecord record = facts.RecordOf(hold) with { PoolRate = shared.Rate.Id };
            await Say(new HoldPlaced(hold), Stage.Placed);
            await Say(TestBooks.Steps([TestBooks.ProgressOf(hold, 5)]), Stage.Metered);
            await Say(new Together([new HoldSettled(record), new Audited(new AuditEntry(TestBooks.At(0), "test", "settled", hold.Id.ToString(), null, null))]), Stage.Settled);
            await Say(new TransactionPosted(facts.NewTransaction(tenant: shared.Tenant.Id) with { Memo = hold.Id.ToString() }, [hold.Id]), Stage.Posted);

            async Task Say(Fact fact, Stage stage)
            {
                // As the front door writes them: calls must survive this process, the journal a loss of power too.
                await store.AppendAsync(fact, stage == Stage.Posted ? Durability.Power : Durability.Process, Cancel);
                byte[] line = System.Text.Encoding.ASCII.GetBytes($"ack {hold.Id} {stage}\n");
                lock (output) output.Write(line);
            }
        }
    }
}
