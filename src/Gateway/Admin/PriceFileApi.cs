using System.Collections.Immutable;
using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Price lists as files: checked, compared with the books, imported, written.</summary>
internal sealed class PriceFileApi(FinanceChanges changes, TariffState tariffs, AdminJson json)
{
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
