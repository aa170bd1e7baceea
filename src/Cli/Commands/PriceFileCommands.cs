using System.CommandLine;
using System.Text.Json.Nodes;

namespace Qanat.Cli;

/// <summary>qanat prices check | diff | import | write: price lists as files that can be reviewed and versioned.</summary>
internal static class PriceFileCommands
{
    public static void AddTo(Shared shared, Command prices)
    {
        prices.Subcommands.Add(Check(shared));
        prices.Subcommands.Add(Diff(shared));
        prices.Subcommands.Add(Import(shared));
        prices.Subcommands.Add(Write(shared));
    }

    private static Command Check(Shared shared)
    {
        Argument<FileInfo> file = new("file") { Description = "A price file; - reads standard input." };
        Command check = new("check", "Read a price file and say every mistake with its line. Exit code 1 if there is one.") { file };
        check.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode answer = await server.PostAsync("api/prices/check", await BodyAsync(parsed.GetRequiredValue(file), cancel), cancel);
            if (answer["ok"]!.GetValue<bool>())
            {
                terminal.Say(answer, $"{answer["prices"]} prices in {answer["currency"]}, no mistakes. {answer["source"]}");
                return;
            }
            terminal.Table(answer, answer["errors"], new Column("line", "line", Align.Right), new Column("column", "column", Align.Right), new Column("problem", "problem"));
            throw new CommandException("The price file has mistakes.");
        }, cancel));
        return check;
    }

    private static Command Diff(Shared shared)
    {
        Argument<FileInfo> file = new("file") { Description = "A price file; - reads standard input." };
        Command diff = new("diff", "How a price file differs from the prices in the books.") { file };
        diff.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode all = await server.PostAsync("api/prices/diff", await BodyAsync(parsed.GetRequiredValue(file), cancel), cancel);
            terminal.Table(all, all["data"], new Column("", "change"), new Column("price", "price"), new Column("in the books", "before"), new Column("in the file", "after"));
        }, cancel));
        return diff;
    }

    private static Command Import(Shared shared)
    {
        Argument<FileInfo?> file = new("file") { Description = "A price file; - reads standard input.", Arity = ArgumentArity.ZeroOrOne };
        Option<string?> sample = new("--sample") { Description = "A list that comes with Qanat instead: model-studio-international or model-studio-mainland." };
        Command import = new("import", "Add every price of a file that the books do not have yet: all, or none.") { file, sample };
        import.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonObject body = parsed.GetValue(sample) is { } name
                ? new JsonObject { ["text"] = (await server.GetAsync("api/prices/file?sample=" + Uri.EscapeDataString(name), cancel))["files"]![0]!.ToString() }
                : await BodyAsync(parsed.GetValue(file) ?? throw new CommandException("Nothing to import: give a file, or --sample."), cancel);
            JsonNode all = await server.PostAsync("api/prices/import", body, cancel);
            terminal.Say(all, $"{all["data"]!.AsArray().Count} prices added.");
        }, cancel));
        return import;
    }

    private static Command Write(Shared shared)
    {
        Option<string?> sample = new("--sample") { Description = "A list that comes with Qanat instead: model-studio-international or model-studio-mainland." };
        Command write = new("write", "Print the prices in the books, or a sample list, as a price file.") { sample };
        write.SetAction((parsed, cancel) => shared.WithServerAsync(parsed, async (server, terminal) =>
        {
            JsonNode answer = await server.GetAsync("api/prices/file" + (parsed.GetValue(sample) is { } name ? "?sample=" + Uri.EscapeDataString(name) : ""), cancel);
            terminal.Say(answer, string.Join('\n', answer["files"]!.AsArray().Select(file => file!.ToString().TrimEnd())));
        }, cancel));
        return write;
    }

    private static async Task<JsonObject> BodyAsync(FileInfo file, CancellationToken cancel) => new() { ["text"] = await StatementCommands.ReadAsync(file, cancel) };
}
