using System.Diagnostics;
using System.Globalization;
using Qanat.Books;

namespace Qanat.Store.Tests;

/// <summary>A process of its own whose files may not grow beyond a limit: writing fails in the middle of a commit, as on a disk that gives out. This works where no small file system can be mounted.</summary>
public sealed class FileLimitTests : IDisposable
{
    private const string DirectoryVariable = "QANAT_STORE_LIMITED_DIRECTORY";
    private const int LimitBytes = 3 << 20;

    private readonly TestDirectory _directory = new(onDisk: true);
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Facts_acknowledged_before_the_disk_gave_out_are_there_and_the_books_go_on_when_it_works_again()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "a limit for files is set here by a Linux shell");
        string books = _directory.File("books");
        (int acknowledged, string refusal) = await WriteUntilRefused(books);
        Assert.InRange(acknowledged, 1, int.MaxValue);
        Assert.Contains("disk", refusal, StringComparison.Ordinal);
        await using SqliteBookStore store = await SqliteBookStore.OpenAsync(books, TimeProvider.System);
        Assert.Equal(acknowledged, (await store.SumUsageAsync(new SumQuery(Period.All, GroupBy.None), Cancel)).Single().Requests);
        Assert.Equal(acknowledged, (await store.ReadAuditAsync(int.MaxValue, Cancel)).Length);
        Assert.Empty(await store.VerifyAsync(Cancel));
        await store.AppendAsync(new Audited(new AuditEntry(TestBooks.At(0), "test", "after", "limit", null, null)), Cancel);
    }

    private static async Task<(int Acknowledged, string Refusal)> WriteUntilRefused(string directory)
    {
        // The shell counts blocks of 512 bytes; a signal that it ignores stays ignored, so that the write itself fails.
        string limited = string.Create(CultureInfo.InvariantCulture, $"trap '' XFSZ; ulimit -f {LimitBytes / 512}; exec \"$0\" \"$@\"");
        ProcessStartInfo start = new("/bin/sh") { UseShellExecute = false, RedirectStandardOutput = true };
        foreach (string argument in (string[])["-c", limited, Path.Combine(AppContext.BaseDirectory, "Qanat.Store.Tests"),
            "-method", $"{typeof(FileLimitTests).FullName}.{nameof(Writes_until_it_is_refused)}", "-explicit", "only", "-noColor"]) start.ArgumentList.Add(argument);
        start.Environment[DirectoryVariable] = directory;
        // The runtime's own large files in memory count too.
        start.Environment["DOTNET_EnableWriteXorExecute"] = "0";
        using Process process = Process.Start(start)!;
        string said = await process.StandardOutput.ReadToEndAsync(Cancel);
        await process.WaitForExitAsync(Cancel);
        string[] lines = said.Split('\n');
        string refusal = lines.FirstOrDefault(line => line.StartsWith("refused ", StringComparison.Ordinal)) ?? throw new InvalidOperationException($"Nothing was refused: {said}");
        return (lines.Count(line => line == "ack"), refusal);
    }

    /// <summary>Not a test: what the limited process does.</summary>
    [Fact(Explicit = true)]
    public async Task Writes_until_it_is_refused()
    {
        string directory = Environment.GetEnvironmentVariable(DirectoryVariable) ?? throw new InvalidOperationException("Only the test above starts this.");
        await using Stream output = Console.OpenStandardOutput();
        TestBooks facts = new();
        await using SqliteBookStore store = await SqliteBookStore.OpenAsync(directory, TimeProvider.System);
        foreach (Fact fact in facts.Directory) await store.AppendAsync(fact, Cancel);
        for (int index = 0; ; index++)
        {
            Together both = new([new HoldSettled(facts.NewRecord(TestBooks.At(index))), new Audited(new AuditEntry(TestBooks.At(index), "a", "b", "c", null, null))]);
            if (await Record.ExceptionAsync(() => store.AppendAsync(both, Cancel)) is StoreException refusal)
            {
                Say("refused " + refusal.Message);
                return;
            }
            Say("ack");
        }

        void Say(string what) => output.Write(System.Text.Encoding.UTF8.GetBytes($"\n{what}\n"));
    }
}
