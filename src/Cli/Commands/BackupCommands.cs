using System.CommandLine;
using System.Text.Json.Nodes;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Cli;

/// <summary>qanat backup, qanat restore: the books and all documents in one file. Both work on the database itself, so that a backup needs no server and disturbs none.</summary>
internal static class BackupCommands
{
    public static Command Backup(Shared shared)
    {
        Argument<FileInfo> file = new("file") { Description = "The file to write. It must not exist." };
        Option<bool> noCheck = new("--no-check") { Description = "Do not restore the copy aside and check its books." };
        Command backup = new("backup", "Write all books and documents as of this instant into one file, while a server goes on.") { file, noCheck };
        backup.SetAction((parsed, cancel) => Shared.RunAsync(() => SayRefusalAsync(async () =>
        {
            FileInfo target = parsed.GetRequiredValue(file);
            await StoreBackup.WriteAsync(shared.Data(parsed).Books, target.FullName, TimeProvider.System, cancel);
            int? identities = parsed.GetValue(noCheck) ? null : await CheckAsideAsync(target, cancel);
            target.Refresh();
            JsonObject data = new() { ["file"] = target.FullName, ["bytes"] = target.Length, ["identities"] = identities };
            shared.Terminal(parsed).Say(data, $"Written: {target.FullName}, {target.Length} bytes. {(identities is null ? "Not checked." : $"Restored aside, all {identities} identities hold.")}");
        })));
        return backup;
    }

    public static Command Restore(Shared shared)
    {
        Argument<FileInfo> file = new("file") { Description = "A file that qanat backup has written." };
        Command restore = new("restore", "Put a backup into an empty data directory, or an empty PostgreSQL schema, and check the books.") { file };
        restore.SetAction((parsed, cancel) => Shared.RunAsync(() => SayRefusalAsync(async () =>
        {
            DataDirectory data = shared.Data(parsed);
            await StoreBackup.RestoreAsync(parsed.GetRequiredValue(file).FullName, data.Books, TimeProvider.System, cancel);
            int identities = await CheckAsync(data.Books, cancel);
            shared.Terminal(parsed).Say(new JsonObject { ["data"] = data.Root, ["identities"] = identities },
                $"Restored into {(data.Books.Connection is null ? data.Root : "the database")}: all {identities} identities hold.");
        })));
        return restore;
    }

    /// <summary>Proves that the file can be restored, in a directory of its own beside it, where there is room for it.</summary>
    private static async Task<int> CheckAsideAsync(FileInfo file, CancellationToken cancel)
    {
        string aside = file.FullName + ".check";
        try
        {
            await StoreBackup.RestoreAsync(file.FullName, new StoreLocation(aside), TimeProvider.System, cancel);
            return await CheckAsync(new StoreLocation(aside), cancel);
        }
        finally
        {
            if (Directory.Exists(aside)) Directory.Delete(aside, recursive: true);
        }
    }

    private static async Task<int> CheckAsync(StoreLocation books, CancellationToken cancel)
    {
        await using SqlStore store = await books.OpenAsync(TimeProvider.System);
        BooksReport report = await BooksCheck.RunAsync(store, cancel);
        if (report.IsOk) return report.Identities.Length;
        Identity wrong = report.Identities.First(identity => !identity.IsOk);
        throw new CommandException($"The books in the copy do not tie out: {wrong.Name} {wrong.Subject}, {wrong.LeftText} against {wrong.RightText}. Run qanat books check on the original.");
    }

    private static async Task SayRefusalAsync(Func<Task> run)
    {
        try
        {
            await run();
        }
        catch (StoreException refused)
        {
            throw new CommandException(refused.Message, refused);
        }
    }
}
