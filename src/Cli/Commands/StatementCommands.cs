using System.CommandLine;
using System.Text;
using System.Text.Json.Nodes;

namespace Qanat.Cli;

/// <summary>A word of a statement that is given as an option: `--in-service 2026-01-01` becomes "in-service 2026-01-01".</summary>
internal sealed record StatementWord(string Keyword, string Description, bool Required = false);

/// <summary>Commands that declare a fact: each option is a keyword of the statement that the books keep.</summary>
internal static class StatementCommands
{
    public static Command Declare(Shared shared, string command, string verb, string description, params StatementWord[] words)
    {
        Argument<string> name = new("name") { Description = "What it is called. Names are given once." };
        Option<string?>[] options = [.. words.Select(word => new Option<string?>("--" + word.Keyword) { Description = word.Description, Required = word.Required })];
        Option<bool> checkOnly = new("--check-only") { Description = "Check it, and declare nothing." };
        Command declare = new(command, description) { name, checkOnly };
        foreach (Option<string?> option in options) declare.Options.Add(option);
        declare.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            StringBuilder statement = new StringBuilder(verb).Append(' ').Append(Quote(parsed.GetRequiredValue(name)));
            for (int i = 0; i < words.Length; i++)
                if (parsed.GetValue(options[i]) is { } value) statement.Append(' ').Append(words[i].Keyword).Append(' ').Append(Quote(value));
            await SendAsync(server, terminal, statement.ToString(), parsed.GetValue(checkOnly), cancel);
        }, cancel));
        return declare;
    }

    /// <summary>Statements from a file or from the command line, all or none.</summary>
    public static Command DeclareText(Shared shared)
    {
        Argument<string[]> statements = new("statement") { Description = "Statements, each in quotation marks.", Arity = ArgumentArity.ZeroOrMore };
        Option<FileInfo?> file = new("--file") { Description = "A file of statements; - reads standard input." };
        Option<bool> checkOnly = new("--check-only") { Description = "Check them, and declare nothing." };
        Command declare = new("declare", "Declare statements: all of them, or none.") { statements, file, checkOnly };
        declare.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            string text = parsed.GetValue(file) is { } named ? await ReadAsync(named, cancel) : string.Join('\n', parsed.GetValue(statements) ?? []);
            if (text.Length == 0) throw new CommandException("Nothing to declare: give statements, or --file.");
            await SendAsync(server, terminal, text, parsed.GetValue(checkOnly), cancel);
        }, cancel));
        return declare;
    }

    /// <summary>What was declared, of some kinds.</summary>
    public static Command List(Shared shared, string command, string description, string? kinds)
    {
        Option<string?> kind = new("--kind") { Description = "Only of these kinds, with commas between them." };
        Command list = new(command, description) { kind };
        list.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            string? asked = parsed.GetValue(kind) ?? kinds;
            JsonNode all = await server.GetAsync("api/declarations" + (asked is null ? "" : "?kind=" + Uri.EscapeDataString(asked)), cancel);
            terminal.Table(all, all["data"], new Column("declared", "declared_at", Align.Left, Column.Second), new Column("kind", "kind"), new Column("statement", "statement"));
        }, cancel));
        return list;
    }

    public static async Task<string> ReadAsync(FileInfo file, CancellationToken cancel)
    {
        try
        {
            return file.Name == "-" ? await System.Console.In.ReadToEndAsync(cancel) : await File.ReadAllTextAsync(file.FullName, cancel);
        }
        catch (IOException error)
        {
            throw new CommandException($"{file.FullName} cannot be read: {error.Message}", error);
        }
    }

    public static string Quote(string value)
    {
        if (value.Any(letter => letter == '"' || char.IsControl(letter))) throw new CommandException($"'{value}' cannot stand in a statement: leave out quotation marks and control characters.");
        return value.Length == 0 || value.Any(letter => letter == '#' || char.IsWhiteSpace(letter)) ? $"\"{value}\"" : value;
    }

    private static async Task SendAsync(ApiConnection server, Terminal terminal, string text, bool checkOnly, CancellationToken cancel)
    {
        JsonNode answer = await server.PostAsync("api/declarations", new JsonObject { ["text"] = text, ["check_only"] = checkOnly }, cancel);
        int count = answer["data"]!.AsArray().Count;
        string what = count == 1 ? answer["data"]![0]!["statement"]!.ToString() : $"{count} statements";
        terminal.Say(answer, checkOnly ? $"Understood, nothing declared: {what}" : $"Declared: {what}");
    }
}
