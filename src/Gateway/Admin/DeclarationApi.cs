using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>What was declared, and declaring more: contracts, credits, assets, bills, tariffs, payments ... each a statement of text.</summary>
internal sealed class DeclarationApi(FinanceChanges changes, TariffState tariffs, AdminJson json)
{
    public void Map(AdminRoutes routes)
    {
        routes.Get("/api/declarations", Permission.SeeBooks, List, new(Tags.Invoices, "What was declared, newest last") { Query = [Field.May("kind", Schema.Text("Kinds such as contract,credit, separated by commas; without it, all"))], Answer = Schema.Rows("Declarations") });
        routes.Post("/api/declarations", Permission.ChangeBooks, AddAsync, new(Tags.Invoices, "Declare contracts, credits, assets, bills, payments and the like")
        {
            Body = Schema.Object(Field.Needed("text", Schema.Text("A statement a line, such as contract acme-1 tenant acme from 2026-02-01 discount 10%")), Field.May("check_only", Schema.Flag("Say how it is read, and write nothing"))),
            Answer = Schema.Rows("The declarations, as they are read"),
        });
    }

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
