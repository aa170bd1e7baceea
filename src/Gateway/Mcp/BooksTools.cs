using System.ComponentModel;
using System.Text.Json.Nodes;
using ModelContextProtocol;
using ModelContextProtocol.Server;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>What agents may ask of the books. Nothing changes anything; what is told is what the same key is told by the admin API. Amounts are exact decimal strings.</summary>
[McpServerToolType]
internal sealed class BooksTools(IBookStore store, DirectoryState directory, TariffState tariffs, BudgetLimits budgets, BooksPoster poster, AdminJson json, ToolsCaller asks)
{
    private const int UsersMax = 100;
    private const string When = "A day or an instant in UTC, such as 2026-11-22 or 2026-11-22T08:00:00Z. Absent: no bound.";

    [McpServerTool(Name = "usage", ReadOnly = true, Idempotent = true, OpenWorld = false)]
    [Description("Metered requests, tokens, charges and costs in a period, summed by tenant, project, model or day. Unpriced and uncosted requests are counted apart and never taken as zero.")]
    public Task<string> UsageAsync([Description(When)] string? from = null, [Description(When)] string? to = null, [Description("One or more of tenant, project, model, day, hour, separated by commas.")] string by = "model",
        [Description("Name or id of a tenant. Absent: all that you may see.")] string? tenant = null, CancellationToken cancel = default) => AnswerAsync(Permission.SeeUsage, async caller =>
    {
        TenantId? asked = tenant is null ? caller.Only() : directory.Current.FindTenant(tenant) is { } found && caller.Sees(found.Id) ? found.Id : throw DirectoryNames.Unknown("tenant", tenant);
        return AdminJson.List((await store.SumUsageAsync(new SumQuery(PeriodOf(from, to), BooksApi.Grouping(by), asked), cancel)).Select(sum => new JsonObject
        {
            ["tenant"] = json.Of(sum.Key.Tenant),
            ["project"] = json.Of(sum.Key.Project),
            ["model"] = sum.Key.Model?.Value,
            ["start"] = AdminJson.Text(sum.Key.Start),
            ["requests"] = sum.Requests,
            ["unpriced"] = sum.Unpriced,
            ["uncosted"] = sum.Uncosted,
            ["tokens"] = AdminJson.Of(sum.Tokens),
            ["charge"] = sum.Charge.ToDecimalText(),
            ["cost"] = sum.Cost.ToDecimalText(),
            ["currency"] = sum.Charge.Currency.Code,
        }));
    });

    [McpServerTool(Name = "prices", ReadOnly = true, Idempotent = true, OpenWorld = false)]
    [Description("Every version of the prices per million tokens that hold for you, with the day it takes effect and whether it is an assumption.")]
    public Task<string> PricesAsync() => AnswerAsync(Permission.SeePrices, caller =>
        Task.FromResult(AdminJson.List(tariffs.Prices.Versions.Where(version => version.Tenant is not { } tenant || caller.Sees(tenant)).Select(json.Of))));

    [McpServerTool(Name = "budgets", ReadOnly = true, Idempotent = true, OpenWorld = false)]
    [Description("Every budget of the tenants that you may see (their own, and those of their projects, keys, models and users): the limit for a month, a day or as long as credit paid in advance lasts, and what of it is spent, held by requests under way, and left now. Of users only those who spent or hold something, those with the least left first; users_left_out says how many more there are, and is null when there are too many to look through.")]
    public Task<string> BudgetsAsync() => AnswerAsync(Permission.SeeDirectory, async caller =>
    {
        BudgetStandings standings = new(directory.Current, budgets);
        Tenant[] seen = [.. directory.Current.Tenants.Where(tenant => caller.Sees(tenant.Id))];
        await Task.WhenAll(seen.Select(standings.KnowAsync));
        return AdminJson.List(seen.Select(tenant => Of(tenant, standings)));
    });

    private JsonObject Of(Tenant tenant, BudgetStandings standings)
    {
        (Money spent, Money held) = budgets.Use(tenant.Id.Value, tenant.MonthlyBudget?.Currency ?? Currency.Usd);
        JsonArray all = [.. standings.Of(tenant).Select(Of)];
        JsonObject row = new()
        {
            ["tenant"] = json.Of((TenantId?)tenant.Id),
            ["monthly_budget"] = tenant.MonthlyBudget?.ToDecimalText(),
            ["spent"] = spent.ToDecimalText(),
            ["held"] = held.ToDecimalText(),
            ["currency"] = spent.Currency.Code,
            ["stopped"] = TenantTerms.Of(tenant).Stopped,
            ["budgets"] = all,
        };
        if (!TenantTerms.Of(tenant).EachUser.HasBudget) return row;
        BudgetStanding[]? users = budgets.UsersNow(BudgetMetrics.CountedMax) is { } counted ? [.. UsersOf(tenant, counted)] : null;
        foreach (BudgetStanding user in users?.Take(UsersMax) ?? []) all.Add(Of(user));
        row["users_left_out"] = users is null ? null : Math.Max(0, users.Length - UsersMax);
        return row;
    }

    /// <summary>Those with the least left first.</summary>
    private static IEnumerable<BudgetStanding> UsersOf(Tenant tenant, IReadOnlyList<UserUse> counted)
    {
        PartTerms each = TenantTerms.Of(tenant).EachUser;
        return counted.Where(user => user.Tenant == tenant.Id)
            .Select(user => (User: user, Limit: user.Span == SpanKind.Month ? each.MonthlyLimit : each.DailyLimit))
            .Where(pair => pair.Limit?.Currency == pair.User.Used.Currency && !pair.User.Used.IsZero)
            .Select(pair => new BudgetStanding(new BudgetOwner("user", tenant) { User = pair.User.User }, pair.User.Span, pair.Limit!.Value, pair.User.Spent, pair.User.Held))
            .OrderBy(standing => standing.Left.Picos).ThenBy(standing => standing.Owner.User, StringComparer.Ordinal);
    }

    private static JsonObject Of(BudgetStanding standing)
    {
        BudgetOwner owner = standing.Owner;
        JsonObject row = new() { ["level"] = owner.Level };
        if (owner.Project is { } project) row["project"] = project.Name;
        if (owner.Key is { } key) row["key"] = new JsonObject { ["id"] = key.Id.ToString(), ["name"] = key.Name, ["prefix"] = key.Prefix };
        if (owner.Model is { } model) row["model"] = model.Value;
        if (owner.User is { } user) row["user"] = user;
        row["budget"] = standing.SpanWord;
        row["limit"] = standing.Limit.ToDecimalText();
        row["spent"] = standing.Spent.ToDecimalText();
        row["held"] = standing.Held.ToDecimalText();
        row["left"] = standing.Left.ToDecimalText();
        row["currency"] = standing.Limit.Currency.Code;
        return row;
    }

    [McpServerTool(Name = "profit_and_loss", ReadOnly = true, Idempotent = true, OpenWorld = false)]
    [Description("Revenue, cost of computing, gross margin, unused capacity and result of a period, by tenant, project, model, pool or day. Percentages are of revenue.")]
    public Task<string> ProfitAndLossAsync([Description(When)] string? from = null, [Description(When)] string? to = null, [Description("One or more of tenant, project, model, pool, day, hour, separated by commas.")] string by = "model",
        CancellationToken cancel = default) => AnswerAsync(Permission.SeeBooks, async _ =>
    {
        Period period = PeriodOf(from, to);
        GroupBy grouping = BooksApi.Grouping(by);
        ProfitAndLoss statement = await poster.PostThenAsync(books => Statements.ProfitAndLossAsync(books, period, grouping, cancel), cancel);
        return new JsonObject { ["rows"] = new JsonArray([.. statement.Rows.Select(row => BooksApi.Of(row, json))]), ["totals"] = new JsonArray([.. statement.Totals.Select(BooksApi.Of)]), ["unposted"] = statement.Unposted };
    });

    private async Task<string> AnswerAsync(Permission needs, Func<Caller, Task<JsonObject>> answer)
    {
        try
        {
            Caller caller = asks.Caller;
            caller.Demand(needs);
            return (await answer(caller)).ToJsonString();
        }
        catch (ApiException refused)
        {
            throw new McpException(refused.Message, refused);
        }
    }

    private static Period PeriodOf(string? from, string? to) => new(
        from is null ? Period.All.From : AdminRequest.ParseTime(from, "from"),
        to is null ? Period.All.To : AdminRequest.ParseTime(to, "to"));
}
