using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Qanat.Kernels;
using Qanat.Local;

namespace Qanat.Cli;

/// <summary>Options that every command has.</summary>
internal sealed class Shared
{
    public Option<string?> DataOption { get; } = new("--data") { Description = "The data directory. Default: QANAT_DATA, else the user's data folder.", Recursive = true };
    public Option<string?> StoreOption { get; } = new("--store") { Description = "Keep the books in PostgreSQL: a connection such as \"Host=db;Database=qanat;Username=qanat\". Default: QANAT_STORE, else SQLite in the data directory.", Recursive = true };
    public Option<bool> JsonOption { get; } = new("--json") { Description = "Print JSON.", Recursive = true };

    public DataDirectory Data(ParseResult parsed) => DataDirectory.Choose(parsed.GetValue(DataOption), parsed.GetValue(StoreOption));
    public Terminal Terminal(ParseResult parsed) => new(parsed.GetValue(JsonOption) ? OutputFormat.Json : OutputFormat.Text);

    /// <summary>How keys and values are kept.</summary>
    public static Option<KvFormat> Kv() => new("--kv") { Description = "How keys and values are kept: F16, or Q8 in about half the memory. Default: F16." };

    /// <summary>Memory for the states of hybrid models.</summary>
    public static Option<int?> StateMegabytes() => Within(new Option<int?>("--state-mb") { Description = "Memory for the recurrent states of hybrid models, in MB. Default: a quarter of what the weights leave free, 256 to 1,024." }, QanatConfiguration.MegabytesMax);

    /// <summary>How many threads compute.</summary>
    public static Option<int?> Threads() => Within(new Option<int?>("--threads") { Description = "Threads that compute. Default: one per core." }, WorkerTeam.ThreadsMax);

    public static long? Bytes(int? megabytes) => (long?)megabytes << 20;

    /// <summary>Takes whole numbers from 1 to a greatest one; what is no number at all is refused without this.</summary>
    public static Option<T> Within<T>(Option<T> option, int most)
    {
        option.Validators.Add(result =>
        {
            bool isOutside = result.Tokens is [{ } token] && int.TryParse(token.Value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int given) && (given < 1 || given > most);
            if (isOutside) result.AddError(string.Create(CultureInfo.InvariantCulture, $"{option.Name} needs a whole number from 1 to {most}."));
        });
        return option;
    }

    /// <summary>Runs a command against a server; see <see cref="ApiConnection"/> for which.</summary>
    public Task<int> WithServerAsync(ParseResult parsed, Func<ApiConnection, Terminal, Task> run, CancellationToken cancel) => RunAsync(async () =>
    {
        await using ApiConnection server = await ApiConnection.OpenAsync(Data(parsed), cancel);
        await run(server, Terminal(parsed));
    });

    public static (Option<string?> From, Option<string?> To) PeriodOptions() => (
        new Option<string?>("--from") { Description = "From this time on (ISO 8601, UTC unless it says otherwise). Default: the beginning." },
        new Option<string?>("--to") { Description = "Before this time. Default: now." });

    /// <summary>The period as a part of a query that begins with <paramref name="first"/>; empty without one.</summary>
    public static string PeriodQuery(ParseResult parsed, Option<string?> from, Option<string?> to, char first = '&')
    {
        string query = (parsed.GetValue(from) is { } start ? "&from=" + Uri.EscapeDataString(start) : "") + (parsed.GetValue(to) is { } end ? "&to=" + Uri.EscapeDataString(end) : "");
        return query.Length == 0 ? "" : first + query[1..];
    }

    /// <summary>Writes a download to a file: whole, or not at all.</summary>
    public static async Task DownloadAsync(ApiConnection server, Terminal terminal, string path, FileInfo output, string hint, CancellationToken cancel)
    {
        string file = output.FullName, part = file + ".part";
        try
        {
            await using (FileStream target = new(part, FileMode.Create)) await server.DownloadAsync(path, target, cancel);
            File.Move(part, file, overwrite: true);
        }
        catch
        {
            File.Delete(part);
            throw;
        }
        terminal.Say(new JsonObject { ["file"] = file, ["bytes"] = new FileInfo(file).Length }, $"Written: {file}{hint}");
    }

    /// <summary>0 when it worked, 1 with a sentence on standard error when it did not, 130 when it was stopped.</summary>
    public static async Task<int> RunAsync(Func<Task> run)
    {
        try
        {
            await run();
            return 0;
        }
        catch (CommandException error)
        {
            await System.Console.Error.WriteLineAsync("qanat: " + error.Message);
            return 1;
        }
        catch (OperationCanceledException)
        {
            return 130;
        }
        catch (AnswerFailedException error)
        {
            await System.Console.Error.WriteLineAsync("qanat: " + error.Message);
            return 1;
        }
        catch (TypeInitializationException error) when (error.GetBaseException() is InvalidOperationException refused)
        {
            // An environment variable that names no kernels, or those of another processor, is read where kernels are first asked for.
            await System.Console.Error.WriteLineAsync("qanat: " + refused.Message);
            return 1;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // What the system refuses: it names the file itself.
            await System.Console.Error.WriteLineAsync("qanat: " + error.Message);
            return 1;
        }
    }
}
