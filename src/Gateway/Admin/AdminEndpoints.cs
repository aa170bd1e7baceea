using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>The admin API below /api: every endpoint needs an owner's key and answers JSON with exact decimal strings. The CLI is its first user.</summary>
internal sealed class AdminEndpoints(Callers callers, GatewayOptions options, DirectoryApi directory, TariffApi tariffs, UsageApi usage, BooksApi books, StatusApi status)
{
    public void Map(ApiRoutes routes)
    {
        Get(routes, "/api/status", status.Read);
        Get(routes, "/api/tenants", directory.ListTenants);
        Post(routes, "/api/tenants", directory.CreateTenantAsync);
        Put(routes, "/api/tenants/{id}/budget", directory.SetTenantBudgetAsync);
        Get(routes, "/api/projects", directory.ListProjects);
        Post(routes, "/api/projects", directory.CreateProjectAsync);
        Put(routes, "/api/projects/{id}/budget", directory.SetProjectBudgetAsync);
        Get(routes, "/api/keys", directory.ListKeys);
        Post(routes, "/api/keys", directory.CreateKeyAsync);
        Put(routes, "/api/keys/{id}/budget", directory.SetKeyBudgetAsync);
        Handle(routes.Delete, "/api/keys/{id}", directory.RevokeKeyAsync);
        Get(routes, "/api/prices", tariffs.ListPrices);
        Post(routes, "/api/prices", tariffs.AddPriceAsync);
        Get(routes, "/api/costs", tariffs.ListCosts);
        Post(routes, "/api/costs", tariffs.AddCostAsync);
        Post(routes, "/api/costs/confirm", tariffs.ConfirmCostAsync);
        Get(routes, "/api/usage", usage.ListAsync);
        Get(routes, "/api/usage/{id}", usage.ShowAsync);
        Get(routes, "/api/books/pnl", books.ProfitAndLossAsync);
        Get(routes, "/api/books/trial", books.TrialBalanceAsync);
        Get(routes, "/api/books/balance", books.BalanceSheetAsync);
        Get(routes, "/api/books/economics", books.UnitEconomicsAsync);
        Get(routes, "/api/books/journal", books.JournalAsync);
        Get(routes, "/api/books/check", books.CheckAsync);
        Get(routes, "/api/audit", books.AuditAsync);
        Post(routes, "/api/demo/clear", books.ClearDemoAsync);
        routes.Get("/api/books/export", async context =>
        {
            callers.RequireOwner(context.Request);
            await books.ExportAsync(context);
        });
    }

    private void Get(ApiRoutes routes, string path, Func<AdminRequest, JsonObject> answer) => Get(routes, path, request => Task.FromResult(answer(request)));
    private void Get(ApiRoutes routes, string path, Func<AdminRequest, Task<JsonObject>> answer) => Handle(routes.Get, path, answer);

    private void Post(ApiRoutes routes, string path, Func<AdminRequest, JsonFields, Task<JsonObject>> answer) => HandleBody(routes.Post, path, answer);
    private void Put(ApiRoutes routes, string path, Func<AdminRequest, JsonFields, Task<JsonObject>> answer) => HandleBody(routes.Put, path, answer);

    private void Handle(Action<string, RequestDelegate> map, string path, Func<AdminRequest, Task<JsonObject>> answer) => map(path, async context =>
    {
        Caller caller = callers.RequireOwner(context.Request);
        await SendAsync(context, await answer(new AdminRequest(context, caller)));
    });

    private void HandleBody(Action<string, RequestDelegate> map, string path, Func<AdminRequest, JsonFields, Task<JsonObject>> answer) => map(path, async context =>
    {
        Caller caller = callers.RequireOwner(context.Request);
        using JsonBody body = await JsonBody.ReadAsync(context.Request, options, context.RequestAborted);
        await SendAsync(context, await answer(new AdminRequest(context, caller), JsonFields.OfRequest(body.Root)));
    });

    private static async Task SendAsync(HttpContext context, JsonObject answer)
    {
        using JsonAnswer json = new();
        answer.WriteTo(json.Writer);
        await json.SendAsync(context.Response);
    }
}
