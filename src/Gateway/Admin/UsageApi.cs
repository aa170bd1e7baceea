using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Usage records over HTTP, newest first, paged by the id of the last one seen.</summary>
internal sealed class UsageApi(IBookStore store, DirectoryState directory, TariffState tariffs, AdminJson json)
{
    private const int PageStandard = 100;
    private const int PageMax = 1000;

    public void Map(AdminRoutes routes)
    {
        routes.Get("/api/usage", Permission.SeeUsage, ListAsync, new(Tags.Usage, "Requests that were metered, newest first")
        {
            Query = [Asked.From, Asked.To, Asked.Tenant, Field.May("project", Schema.Id("Those of a project")), Field.May("model", Schema.Text("Those to a model")), Field.May("pool", Schema.Text("Those served by a pool")),
                Field.May("transaction", Schema.Id("Those that a transaction of the journal sums up")), Field.May("before", Schema.Id("The id that the page before ended with")), Asked.Limit(PageStandard, PageMax)],
            Answer = Schema.Rows("Requests"),
        });
        routes.Get("/api/usage/{id}", Permission.SeeUsage, ShowAsync, new(Tags.Usage, "One request with the price version and the pool rate behind its charge and cost"));
    }

    public async Task<JsonObject> ListAsync(AdminRequest request)
    {
        TenantId? tenant = request.Tenant(directory.Current);
        ProjectId? project = request.Query("project") is { } id ? new ProjectId(AdminRequest.ParseId(id, "project")) : null;
        ModelName? model = request.Query("model") is { } served ? new ModelName(served) : null;
        TransactionId? transaction = request.Query("transaction") is { } posting ? new TransactionId(AdminRequest.ParseId(posting, "transaction")) : null;
        RequestId? before = request.Query("before") is { } last ? new RequestId(AdminRequest.ParseId(last, "before")) : null;
        UsageQuery query = new(request.Period, tenant, project, model, transaction, null, before, null, request.Limit(PageStandard, PageMax), request.Query("pool") is { } pool ? new PoolName(pool) : null);
        return AdminJson.List((await store.ReadUsageAsync(query, request.Cancel)).Select(json.Of));
    }

    /// <summary>One record with the price version and pool rate behind its charge and cost.</summary>
    public async Task<JsonObject> ShowAsync(AdminRequest request)
    {
        RequestId id = new(AdminRequest.ParseId(request.Id, "id"));
        UsageRecord record = (await store.ReadUsageAsync(new UsageQuery(Period.All, request.Only, Id: id, Limit: 1), request.Cancel)).FirstOrDefault() ?? throw DirectoryNames.Unknown("request", request.Id);
        JsonObject answer = json.Of(record);
        answer["price"] = record.Price is { } price && tariffs.Prices.Get(price) is { } version ? json.Of(version) : null;
        answer["cost_basis"] = record.PoolRate is { } rate && request.Caller.May(Permission.SeeCosts) && tariffs.Costs.Get(rate) is { } basis ? AdminJson.Of(basis) : null;
        return answer;
    }
}
