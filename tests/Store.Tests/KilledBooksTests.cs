using System.Diagnostics;
using System.Globalization;
using Qanat.Books;
using Qanat.Books.Tests;

namespace Qanat.Store.Tests;

/// <summary>A process of its own closes a month, brings old books forward, or makes a backup, and is killed at some instant, again and again; the next one goes on. In the end everything is as if nothing had happened.</summary>
public sealed class KilledBooksTests : IDisposable
{
    private const string DirectoryVariable = "QANAT_STORE_KILLED_BOOKS";
    private const string WorkVariable = "QANAT_STORE_KILLED_WORK";
    private const string AtVariable = "QANAT_STORE_KILLED_AT";

    /// <summary>What is said of the fact that ends a close.</summary>
    private const string Last = "close";

    private readonly TestDirectory _directory = new(onDisk: true);
    private readonly Random _random = new(1_126);
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task A_close_killed_at_any_instant_ends_as_if_it_had_not_been()
    {
        string calm = _directory.File("calm"), killed = _directory.File("killed");
        await using (SqliteBookStore store = await Open(calm)) await new MonthBooks().WriteAsync(store, recordsPerHour: 12, Cancel);
        Copy(calm, killed);
        int facts = await CloseAsync(calm, _ => { });
        // Somewhere in the postings, twice, and when everything has been read once more. There it goes no further by itself: however late the kill comes, the next one has something left to do.
        foreach (string at in (string[])[Number(_random.Next(1, facts / 4)), Number(_random.Next(1, facts / 4)), Last])
            await KillAsync(killed, "close", (line, count) => line == at || Number(count) == at, at);
        await CloseAsync(killed, _ => { });
        await using SqliteBookStore undisturbed = await Open(calm), disturbed = await Open(killed);
        // Pool time that a killed posting had counted is not counted again, so that the postings may be cut otherwise; every balance is the same.
        Assert.Equal(await Balances(undisturbed), await Balances(disturbed));
        Assert.Equal((await Declarations.ReadAsync(undisturbed, Cancel)).Closes, (await Declarations.ReadAsync(disturbed, Cancel)).Closes);
        Assert.Single((await disturbed.ReadAuditAsync(int.MaxValue, Cancel)), entry => entry.Action == "close");
        BooksReport report = await BooksCheck.RunAsync(disturbed, Cancel);
        Assert.True(report.IsOk, string.Join('\n', report.Identities.Where(identity => !identity.IsOk)));
    }

    [Fact]
    public async Task Migrations_killed_at_any_instant_go_on_from_there()
    {
        string calm = _directory.File("calm"), killed = _directory.File("killed");
        await FirstRelease.WriteAsync(calm, FirstRelease.Rows, FirstRelease.More);
        Copy(calm, killed);
        long began = Stopwatch.GetTimestamp();
        string expected;
        await using (SqliteBookStore store = await Open(calm)) expected = await StoreTestKit.Everything(store);
        TimeSpan takes = Stopwatch.GetElapsedTime(began);
        for (int round = 0; round < 3; round++)
        {
            TimeSpan after = takes * _random.NextDouble();
            await KillAsync(killed, "migrate", (line, _) => line == "opening" && Pass(after));
        }
        await using SqliteBookStore again = await Open(killed);
        Assert.Equal(expected, await StoreTestKit.Everything(again));
        Assert.Empty(await again.VerifyAsync(Cancel));
    }

    [Fact]
    public async Task A_backup_killed_at_any_instant_is_whole_or_not_there_and_can_be_made_again()
    {
        string books = _directory.File("books"), backup = Path.Combine(books, "backup");
        string expected;
        await using (SqliteBookStore store = await Open(books))
        {
            await new MonthBooks().WriteAsync(store, recordsPerHour: 60, Cancel);
            expected = await StoreTestKit.Everything(store);
        }
        long began = Stopwatch.GetTimestamp();
        await StoreBackup.WriteAsync(new StoreLocation(books), _directory.File("calm"), TimeProvider.System, Cancel);
        TimeSpan takes = Stopwatch.GetElapsedTime(began);
        for (int round = 0; round < 3; round++)
        {
            TimeSpan after = takes * _random.NextDouble();
            await KillAsync(books, "backup", (line, _) => line == "opening" && Pass(after));
            if (!File.Exists(backup)) continue;
            await AssertHolds(backup, expected, round);
            File.Delete(backup);
        }
        await StoreBackup.WriteAsync(new StoreLocation(books), backup, TimeProvider.System, Cancel);
        await AssertHolds(backup, expected, round: 9);
    }

    private async Task AssertHolds(string backup, string expected, int round)
    {
        StoreLocation restored = new(_directory.File(string.Create(CultureInfo.InvariantCulture, $"restored{round}")));
        await StoreBackup.RestoreAsync(backup, restored, TimeProvider.System, Cancel);
        await using SqlStore store = await restored.OpenAsync(TimeProvider.System);
        Assert.Equal(expected, await StoreTestKit.Everything(store));
        Assert.Empty(await store.VerifyAsync(Cancel));
    }

    /// <summary>Runs the work in a process of its own and kills it as soon as the condition holds for a line that it says; it may end before.</summary>
    private static async Task KillAsync(string directory, string work, Func<string, int, bool> now, string at = "")
    {
        ProcessStartInfo start = new(Path.Combine(AppContext.BaseDirectory, "Qanat.Store.Tests")) { UseShellExecute = false, RedirectStandardOutput = true };
        foreach (string argument in (string[])["-method", $"{typeof(KilledBooksTests).FullName}.{nameof(Works_until_it_is_killed)}", "-explicit", "only", "-noColor"]) start.ArgumentList.Add(argument);
        start.Environment[DirectoryVariable] = directory;
        start.Environment[WorkVariable] = work;
        start.Environment[AtVariable] = at;
        using Process process = Process.Start(start)!;
        int said = 0;
        bool killed = false;
        List<string> other = [];
        while (await process.StandardOutput.ReadLineAsync(Cancel) is string line)
        {
            if (!line.StartsWith("say ", StringComparison.Ordinal)) other.Add(line);
            else if (!killed && now(line[4..], ++said))
            {
                process.Kill();
                killed = true;
            }
        }
        await process.WaitForExitAsync(Cancel);
        Assert.True(killed, $"The process was never killed: {string.Join('\n', other)}");
    }

    /// <summary>Not a test: what the killed process does.</summary>
    [Fact(Explicit = true)]
    public async Task Works_until_it_is_killed()
    {
        string directory = Environment.GetEnvironmentVariable(DirectoryVariable) ?? throw new InvalidOperationException("Only the tests above start this.");
        await using Stream output = Console.OpenStandardOutput();
        switch (Environment.GetEnvironmentVariable(WorkVariable))
        {
            case "close":
                string at = Environment.GetEnvironmentVariable(AtVariable)!;
                int facts = 0;
                await CloseAsync(directory, what =>
                {
                    Say(what);
                    if (Number(++facts) == at || what == at) Thread.Sleep(TimeSpan.FromMinutes(10));
                });
                break;
            case "migrate":
                Say("opening");
                await using (await Open(directory)) Say("open");
                break;
            default:
                Say("opening");
                await StoreBackup.WriteAsync(new StoreLocation(directory), Path.Combine(directory, "backup"), TimeProvider.System, Cancel);
                break;
        }

        void Say(string what)
        {
            byte[] line = System.Text.Encoding.ASCII.GetBytes($"\nsay {what}\n");
            lock (output) output.Write(line);
        }
    }

    /// <summary>Closes the month; how many facts that took.</summary>
    private static async Task<int> CloseAsync(string directory, Action<string> say)
    {
        await using SqliteBookStore store = await Open(directory);
        SayingStore saying = new(store, say);
        Instant at = MonthBooks.End;
        ClosingResult result = await PeriodClosing.CloseAsync(saying, new Bookkeeper(saying), "days", at, at, "test", Cancel);
        Assert.True(result.Closed is not null, string.Join('\n', result.Problems));
        return saying.Facts;
    }

    private sealed class SayingStore(IBookStore inner, Action<string> say) : ForwardingBookStore(inner)
    {
        private int _facts;

        public int Facts => _facts;

        public override Task<IBookSnapshot> SnapshotAsync(CancellationToken cancel = default) => Inner.SnapshotAsync(cancel);

        public override async Task AppendAsync(Fact fact, CancellationToken cancel = default)
        {
            say(fact is Together { Facts: [Declared, ..] } ? Last : "fact");
            Interlocked.Increment(ref _facts);
            await base.AppendAsync(fact, cancel);
        }
    }

    private static Task<SqliteBookStore> Open(string directory) => SqliteBookStore.OpenAsync(directory, TimeProvider.System);

    private static async Task<string> Balances(IBookStore store) => string.Join('\n', (await store.SumEntriesAsync(new SumQuery(Period.All, GroupBy.Tenant | GroupBy.Project | GroupBy.Model | GroupBy.Pool | GroupBy.Day), Cancel))
        .Where(sum => !sum.Amount.IsZero).Select(sum => $"{sum.Key} {sum.Account} {sum.Amount}").Order(StringComparer.Ordinal));

    private static string Number(int count) => count.ToString(CultureInfo.InvariantCulture);

    private static bool Pass(TimeSpan time)
    {
        long began = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(began) < time) Thread.SpinWait(100);
        return true;
    }

    private static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        File.Copy(Path.Combine(from, SqliteBookStore.FileName), Path.Combine(to, SqliteBookStore.FileName));
    }
}
