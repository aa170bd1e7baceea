using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>The admin API below /api: every endpoint names the permission it needs, sees no more than its caller reaches, and answers JSON with exact decimal strings. The CLI is its first user.</summary>
internal sealed class AdminEndpoints(Callers callers, GatewayOptions options, DirectoryApi directory, LimitsApi limits, TariffApi tariffs, UsageApi usage, BooksApi books, StatusApi status, UpstreamApi upstreams, TranscriptApi transcripts, StoringApi storing, ConfigurationApi configuration)
{
    public void Map(ApiRoutes routes)
    {
        Get(routes, "/api/status", Permission.SeeStatus, status.Read);
        Get(routes, "/api/tenants", Permission.SeeDirectory, directory.ListTenants);
        Post(routes, "/api/tenants", Permission.ChangeTenants, directory.CreateTenantAsync);
        Put(routes, "/api/tenants/{id}/budget", Permission.ChangeLimits, directory.SetTenantBudgetAsync);
        Get(routes, "/api/tenants/{id}/limits", Permission.SeeDirectory, limits.ReadTenant);
        Put(routes, "/api/tenants/{id}/limits", Permission.ChangeLimits, limits.SetTenantAsync);
        Post(routes, "/api/tenants/{id}/credit", Permission.ChangeBooks, limits.AddCreditAsync);
        Put(routes, "/api/tenants/{id}/webhook", Permission.ChangeLimits, limits.SetWebhookAsync);
        Put(routes, "/api/tenants/{id}/alert-mail", Permission.ChangeLimits, limits.SetAlertMailAsync);
        Post(routes, "/api/tenants/{id}/stop", Permission.ChangeLimits, limits.StopAsync);
        Post(routes, "/api/tenants/{id}/start", Permission.ChangeLimits, limits.StartAsync);
        Get(routes, "/api/projects/{id}/limits", Permission.SeeDirectory, limits.ReadProjectAsync);
        Put(routes, "/api/projects/{id}/limits", Permission.ChangeBudgets, limits.SetProjectAsync);
        Get(routes, "/api/projects", Permission.SeeDirectory, directory.ListProjects);
        Post(routes, "/api/projects", Permission.ChangeKeys, directory.CreateProjectAsync);
        Put(routes, "/api/projects/{id}/budget", Permission.ChangeBudgets, directory.SetProjectBudgetAsync);
        Get(routes, "/api/keys", Permission.SeeDirectory, directory.ListKeys);
        Post(routes, "/api/keys", Permission.ChangeKeys, directory.CreateKeyAsync);
        Put(routes, "/api/keys/{id}/budget", Permission.ChangeBudgets, directory.SetKeyBudgetAsync);
        Post(routes, "/api/accounts", Permission.ChangeKeys, directory.CreateAccountAsync);
        Put(routes, "/api/accounts/{id}/password", Permission.ChangeKeys, directory.SetPasswordAsync);
        Put(routes, "/api/keys/{id}/terms", Permission.ChangeKeys, directory.SetKeyTermsAsync);
        Post(routes, "/api/keys/{id}/rotate", Permission.ChangeKeys, directory.RotateKeyAsync);
        Handle(routes.Delete, "/api/keys/{id}", Permission.ChangeKeys, directory.RevokeKeyAsync);
        Get(routes, "/api/prices", Permission.SeePrices, tariffs.ListPrices);
        Post(routes, "/api/prices", Permission.ChangePrices, tariffs.AddPriceAsync);
        Get(routes, "/api/costs", Permission.SeeCosts, tariffs.ListCosts);
        Post(routes, "/api/costs", Permission.ChangeCosts, tariffs.AddCostAsync);
        Post(routes, "/api/costs/confirm", Permission.ChangeCosts, tariffs.ConfirmCostAsync);
        Get(routes, "/api/upstreams", Permission.Operate, upstreams.List);
        Post(routes, "/api/upstreams", Permission.Operate, upstreams.SaveAsync);
        Handle(routes.Delete, "/api/upstreams/{id}", Permission.Operate, upstreams.RemoveAsync);
        Post(routes, "/api/upstreams/{id}/test", Permission.Operate, upstreams.TestAsync);
        Get(routes, "/api/upstream-routes", Permission.Operate, upstreams.ListRoutes);
        Post(routes, "/api/upstream-routes", Permission.Operate, upstreams.SetRouteAsync);
        Put(routes, "/api/tenants/{id}/keeping", Permission.ChangeTranscripts, transcripts.KeepAsync);
        Get(routes, "/api/transcripts", Permission.SeeTranscripts, transcripts.ListAsync);
        Get(routes, "/api/transcripts/{id}", Permission.SeeTranscripts, transcripts.ShowAsync);
        Handle(routes.Delete, "/api/transcripts", Permission.ChangeTranscripts, transcripts.DeleteAllAsync);
        Handle(routes.Delete, "/api/transcripts/{id}", Permission.ChangeTranscripts, transcripts.DeleteAsync);
        Get(routes, "/api/tenants/{id}/responses", Permission.SeeDirectory, storing.Read);
        Put(routes, "/api/tenants/{id}/responses", Permission.ChangeTranscripts, storing.SetAsync);
        Handle(routes.Delete, "/api/tenants/{id}/responses", Permission.ChangeTranscripts, storing.DeleteAllAsync);
        Get(routes, "/api/usage", Permission.SeeUsage, usage.ListAsync);
        Get(routes, "/api/usage/{id}", Permission.SeeUsage, usage.ShowAsync);
        Get(routes, "/api/books/pnl", Permission.SeeBooks, books.ProfitAndLossAsync);
        Get(routes, "/api/books/trial", Permission.SeeBooks, books.TrialBalanceAsync);
        Get(routes, "/api/books/balance", Permission.SeeBooks, books.BalanceSheetAsync);
        Get(routes, "/api/books/economics", Permission.SeeBooks, books.UnitEconomicsAsync);
        Get(routes, "/api/books/attributed", Permission.SeeBooks, books.AttributedAsync);
        Get(routes, "/api/books/journal", Permission.SeeBooks, books.JournalAsync);
        Get(routes, "/api/books/check", Permission.SeeBooks, books.CheckAsync);
        Get(routes, "/api/audit", Permission.SeeAudit, books.AuditAsync);
        Post(routes, "/api/config/reload", Permission.Operate, configuration.ReloadAsync);
        Post(routes, "/api/demo/clear", Permission.Operate, books.ClearDemoAsync);
    }

    private void Get(ApiRoutes routes, string path, Permission needs, Func<AdminRequest, JsonObject> answer) => Get(routes, path, needs, request => Task.FromResult(answer(request)));
    private void Get(ApiRoutes routes, string path, Permission needs, Func<AdminRequest, Task<JsonObject>> answer) => Handle(routes.Get, path, needs, answer);

    private void Post(ApiRoutes routes, string path, Permission needs, Func<AdminRequest, JsonFields, Task<JsonObject>> answer) => HandleBody(routes.Post, path, needs, answer);
    private void Put(ApiRoutes routes, string path, Permission needs, Func<AdminRequest, JsonFields, Task<JsonObject>> answer) => HandleBody(routes.Put, path, needs, answer);

    private void Handle(Action<string, Permission, RequestDelegate> map, string path, Permission needs, Func<AdminRequest, Task<JsonObject>> answer) =>
        map(path, needs, async context => await SendAsync(context, await answer(new AdminRequest(context, callers.Require(context.Request)))));

    private void HandleBody(Action<string, Permission, RequestDelegate> map, string path, Permission needs, Func<AdminRequest, JsonFields, Task<JsonObject>> answer) => map(path, needs, async context =>
    {
        using JsonBody body = await JsonBody.ReadAsync(context.Request, options, context.RequestAborted);
        await SendAsync(context, await answer(new AdminRequest(context, callers.Require(context.Request)), JsonFields.OfRequest(body.Root)));
    });

    private static async Task SendAsync(HttpContext context, JsonObject answer)
    {
        using JsonAnswer json = new();
        answer.WriteTo(json.Writer);
        await json.SendAsync(context.Response);
    }
}
