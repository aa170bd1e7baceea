using System.Collections.Immutable;
using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Qanat.Books;
using Qanat.Outlook;
using Spectre.Console;

namespace Qanat.Cli;

/// <summary>qanat outlook: what disclosures allow one to say about AI margins, and when an investment pays back. No server and no network is needed.</summary>
internal static class OutlookTree
{
    private static readonly Option<string?> Facts = new("--facts") { Description = "A folder with fact files and models of your own. Default: the data that comes with Qanat.", Recursive = true };
    private static readonly Option<string?> Quarter = new("--quarter") { Description = "A calendar quarter: 2026Q2 ended on 30 June 2026. Default: the last one." };
    private static readonly Option<string?> Layer = new("--layer") { Description = "Only up to this layer of assumptions." };
    private static readonly Option<string[]> Sets = new("--set") { Description = "Move an assumption: NAME=LOW..HIGH, e.g. other_margin_peers=5%..20%. May be given several times.", DefaultValueFactory = _ => [] };
    private static readonly Option<int> Seed = new("--seed") { Description = "Decides everything random.", DefaultValueFactory = _ => 1 };
    private static readonly Option<FileInfo?> Html = new("--html") { Description = "Write a report that stands alone." };
    private static readonly Option<FileInfo?> Xlsx = new("--xlsx") { Description = "Write a workbook with live formulas." };

    public static Command Build(Shared shared)
    {
        Command outlook = new("outlook", "Bounds on the AI margins of listed clouds, and the payback of one's own investments.") { Company(shared), WhatIf(shared), Check(shared), Invest(shared), Import(), Speed(shared) };
        outlook.Options.Add(Facts);
        return outlook;
    }

    private static Command Company(Shared shared)
    {
        Argument<string> name = new("name") { Description = string.Join(", ", OutlookCommands.Companies(null)) };
        Command company = new("company", "What a company's disclosures allow one to say, with certificates.") { name, Quarter, Layer, Sets, Seed, Html, Xlsx };
        company.SetAction((parsed, cancel) => RunAsync(async () =>
        {
            CompanyCommandResult result = OutlookCommands.Company(Asked(parsed, name));
            Print(shared, parsed, result.Json, result.Tables);
            if (parsed.GetValue(Html) is { } page) await File.WriteAllTextAsync(page.FullName, result.Html, cancel);
            if (parsed.GetValue(Xlsx) is { } book) await File.WriteAllBytesAsync(book.FullName, result.Workbook, cancel);
        }));
        return company;
    }

    private static Command WhatIf(Shared shared)
    {
        Argument<string> name = new("name") { Description = "The company." };
        Command whatIf = new("whatif", "Bounds only, with assumptions moved (--set).") { name, Quarter, Layer, Sets, Seed };
        whatIf.SetAction((parsed, _) => RunAsync(() =>
        {
            CompanyCommandResult result = OutlookCommands.WhatIf(Asked(parsed, name));
            Print(shared, parsed, result.Json, result.Tables);
            return Task.CompletedTask;
        }));
        return whatIf;
    }

    private static Command Check(Shared shared)
    {
        Argument<string?> name = new("name") { Description = "The company; all without one.", Arity = ArgumentArity.ZeroOrOne };
        Command check = new("check", "Verify the data: tie-outs, contradictions, missing sources. Exit code 1 if something is refused.") { name };
        check.SetAction((parsed, _) => RunAsync(() =>
        {
            CheckCommandResult result = OutlookCommands.Check(parsed.GetValue(name), parsed.GetValue(Facts));
            JsonArray lines = [.. result.Lines.Select(line => new JsonObject { ["company"] = line.Company, ["what"] = line.What, ["state"] = line.State.ToString(), ["details"] = line.Details })];
            shared.Terminal(parsed).Table(new JsonObject { ["sound"] = result.IsSound, ["lines"] = lines }, lines,
                new Column("company", "company"), new Column("state", "state"), new Column("what", "what"), new Column("details", "details"));
            return result.IsSound ? Task.CompletedTask : throw new CommandException("The data does not hold: see the lines marked Refused.");
        }));
        return check;
    }

    private static Command Invest(Shared shared)
    {
        Argument<string> file = new("investment") { Description = $"A text file, or one that comes with Qanat: {string.Join(", ", OutlookCommands.Investments(null))}." };
        Option<int> paths = new("--paths") { Description = "Simulated futures.", DefaultValueFactory = _ => MonteCarlo.PathsDefault };
        Option<bool> plan = new("--plan") { Description = "The drivers alone: leave the months out that the books have closed." };
        Command invest = new("invest", "Payback, NPV, IRR and their ranges of an investment. Closed months come from the books if the text says which pools or models it is there.") { file, paths, Seed, Html, Xlsx, plan };
        invest.SetAction((parsed, cancel) => RunAsync(async () =>
        {
            string name = parsed.GetRequiredValue(file);
            string text = File.Exists(name) ? await File.ReadAllTextAsync(name, cancel) : OutlookCommands.InvestmentTextOf(name, parsed.GetValue(Facts));
            Investment investment = InvestmentText.Read(text, Path.GetFileName(name));
            if (parsed.GetValue(plan)) investment = investment with { Actuals = [], Books = null };
            ImmutableArray<ActualCashFlow> closed = await ClosedMonthsAsync(shared, parsed, investment, cancel);
            InvestCommandResult result = OutlookCommands.Invest(new InvestCommandOptions(text, investment.File, closed, parsed.GetValue(paths), (ulong)parsed.GetValue(Seed)), investment);
            Print(shared, parsed, result.Json, result.Tables);
            if (parsed.GetValue(Html) is { } page) await File.WriteAllTextAsync(page.FullName, result.Html, cancel);
            if (parsed.GetValue(Xlsx) is { } book) await File.WriteAllBytesAsync(book.FullName, result.Workbook, cancel);
        }));
        return invest;
    }

    /// <summary>From the server that holds the books, or from the data directory.</summary>
    private static async Task<ImmutableArray<ActualCashFlow>> ClosedMonthsAsync(Shared shared, ParseResult parsed, Investment investment, CancellationToken cancel)
    {
        if (investment.Books is not { } books) return [];
        string names = string.Concat(books.Pools.Select(pool => "&pool=" + Uri.EscapeDataString(pool.Value)).Concat(books.Models.Select(model => "&model=" + Uri.EscapeDataString(model.Value))));
        await using ApiConnection server = await ApiConnection.OpenAsync(shared.Data(parsed), cancel);
        JsonNode months = await server.GetAsync($"api/books/attributed?from={investment.Start}-01&currency={investment.Currency.Code}{names}", cancel);
        return [.. months["data"]!.AsArray().Take(investment.Months).Select(month =>
        {
            Money Amount(string name) => Money.Parse(month![name]!.GetValue<string>(), investment.Currency);
            DateTimeOffset start = DateTimeOffset.Parse(month!["from"]!.GetValue<string>(), CultureInfo.InvariantCulture);
            return new ActualCashFlow(new Month(start.Year, start.Month), Amount("revenue"), Amount("operating_cost"), Amount("capital"));
        })];
    }

    private static Command Import()
    {
        Option<string> company = new("--company") { Description = "The company's short name, as in its fact file.", Required = true };
        Option<FileInfo?> to = new("--to") { Description = "Where to write the rows. Default: the terminal." };
        Command import = new("import", "Turn a published file into rows of a fact file. Nothing is fetched: give a file that you have.") { ImportXbrl(company, to), ImportExhibit(company, to) };
        return import;
    }

    private static Command ImportXbrl(Option<string> company, Option<FileInfo?> to)
    {
        Argument<FileInfo> file = new("file") { Description = "Company facts as the SEC publishes them (JSON)." };
        Option<string[]> maps = new("--map") { Description = "CONCEPT=METRIC/SEGMENT, e.g. us-gaap:Revenues=revenue/Group. Once for each concept wanted.", Required = true };
        Command xbrl = new("xbrl", "Read XBRL company facts.") { file, company, maps, to };
        xbrl.SetAction((parsed, cancel) => RunAsync(async () =>
        {
            FileInfo from = parsed.GetRequiredValue(file);
            await WriteAsync(parsed.GetValue(to), OutlookCommands.ImportXbrl(await File.ReadAllTextAsync(from.FullName, cancel), from.Name, parsed.GetRequiredValue(company), [.. parsed.GetRequiredValue(maps)]), cancel);
        }));
        return xbrl;
    }

    private static Command ImportExhibit(Option<string> company, Option<FileInfo?> to)
    {
        Argument<FileInfo> file = new("file") { Description = "The page of a results release (HTML), e.g. exhibit 99.1 of a 6-K." };
        Option<FileInfo> map = new("--map") { Description = "A CSV file that says which cells are wanted (docs/outlook.md).", Required = true };
        Option<Uri> source = new("--source") { Description = "The page's address, which every row will name.", Required = true };
        Option<Tier> tier = new("--tier") { Description = "T1 issuer text, T2 quotes a named filing, T3 press.", DefaultValueFactory = _ => Tier.T1 };
        Command exhibit = new("exhibit", "Read tables of a results exhibit.") { file, company, map, source, tier, to };
        exhibit.SetAction((parsed, cancel) => RunAsync(async () =>
        {
            FileInfo from = parsed.GetRequiredValue(file), cells = parsed.GetRequiredValue(map);
            string rows = OutlookCommands.ImportExhibit(new ExhibitImport(await File.ReadAllTextAsync(from.FullName, cancel), from.Name, parsed.GetRequiredValue(company), parsed.GetRequiredValue(source),
                parsed.GetValue(tier), await File.ReadAllTextAsync(cells.FullName, cancel), cells.Name));
            await WriteAsync(parsed.GetValue(to), rows, cancel);
        }));
        return exhibit;
    }

    private static async Task WriteAsync(FileInfo? to, string text, CancellationToken cancel)
    {
        if (to is null) await System.Console.Out.WriteAsync(text.AsMemory(), cancel);
        else await File.WriteAllTextAsync(to.FullName, text, cancel);
    }

    private static Command Speed(Shared shared)
    {
        Command bench = new("bench", "How long the analyses take here.");
        bench.SetAction((parsed, _) => RunAsync(() =>
        {
            JsonArray lines = [.. OutlookCommands.Bench().Select(line => new JsonObject { ["what"] = line.What, ["best_ms"] = Math.Round(line.BestMs, 2), ["median_ms"] = Math.Round(line.MedianMs, 2), ["runs"] = line.Runs })];
            shared.Terminal(parsed).Table(new JsonObject { ["lines"] = lines }, lines, new Column("what", "what"), new Column("best ms", "best_ms", Align.Right), new Column("median ms", "median_ms", Align.Right), new Column("runs", "runs", Align.Right));
            return Task.CompletedTask;
        }));
        return bench;
    }

    private static CompanyCommandOptions Asked(ParseResult parsed, Argument<string> name) =>
        new(parsed.GetRequiredValue(name), parsed.GetValue(Quarter), parsed.GetValue(Layer), [.. parsed.GetValue(Sets) ?? []], parsed.GetValue(Facts), (ulong)parsed.GetValue(Seed));

    private static void Print(Shared shared, ParseResult parsed, string json, IEnumerable<ReportTable> tables)
    {
        if (shared.Terminal(parsed).Format == OutputFormat.Json)
        {
            System.Console.WriteLine(json);
            return;
        }
        foreach (ReportTable each in tables)
        {
            Table table = new() { Border = TableBorder.Rounded, Title = new TableTitle(Markup.Escape(each.Title)), Caption = new TableTitle(Markup.Escape(each.Basis)) };
            foreach (string header in each.Headers) table.AddColumn(Markup.Escape(header));
            table.AddColumn("source");
            foreach (ReportRow row in each.Rows) table.AddRow([.. row.Cells.Append(row.Source).Select(cell => new Markup(Markup.Escape(cell)))]);
            AnsiConsole.Write(table);
        }
    }

    /// <summary>A refusal names file, line and reason.</summary>
    private static Task<int> RunAsync(Func<Task> run) => Shared.RunAsync(async () =>
    {
        try
        {
            await run();
        }
        catch (Exception error) when (error is OutlookDataException or IOException)
        {
            throw new CommandException(string.Create(CultureInfo.InvariantCulture, $"{error.Message}"), error);
        }
    });
}
