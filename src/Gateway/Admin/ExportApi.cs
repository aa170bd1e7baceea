using Microsoft.AspNetCore.Http;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>GET /api/books/export?format=...: the books as a file.</summary>
internal sealed class ExportApi(BooksExport export)
{
    public void Map(AdminRoutes routes) => routes.GetFile("/api/books/export", Permission.SeeBooks, ServeAsync, new(Tags.Books, "The books as a file")
    {
        Query = [Asked.From, Asked.To, Field.May("format", Schema.OneOf("What it is written as", BooksExport.Formats.Keys.Order(StringComparer.Ordinal)).Defaults("hledger")), Asked.By.Defaults("tenant,model")],
        Answer = Schema.Binary("The file, with the content type of its format"),
        AnswerType = "*/*",
    });

    public async Task ServeAsync(HttpContext context, AdminRequest request)
    {
        if (!BooksExport.Formats.TryGetValue(request.Query("format") ?? "hledger", out ExportFormat? format)) throw Refusal.Value("format", $"it must be one of {string.Join(", ", BooksExport.Formats.Keys.Order(StringComparer.Ordinal))}.");
        GroupBy by = BooksApi.Grouping(request.Query("by") ?? "tenant,model");
        await using FileStream file = await export.WriteAsync(format, request.Period, by, request.Cancel);
        context.Response.ContentType = format.MediaType;
        context.Response.ContentLength = file.Length;
        await file.CopyToAsync(context.Response.Body, request.Cancel);
    }
}
