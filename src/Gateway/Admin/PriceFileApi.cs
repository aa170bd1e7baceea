using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Price lists as files: checked, compared with the books, imported, written.</summary>
internal sealed class PriceFileApi(FinanceChanges changes, TariffState tariffs, AdminJson json)
{
    public void Map(AdminRoutes routes)
    {
        routes.Get("/api/prices/file", Permission.SeePrices, Write, new(Tags.Prices, "The prices in the books, or a sample list, as text of price files")
        {
            Query = [Field.May("sample", Schema.OneOf("A list that comes with this server", SamplePrices.Names))],
            Answer = Schema.Object(Field.Needed("files", Schema.List(Schema.Text(), "One for each currency"))),
        });
        routes.Post("/api/prices/check", Permission.SeePrices, Check, new(Tags.Prices, "Read a price file and show its mistakes with their places")
        {
            Body = File,
            Answer = Schema.Object(Field.Needed("ok", Schema.Flag("It has none")), Field.Needed("prices", Schema.Integer("How many are in it", 0)), Field.Needed("currency", Schema.Text().OrNull()), Field.Needed("source", Schema.Text().OrNull()),
                Field.Needed("errors", Schema.List(Schema.Object(Field.Needed("line", Schema.Integer("From 1", 1)), Field.Needed("column", Schema.Integer("From 1", 1)), Field.Needed("problem", Schema.Text()))))),
        });
        routes.Post("/api/prices/diff", Permission.SeePrices, Diff, new(Tags.Prices, "How a price file differs from the prices in the books") { Body = File, Answer = Schema.Rows("Differences") });
        routes.Post("/api/prices/import", Permission.ChangePrices, ImportAsync, new(Tags.Prices, "Add the prices of a file to the books") { Body = File, Answer = Schema.Rows("The versions that were added") });
    }

    private static Schema File => Schema.Object(Field.Needed("text", Schema.Text("The price file")));

    /// <summary>What reading a file gives; its mistakes with their places, not a refusal.</summary>
    public JsonObject Check(AdminRequest request, JsonFields fields)
    {
        PriceFileResult read = PriceFile.Parse(TextOf(fields));
        return new JsonObject
        {
            ["ok"] = read.File is not null,
            ["prices"] = read.File?.Entries.Length ?? 0,
            ["currency"] = read.File?.Currency.Code,
            ["source"] = read.File?.Source,
            ["errors"] = new JsonArray([.. read.Errors.Select(Of)]),
        };
    }

    /// <summary>How a file differs from the books.</summary>
    public JsonObject Diff(AdminRequest request, JsonFields fields)
    {
        PriceFile later = Read(fields);
        PriceFile now = new("", later.Currency, [.. PriceFiles.Current(tariffs.Prices, request.Only).Where(entry => entry.Rates.Currency == later.Currency)]);
        return AdminJson.List(now.Diff(later).Select(change => new JsonObject
        {
            ["change"] = AdminJson.Text(change.Kind),
            ["price"] = change.Subject,
            ["before"] = change.Before,
            ["after"] = change.After,
        }));
    }

    public async Task<JsonObject> ImportAsync(AdminRequest request, JsonFields fields) =>
        AdminJson.List((await changes.ImportPricesAsync(request.Who, Read(fields), request.Cancel)).Select(json.Of));

    /// <summary>The prices in the books, or a sample list, as text.</summary>
    public JsonObject Write(AdminRequest request)
    {
        if (request.Query("sample") is not { } sample) return new JsonObject { ["files"] = new JsonArray([.. PriceFiles.Of(tariffs.Prices, request.Only).Select(TextOf)]) };
        return SamplePrices.Names.Contains(sample)
            ? new JsonObject { ["files"] = new JsonArray(JsonValue.Create(SamplePrices.Read(sample))) }
            : throw Refusal.Value("sample", $"it must be {string.Join(" or ", SamplePrices.Names)}.");
    }

    private static JsonValue TextOf(PriceFile file)
    {
        try
        {
            return JsonValue.Create(file.Write());
        }
        catch (ArgumentException wrong)
        {
            throw new ApiException(409, Refusal.InvalidRequest, "not_writable", $"A model is priced under a name that cannot stand in a file: {wrong.Message}");
        }
    }

    private static string TextOf(JsonFields fields) => fields.RequiredText("text");

    private static PriceFile Read(JsonFields fields)
    {
        PriceFileResult read = PriceFile.Parse(TextOf(fields));
        ImmutableArray<PriceFileError> errors = read.Errors;
        return read.File ?? throw Refusal.Value("text", string.Join(' ', errors.Take(5).Select(error => FormattableString.Invariant($"Line {error.Line}, column {error.Column}: {error.Problem}"))));
    }

    private static JsonObject Of(PriceFileError error) => new() { ["line"] = error.Line, ["column"] = error.Column, ["problem"] = error.Problem };
}
