using System.Text.Json;
using Qanat.Store;

namespace Qanat.Cli;

/// <summary>Where one Qanat keeps everything: the books, the default model, and, while a server runs, how to reach it.</summary>
public sealed class DataDirectory
{
    private static readonly UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    private static readonly UnixFileMode OwnersFolder = OwnerOnly | UnixFileMode.UserExecute;

    /// <param name="store">A PostgreSQL connection, when the books are there and not in the directory.</param>
    public DataDirectory(string path, string? store = null)
    {
        Root = Path.GetFullPath(path);
        Books = new StoreLocation(Root, string.IsNullOrWhiteSpace(store) ? null : store);
    }

    public string Root { get; }
    public StoreLocation Books { get; }
    public string Models => Path.Combine(Root, "models");
    public string SecretsKey => Path.Combine(Root, "secrets.key");
    public string CookieKeys => Path.Combine(Root, "cookie-keys");

    /// <summary>Companies and investments of one's own. It need not exist.</summary>
    public string Outlook => Path.Combine(Root, "outlook");
    private string NoteFile => Path.Combine(Root, "server.json");

    /// <summary>--data, else QANAT_DATA, else the user's own data folder; with the books in --store, else QANAT_STORE, else in that folder.</summary>
    public static DataDirectory Choose(string? option, string? storeOption = null)
    {
        string? store = storeOption ?? Environment.GetEnvironmentVariable("QANAT_STORE");
        string? chosen = option ?? Environment.GetEnvironmentVariable("QANAT_DATA");
        if (!string.IsNullOrWhiteSpace(chosen)) return new DataDirectory(chosen, store);
        string home = Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.Create);
        return new DataDirectory(Path.Combine(home.Length > 0 ? home : ".", "qanat"), store);
    }

    /// <summary>Where the configuration is, if there is one.</summary>
    public string ConfigurationFile => Path.Combine(Root, QanatConfiguration.FileName);

    public void Create()
    {
        CreateOwned(Root);
        CreateOwned(Models);
        CreateOwned(CookieKeys);
        CloseCookieKeys();
    }

    /// <summary>Whoever reads them is signed in as whom they like: closed also where the folder was there.</summary>
    private void CloseCookieKeys()
    {
        if (OperatingSystem.IsWindows() || File.GetUnixFileMode(CookieKeys) == OwnersFolder) return;
        try
        {
            File.SetUnixFileMode(CookieKeys, OwnersFolder);
        }
        catch (UnauthorizedAccessException)
        {
            // A command of another user on this directory: its owner's server closes it.
        }
    }

    /// <summary>Makes a folder that nobody else on this machine looks into: books and the hashes of keys are in it. One that is there stays as its owner set it.</summary>
    private static void CreateOwned(string folder)
    {
        if (OperatingSystem.IsWindows()) Directory.CreateDirectory(folder);
        else Directory.CreateDirectory(folder, OwnersFolder);
    }

    /// <summary>Leaves a note for commands on this machine: the server's address and a key that lasts as long as the server. Only the user can read it.</summary>
    public void WriteNote(ServerNote note)
    {
        string next = NoteFile + ".next";
        FileStreamOptions options = new() { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = OwnerOnly;
        using (FileStream file = new(next, options))
        {
            JsonSerializer.Serialize(file, note);
        }
        File.Move(next, NoteFile, overwrite: true);
    }

    public void RemoveNote() => File.Delete(NoteFile);

    /// <summary>The note of a server that runs now or ran last; null: there is none.</summary>
    public ServerNote? ReadNote()
    {
        try
        {
            using FileStream file = File.OpenRead(NoteFile);
            return JsonSerializer.Deserialize<ServerNote>(file);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException or JsonException)
        {
            return null;
        }
    }
}

/// <param name="Url">Base address, e.g. http://127.0.0.1:7777.</param>
/// <param name="Key">An owner key made at this start; it is worth nothing once the server has ended.</param>
public sealed record ServerNote(string Url, string Key, int ProcessId);
