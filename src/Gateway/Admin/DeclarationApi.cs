using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>What was declared, and declaring more: contracts, credits, assets, bills, tariffs, payments ... each a statement of text.</summary>
internal sealed class DeclarationApi(FinanceChanges changes, TariffState tariffs, AdminJson json)
{
    /// <summary>Of the kinds asked for ("contract,credit"), of all kinds without; newest last.</summary>
    public JsonObject List(AdminRequest request)
    {
        string[]? kinds = request.Query("kind")?.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        return AdminJson.List(tariffs.Declared.All.Where(each => kinds is null || kinds.Contains(FinanceChanges.KindOf(each))).Select(Of));
    }

    public async Task<JsonObject> AddAsync(AdminRequest request, JsonFields fields)
    {
        string text = fields.RequiredText("text");
        var declared = fields.Flag("check_only") == true ? changes.Read(text) : await changes.DeclareAsync(request.Who, text, request.Cancel);
        return AdminJson.List(declared.Select(Of));
    }

    private JsonObject Of(Declaration declaration) => new()
    {
        ["id"] = declaration.Id.ToString(),
        ["declared_at"] = AdminJson.Text((Instant?)declaration.At),
        ["kind"] = FinanceChanges.KindOf(declaration),
        ["name"] = FinanceChanges.NameOf(declaration),
        ["tenant"] = json.Of(FactLine.Read(declaration.Text).FindTenant()),
        ["statement"] = changes.WithNames(declaration.Text),
    };
}
