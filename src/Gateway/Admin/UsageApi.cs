using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Usage records over HTTP, newest first, paged by the id of the last one seen.</summary>
internal sealed class UsageApi(IBookStore store, DirectoryState directory, TariffState tariffs, AdminJson json)
{
    private const int PageMax = 1000;

    public async Task<JsonObject> ListAsync(AdminRequest request)
    {
        TenantId? tenant = request.Tenant(directory.Current);
        ProjectId? project = request.Query("project") is { } id ? new ProjectId(AdminRequest.ParseId(id, "project")) : null;
        ModelName? model = request.Query("model") is { } served ? new ModelName(served) : null;
        TransactionId? transaction = request.Query("transaction") is { } posting ? new TransactionId(AdminRequest.ParseId(posting, "transaction")) : null;
        RequestId? before = request.Query("before") is { } last ? new RequestId(AdminRequest.ParseId(last, "before")) : null;
        UsageQuery query = new(request.Period, tenant, project, model, transaction, null, before, null, request.Limit(100, PageMax), request.Query("pool") is { } pool ? new PoolName(pool) : null);
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
