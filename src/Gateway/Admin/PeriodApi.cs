using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>The end of periods, and charging a past one at other prices.</summary>
internal sealed class PeriodApi(FinanceChanges changes, TariffState tariffs, AdminJson json)
{
    public void Map(AdminRoutes routes)
    {
        routes.Get("/api/periods", Permission.SeeBooks, List, new(Tags.Books, "The periods that are closed") { Answer = Schema.Rows("Periods") });
        routes.Post("/api/periods", Permission.ChangeBooks, CloseAsync, new(Tags.Books, "Close the books up to a full hour: nothing before it changes from then on")
        {
            Body = Schema.Object(Field.Needed("through", Schema.Time("The hour at which the period ends")), Field.May("name", Schema.Text("Letters, digits, '-', '_' and '.'; without it, the day it ends on"))),
        });
        routes.Post("/api/books/reprice", Permission.ChangeBooks, RepriceAsync, new(Tags.Books, "Charge past usage at other prices, and show what that changes")
        {
            Body = Schema.Object(Field.Needed("text", Schema.Text("The statement of a re-rating")), Field.May("check_only", Schema.Flag("Show what it would change, and declare nothing"))),
            Answer = Schema.Rows("What changes, by tenant and model").With(Field.Needed("declared", Schema.Flag("It holds from now on"))),
        });
    }

    public JsonObject List(AdminRequest request) => AdminJson.List(tariffs.Declared.Closes.OrderBy(close => close.Through).Select(Of));

    public async Task<JsonObject> CloseAsync(AdminRequest request, JsonFields fields)
    {
        Instant through = AdminRequest.ParseTime(fields.RequiredText("through"), "through");
        if (through.HourStart != through) throw Refusal.Value("through", "a period ends at a full hour.");
        string name = fields.Text("name") ?? FactValue.Text(new Instant(through.UnixNanoseconds - 1).DayStart);
        if (name.Length == 0 || name.Any(letter => !char.IsAsciiLetterOrDigit(letter) && letter is not ('-' or '_' or '.'))) throw Refusal.Value("name", "use letters, digits, '-', '_' and '.'.");
        return Of(await changes.CloseAsync(request.Who, name, through, request.Cancel));
    }

    /// <summary>Shows what a re-rating changes; declares it unless only that was asked for.</summary>
    public async Task<JsonObject> RepriceAsync(AdminRequest request, JsonFields fields)
    {
        string statement = fields.RequiredText("text");
        var lines = await changes.PreviewAsync(statement, request.Cancel);
        bool declare = fields.Flag("check_only") != true;
        if (declare) await changes.DeclareAsync(request.Who, statement, request.Cancel);
        return new JsonObject
        {
            ["declared"] = declare,
            ["data"] = new JsonArray([.. lines.Select(line => new JsonObject
            {
                ["tenant"] = json.Of((TenantId?)line.Tenant),
                ["model"] = line.Model.Value,
                ["requests"] = line.Requests,
                ["before"] = line.Before.ToDecimalText(),
                ["after"] = line.After.ToDecimalText(),
                ["change"] = line.Change.ToDecimalText(),
                ["currency"] = line.Before.Currency.Code,
            })]),
        };
    }

    private static JsonObject Of(PeriodClosed closed) => new() { ["name"] = closed.Name, ["through"] = AdminJson.Text((Instant?)closed.Through), ["digest"] = closed.Digest };
}
