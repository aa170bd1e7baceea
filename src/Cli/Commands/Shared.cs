using System.CommandLine;

namespace Qanat.Cli;

/// <summary>Options that every command has.</summary>
internal sealed class Shared
{
    public Option<string?> DataOption { get; } = new("--data") { Description = "The data directory. Default: QANAT_DATA, else the user's data folder.", Recursive = true };
    public Option<bool> JsonOption { get; } = new("--json") { Description = "Print JSON.", Recursive = true };

    public DataDirectory Data(ParseResult parsed) => DataDirectory.Choose(parsed.GetValue(DataOption));
    public Terminal Terminal(ParseResult parsed) => new(parsed.GetValue(JsonOption) ? OutputFormat.Json : OutputFormat.Text);

    /// <summary>Runs a command against a server; see <see cref="ApiConnection"/> for which.</summary>
    public Task<int> WithServerAsync(ParseResult parsed, Func<ApiConnection, Terminal, Task> run, CancellationToken cancel) => RunAsync(async () =>
    {
        await using ApiConnection server = await ApiConnection.OpenAsync(Data(parsed), cancel);
        await run(server, Terminal(parsed));
    });

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
    }
}
