using System.Diagnostics;
using Qanat.Books;

namespace Qanat.Store.Tests;

/// <summary>A file system of four mebibytes, mounted for the test where that is allowed: the disk is full in earnest, log and index files included.</summary>
public sealed class SmallDiskTests : IDisposable
{
    private readonly TestDirectory _directory = new();
    private readonly TestBooks _facts = new();
    private bool _mounted;
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        if (_mounted) Run("umount", _directory.Path);
        _directory.Dispose();
    }

    [Fact]
    public async Task A_disk_that_fills_up_loses_nothing_and_serves_again_when_there_is_room()
    {
        _mounted = OperatingSystem.IsLinux() && Run("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", _directory.Path);
        Assert.SkipUnless(_mounted, "a small file system cannot be mounted: this needs Linux and root");
        string ballast = _directory.File("ballast");
        await File.WriteAllBytesAsync(ballast, new byte[1 << 20], Cancel);
        int stored = 0;
        await using (SqliteBookStore store = await SqliteBookStore.OpenAsync(_directory.Path, TimeProvider.System))
        {
            foreach (Fact fact in _facts.Directory) await store.AppendAsync(fact, Cancel);
            StoreException? full = null;
            for (; full is null; stored++)
                full = await Record.ExceptionAsync(() => store.AppendAsync(Next(stored), Cancel)) as StoreException;
            stored--;
            Assert.Contains("full", full.Message, StringComparison.Ordinal);
            await Assert.ThrowsAsync<StoreException>(() => store.AppendAsync(Next(stored), Cancel));
            Assert.Equal(stored, (await store.SumUsageAsync(new SumQuery(Period.All, GroupBy.None), Cancel)).Single().Requests);
            File.Delete(ballast);
            await store.AppendAsync(Next(stored++), Cancel);
        }
        await using SqliteBookStore again = await SqliteBookStore.OpenAsync(_directory.Path, TimeProvider.System);
        Assert.Equal(stored, (await again.SumUsageAsync(new SumQuery(Period.All, GroupBy.None), Cancel)).Single().Requests);
        Assert.Equal(stored, (await again.ReadAuditAsync(int.MaxValue, Cancel)).Length);
        Assert.Empty(await again.VerifyAsync(Cancel));
    }

    private Together Next(int index) => new([new HoldSettled(_facts.NewRecord(TestBooks.At(index))), new Audited(new AuditEntry(TestBooks.At(index), "a", "b", "c", null, null))]);

    private static bool Run(string command, params string[] arguments)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(command, arguments) { UseShellExecute = false, RedirectStandardError = true })!;
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }
}
