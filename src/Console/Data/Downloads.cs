using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Qanat.Books;
using Qanat.Gateway;

namespace Qanat.Console;

/// <summary>What pages link to that is no page: printable invoices, and the books as files. For those who are signed in.</summary>
internal static class Downloads
{
    public static void MapDownloads(this WebApplication app)
    {
        app.MapGet("/invoices/{number}/print", PrintAsync).RequireAuthorization(NeedsAttribute.PolicyOf(Permission.SeeInvoices)).AddEndpointFilter(SecurityHeaders.Add);
        app.MapGet("/download/{format}", ExportAsync).RequireAuthorization(NeedsAttribute.PolicyOf(Permission.SeeBooks)).AddEndpointFilter(SecurityHeaders.Add);
    }

    private static async Task<IResult> PrintAsync(string number, FinanceData finance, DirectoryState directory, HttpContext context)
    {
        if (SessionCookie.CallerOf(directory, context.User) is not { } caller || finance.FindInvoice(number, caller.Only()) is not { } status) return Results.NotFound();
        Invoice invoice = await finance.InvoiceAsync(status, context.RequestAborted);
        return Results.Content(HtmlExport.Invoice(invoice, "Qanat", directory.Current.FindTenant(invoice.Tenant)?.Name ?? invoice.Tenant.ToString()), "text/html; charset=utf-8");
    }

    private static async Task<IResult> ExportAsync(string format, BooksExport export, string? period, TimeProvider clock, HttpContext context)
    {
        if (!BooksExport.Formats.TryGetValue(format, out ExportFormat? kind)) return Results.NotFound();
        Period chosen = period is null ? Period.All : PeriodChoice.Parse(period, clock).Period;
        Stream file = await export.WriteAsync(kind, chosen, GroupBy.Tenant | GroupBy.Model, context.RequestAborted);
        return Results.File(file, kind.MediaType, $"qanat-books.{kind.Extension}");
    }
}
