using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>The part of the admin API that finance people use: contracts, costs, invoices, periods, price files, statements.</summary>
internal sealed class FinanceEndpoints(Callers callers, GatewayOptions options, DeclarationApi declarations, ContractApi contracts, CostApi costs, InvoiceApi invoices, PeriodApi periods,
    PriceFileApi priceFiles, StatementApi statements, IngestApi ingest, ExportApi exports)
{
    public void Map(ApiRoutes routes)
    {
        Get(routes, "/api/declarations", Permission.SeeBooks, declarations.List);
        Post(routes, "/api/declarations", Permission.ChangeBooks, declarations.AddAsync);
        Get(routes, "/api/contracts", Permission.SeeBooks, contracts.ListAsync);
        Get(routes, "/api/costs/pools", Permission.SeeCosts, costs.PoolsAsync);
        Get(routes, "/api/costs/training", Permission.SeeCosts, costs.TrainingAsync);
        Get(routes, "/api/costs/assumptions", Permission.SeeCosts, costs.Assumptions);
        Get(routes, "/api/invoices", Permission.SeeInvoices, invoices.List);
        Post(routes, "/api/invoices", Permission.ChangeBooks, invoices.FinaliseAsync);
        Post(routes, "/api/invoices/draft", Permission.SeeBooks, invoices.DraftAsync);
        Get(routes, "/api/invoices/{id}", Permission.SeeInvoices, invoices.ShowAsync);
        Post(routes, "/api/invoices/{id}/void", Permission.ChangeBooks, invoices.VoidAsync);
        Post(routes, "/api/invoices/{id}/credit", Permission.ChangeBooks, invoices.CreditAsync);
        Post(routes, "/api/invoices/{id}/payment", Permission.ChangeBooks, invoices.PayAsync);
        Get(routes, "/api/periods", Permission.SeeBooks, periods.List);
        Post(routes, "/api/periods", Permission.ChangeBooks, periods.CloseAsync);
        Post(routes, "/api/books/reprice", Permission.ChangeBooks, periods.RepriceAsync);
        Get(routes, "/api/books/cash", Permission.SeeBooks, statements.CashFlowAsync);
        Get(routes, "/api/books/consolidation", Permission.SeeBooks, statements.ConsolidationAsync);
        Get(routes, "/api/books/segments", Permission.SeeBooks, statements.SegmentsAsync);
        Get(routes, "/api/prices/file", Permission.SeePrices, priceFiles.Write);
        Post(routes, "/api/prices/check", Permission.SeePrices, priceFiles.Check);
        Post(routes, "/api/prices/diff", Permission.SeePrices, priceFiles.Diff);
        Post(routes, "/api/prices/import", Permission.ChangePrices, priceFiles.ImportAsync);
        routes.Post("/api/usage", Permission.ChangeBooks, ingest.ServeAsync);
        routes.Get("/api/books/export", Permission.SeeBooks, async context => await exports.ServeAsync(context, RequestOf(context)));
        routes.Get("/api/invoices/{id}/export", Permission.SeeInvoices, async context => await invoices.ExportAsync(context, RequestOf(context)));
    }

    private AdminRequest RequestOf(HttpContext context) => new(context, callers.Require(context.Request));

    private void Get(ApiRoutes routes, string path, Permission needs, Func<AdminRequest, JsonObject> answer) => Get(routes, path, needs, request => Task.FromResult(answer(request)));

    private void Get(ApiRoutes routes, string path, Permission needs, Func<AdminRequest, Task<JsonObject>> answer) => routes.Get(path, needs, async context =>
        await SendAsync(context, await answer(RequestOf(context))));

    private void Post(ApiRoutes routes, string path, Permission needs, Func<AdminRequest, JsonFields, JsonObject> answer) => Post(routes, path, needs, (request, fields) => Task.FromResult(answer(request, fields)));

    private void Post(ApiRoutes routes, string path, Permission needs, Func<AdminRequest, JsonFields, Task<JsonObject>> answer) => routes.Post(path, needs, async context =>
    {
        using JsonBody body = await JsonBody.ReadAsync(context.Request, options, context.RequestAborted);
        await SendAsync(context, await answer(RequestOf(context), JsonFields.OfRequest(body.Root)));
    });

    private static async Task SendAsync(HttpContext context, JsonObject answer)
    {
        using JsonAnswer json = new();
        answer.WriteTo(json.Writer);
        await json.SendAsync(context.Response);
    }
}
