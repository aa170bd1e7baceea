using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Statements, the journal, the check and the export over HTTP. Each posts what is settled first and reads the books at that moment.</summary>
internal sealed class BooksApi(BooksPoster poster, IBookStore store, DirectoryState directory, AdminJson json, TimeProvider clock)
{
    private const int JournalStandard = 50;
    private const int AuditStandard = 100;
    private const int JournalMax = 1000;

    public void Map(AdminRoutes routes)
    {
        routes.Get("/api/books/pnl", Permission.SeeBooks, ProfitAndLossAsync, new(Tags.Books, "Profit and loss of a period") { Query = [Asked.From, Asked.To, Asked.By.Defaults("tenant")] });
        routes.Get("/api/books/trial", Permission.SeeBooks, TrialBalanceAsync, new(Tags.Books, "The trial balance at a moment") { Query = [Asked.At] });
        routes.Get("/api/books/balance", Permission.SeeBooks, BalanceSheetAsync, new(Tags.Books, "The balance sheet at a moment") { Query = [Asked.At] });
        routes.Get("/api/books/economics", Permission.SeeBooks, UnitEconomicsAsync, new(Tags.Books, "What a million tokens of each model bring in and cost, and how busy the pools are") { Query = [Asked.From, Asked.To] });
        routes.Get("/api/books/attributed", Permission.SeeBooks, AttributedAsync, new(Tags.Books, "What closed months of pools, or of models, brought in and took")
        {
            Query = [Field.May("pool", Schema.List(Schema.Text(), "Pools, or else models")), Field.May("model", Schema.List(Schema.Text(), "Models, or else pools")),
                Field.Needed("from", Schema.Time("The first month")), Field.May("currency", Schema.Text("In which currency").Defaults(Currency.Usd.Code))],
            Answer = Schema.Rows("Months"),
        });
        routes.Get("/api/books/journal", Permission.SeeBooks, JournalAsync, new(Tags.Books, "The newest transactions of a period, newest first")
        {
            Query = [Asked.From, Asked.To, Asked.Tenant, Field.May("account", Schema.Text("Those that touch an account or one below it")), Asked.Limit(JournalStandard, JournalMax)],
            Answer = Schema.Rows("Transactions"),
        });
        routes.Get("/api/books/check", Permission.SeeBooks, CheckAsync, new(Tags.Books, "Whether the books agree with themselves, identity by identity"));
        routes.Get("/api/audit", Permission.SeeAudit, AuditAsync, new(Tags.Books, "Who changed what and when, newest first") { Query = [Asked.Limit(AuditStandard, JournalMax)], Answer = Schema.Rows("Changes") });
        routes.Post("/api/demo/clear", Permission.Operate, ClearDemoAsync, new(Tags.Server, "Take the demonstration's tenants and their usage out of the books"));
    }

    public async Task<JsonObject> ProfitAndLossAsync(AdminRequest request)
    {
        GroupBy by = Grouping(request.Query("by") ?? "tenant");
        ProfitAndLoss statement = await poster.PostThenAsync(books => Statements.ProfitAndLossAsync(books, request.Period, by, request.Cancel), request.Cancel);
        return new JsonObject
        {
            ["from"] = request.Time("from") is { } from ? AdminJson.Text((Instant?)from) : null,
            ["to"] = request.Time("to") is { } to ? AdminJson.Text((Instant?)to) : null,
            ["rows"] = new JsonArray([.. statement.Rows.Select(row => Of(row, json))]),
            ["totals"] = new JsonArray([.. statement.Totals.Select(Of)]),
            ["unposted"] = statement.Unposted,
            ["usage_missing"] = statement.UsageMissing,
        };
    }

    public async Task<JsonObject> TrialBalanceAsync(AdminRequest request)
    {
        TrialBalance trial = await poster.PostThenAsync(books => Statements.TrialBalanceAsync(books, request.Time("at") ?? Period.All.To, request.Cancel), request.Cancel);
        return new JsonObject
        {
            ["accounts"] = new JsonArray([.. trial.Accounts.Select(balance => Of(balance))]),
            ["sums"] = new JsonArray([.. trial.Sums.Select(sum => new JsonObject { ["amount"] = sum.ToDecimalText(), ["currency"] = sum.Currency.Code })]),
            ["zero"] = trial.IsZero,
        };
    }

    public async Task<JsonObject> BalanceSheetAsync(AdminRequest request)
    {
        var sheets = await poster.PostThenAsync(books => Statements.BalanceSheetAsync(books, request.Time("at") ?? Period.All.To, request.Cancel), request.Cancel);
        JsonArray lines = [];
        foreach (BalanceSheet sheet in sheets)
        {
            foreach (AccountBalance balance in sheet.Assets) lines.Add(Of(balance, "assets"));
            foreach (AccountBalance balance in sheet.Liabilities) lines.Add(Of(balance, "liabilities"));
            foreach (AccountBalance balance in sheet.Equity) lines.Add(Of(balance, "equity"));
            lines.Add(new JsonObject { ["section"] = "equity", ["account"] = "earnings to date", ["amount"] = sheet.EarningsToDate.ToDecimalText(), ["currency"] = sheet.Currency.Code });
        }
        return new JsonObject { ["lines"] = lines, ["balanced"] = sheets.All(sheet => sheet.IsBalanced) };
    }

    public async Task<JsonObject> UnitEconomicsAsync(AdminRequest request)
    {
        UnitEconomics economics = await poster.PostThenAsync(books => Statements.UnitEconomicsAsync(books, request.Period, request.Cancel), request.Cancel);
        return UnitEconomicsJson.Of(economics);
    }

    /// <summary>Closed months of what pools or models brought in and took: ?pool=A&amp;pool=B or ?model=M, currency, from.</summary>
    public async Task<JsonObject> AttributedAsync(AdminRequest request)
    {
        string[] pools = request.All("pool"), models = request.All("model");
        if (pools.Length == 0 == (models.Length == 0)) throw Refusal.Value("pool", "name pools or models, one of the two.");
        CashAttribution of = pools.Length > 0 ? CashAttribution.Of([.. pools.Select(name => new PoolName(name))]) : CashAttribution.Of([.. models.Select(name => new ModelName(name))]);
        Instant from = request.Time("from") ?? throw Refusal.Value("from", "name the first month, such as 2026-01-01.");
        Currency currency = AdminRequest.ParseMoney("0", "currency", request.Query("currency")).Currency;
        ImmutableArray<AttributedMonth> months = await poster.PostThenAsync(books => AttributedCash.ReadAsync(books, of, currency, from, request.Cancel), request.Cancel);
        return AdminJson.List(months.Select(month => new JsonObject
        {
            ["from"] = AdminJson.Text((Instant?)month.From),
            ["revenue"] = month.Revenue.ToDecimalText(),
            ["operating_cost"] = month.OperatingCost.ToDecimalText(),
            ["capital"] = month.Capital.ToDecimalText(),
            ["currency"] = currency.Code,
        }));
    }

    /// <summary>The newest transactions of the period, newest first.</summary>
    public async Task<JsonObject> JournalAsync(AdminRequest request)
    {
        int limit = request.Limit(JournalStandard, JournalMax);
        TenantId? tenant = request.Tenant(directory.Current);
        Account? account = request.Query("account") is { } path ? new Account(path) : null;
        Queue<Transaction> newest = await poster.PostThenAsync(async books =>
        {
            Queue<Transaction> last = new(limit);
            await foreach (Transaction transaction in books.StreamJournalAsync(new JournalQuery(request.Period, account, tenant), request.Cancel))
            {
                if (last.Count == limit) last.Dequeue();
                last.Enqueue(transaction);
            }
            return last;
        }, request.Cancel);
        return AdminJson.List(newest.Reverse().Select(json.Of));
    }

    public async Task<JsonObject> CheckAsync(AdminRequest request)
    {
        BooksReport report = await poster.PostThenAsync(books => BooksCheck.RunAsync(books, request.Cancel), request.Cancel);
        return new JsonObject
        {
            ["ok"] = report.IsOk,
            ["identities"] = new JsonArray([.. report.Identities.Select(Of)]),
            ["usage_missing"] = report.UsageMissing,
            ["usage_differs"] = report.UsageDiffers,
        };
    }

    public async Task<JsonObject> AuditAsync(AdminRequest request) => AdminJson.List((await store.ReadAuditAsync(request.Limit(AuditStandard, JournalMax), request.Cancel)).Select(entry => new JsonObject
    {
        ["at"] = AdminJson.Text((Instant?)entry.At),
        ["who"] = entry.Who,
        ["action"] = entry.Action,
        ["subject"] = entry.Subject,
        ["before"] = entry.Before,
        ["after"] = entry.After,
    }));

    public async Task<JsonObject> ClearDemoAsync(AdminRequest request, JsonFields fields)
    {
        int tenants = directory.Current.Tenants.Count(tenant => tenant.IsDemo);
        DemoCleared? plan = await poster.PostThenAsync(books => PlanClearingAsync(books, request.Cancel), request.Cancel);
        if (plan is not null) await directory.ApplyAsync(plan, request.Cancel);
        return new JsonObject { ["tenants"] = plan is null ? 0 : tenants, ["requests"] = plan?.Cleared.Sum(each => each.Requests) ?? 0 };
    }

    private async Task<DemoCleared?> PlanClearingAsync(IBookReader books, CancellationToken cancel)
    {
        try
        {
            return await DemoClearing.PlanAsync(books, Instant.Now(clock), cancel);
        }
        catch (InvalidOperationException busy)
        {
            throw new ApiException(409, Refusal.InvalidRequest, "demo_running", busy.Message, retryAfter: TimeSpan.FromSeconds(5));
        }
    }

    /// <summary>"tenant,model" as dimensions.</summary>
    public static GroupBy Grouping(string text)
    {
        GroupBy by = GroupBy.None;
        foreach (string part in text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            by |= part switch
            {
                "tenant" => GroupBy.Tenant,
                "project" => GroupBy.Project,
                "model" => GroupBy.Model,
                "pool" => GroupBy.Pool,
                "day" => GroupBy.Day,
                "hour" => GroupBy.Hour,
                _ => throw Refusal.Value("by", $"'{part}' is none of tenant, project, model, pool, day and hour."),
            };
        }
        return by;
    }

    internal static JsonObject Of(ProfitRow row, AdminJson json) => new()
    {
        ["tenant"] = json.Of(row.Key.Tenant),
        ["project"] = json.Of(row.Key.Project),
        ["model"] = row.Key.Model?.Value,
        ["pool"] = row.Key.Pool?.Value,
        ["start"] = AdminJson.Text(row.Key.Start),
        ["currency"] = row.Revenue.Currency.Code,
        ["revenue"] = row.Revenue.ToDecimalText(),
        ["compute_cost"] = row.ComputeCost.ToDecimalText(),
        ["gross_margin"] = row.GrossMargin.ToDecimalText(),
        ["gross_margin_of_revenue"] = Percent(row.GrossMarginOfRevenue),
        ["requests"] = row.Requests,
        ["unpriced"] = row.Unpriced,
        ["uncosted"] = row.Uncosted,
        ["tokens"] = AdminJson.Of(row.Tokens),
        ["device_ns"] = row.Device.TotalNanoseconds,
    };

    internal static JsonObject Of(ProfitTotal total) => new()
    {
        ["currency"] = total.Revenue.Currency.Code,
        ["revenue"] = total.Revenue.ToDecimalText(),
        ["compute_cost"] = total.ComputeCost.ToDecimalText(),
        ["gross_margin"] = total.GrossMargin.ToDecimalText(),
        ["gross_margin_of_revenue"] = Percent(total.GrossMarginOfRevenue),
        ["unused_capacity"] = total.UnusedCapacity.ToDecimalText(),
        ["other"] = total.Other.ToDecimalText(),
        ["result"] = total.Result.ToDecimalText(),
        ["result_of_revenue"] = Percent(total.ResultOfRevenue),
        ["lines"] = new JsonArray([.. total.Lines.Select(line => Of(line))]),
        ["requests"] = total.Requests,
        ["unpriced"] = total.Unpriced,
        ["uncosted"] = total.Uncosted,
        ["tokens"] = AdminJson.Of(total.Tokens),
        ["device_ns"] = total.Device.TotalNanoseconds,
    };

    private static JsonObject Of(AccountBalance balance, string? section = null)
    {
        JsonObject row = new() { ["account"] = balance.Account.Path, ["amount"] = balance.Amount.ToDecimalText(), ["currency"] = balance.Amount.Currency.Code, ["entries"] = balance.Entries };
        if (section is not null) row.Insert(0, "section", section);
        return row;
    }

    private static JsonObject Of(Identity identity) => new()
    {
        ["name"] = identity.Name,
        ["subject"] = identity.Subject,
        ["left_meaning"] = identity.LeftMeaning,
        ["left"] = identity.LeftText,
        ["right_meaning"] = identity.RightMeaning,
        ["right"] = identity.RightText,
        ["difference"] = identity.DifferenceText,
        ["unit"] = identity.Unit.Name,
        ["ok"] = identity.IsOk,
        ["findings"] = new JsonArray([.. identity.Findings.Select(finding => JsonValue.Create(finding))]),
    };

    private static string? Percent(Ratio ratio) => ratio.IsDefined ? ratio.ToPercentText(1) + " %" : null;
}
