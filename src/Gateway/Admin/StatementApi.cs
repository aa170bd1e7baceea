using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Cash flow, consolidation and the note on segments. Each posts what is settled first and reads the books at that moment.</summary>
internal sealed class StatementApi(BooksPoster poster)
{
    public void Map(AdminRoutes routes)
    {
        routes.Get("/api/books/cash", Permission.SeeBooks, CashFlowAsync, new(Tags.Books, "Cash flow of a period") { Query = [Asked.From, Asked.To], Answer = Schema.Rows("One for each currency") });
        routes.Get("/api/books/consolidation", Permission.SeeBooks, ConsolidationAsync, new(Tags.Books, "What tenants of the house bought of it, eliminated from the whole") { Query = [Asked.From, Asked.To], Answer = Schema.Rows("One for each currency") });
        routes.Get("/api/books/segments", Permission.SeeBooks, SegmentsAsync, new(Tags.Books, "The note on segments")
        {
            Query = [Asked.From, Asked.To, Field.May("standard", Schema.OneOf("By which standard", "asc280", "ifrs8").Defaults("asc280"))],
            Answer = Schema.Rows("One for each currency"),
        });
    }

    public async Task<JsonObject> CashFlowAsync(AdminRequest request)
    {
        var flows = await poster.PostThenAsync(books => CashFlow.ReadAsync(books, request.Period, request.Cancel), request.Cancel);
        return AdminJson.List(flows.Select(flow => new JsonObject
        {
            ["currency"] = flow.Opening.Currency.Code,
            ["opening"] = flow.Opening.ToDecimalText(),
            ["operating"] = flow.Operating.ToDecimalText(),
            ["investing"] = flow.Investing.ToDecimalText(),
            ["financing"] = flow.Financing.ToDecimalText(),
            ["exchange"] = flow.Exchange.ToDecimalText(),
            ["closing"] = flow.Closing.ToDecimalText(),
            ["lines"] = new JsonArray([.. flow.Lines.Select(line => new JsonObject { ["event"] = line.Event, ["amount"] = line.Amount.ToDecimalText() })]),
        }));
    }

    public async Task<JsonObject> ConsolidationAsync(AdminRequest request)
    {
        var sides = await poster.PostThenAsync(books => Consolidation.ReadAsync(books, request.Period, request.Cancel), request.Cancel);
        return AdminJson.List(sides.Select(side => new JsonObject
        {
            ["currency"] = side.Combined.Currency.Code,
            ["external_revenue"] = side.ExternalRevenue.ToDecimalText(),
            ["internal_revenue"] = side.InternalRevenue.ToDecimalText(),
            ["internal_use"] = side.InternalUse.ToDecimalText(),
            ["internal_cost"] = side.InternalCost.ToDecimalText(),
            ["internal_profit"] = side.InternalProfit.ToDecimalText(),
            ["combined"] = side.Combined.ToDecimalText(),
            ["consolidated"] = side.Consolidated.ToDecimalText(),
        }));
    }

    public async Task<JsonObject> SegmentsAsync(AdminRequest request)
    {
        SegmentStandard standard = (request.Query("standard") ?? "asc280") switch
        {
            "asc280" => SegmentStandard.Asc280,
            "ifrs8" => SegmentStandard.Ifrs8,
            _ => throw Refusal.Value("standard", "it must be asc280 or ifrs8."),
        };
        var notes = await poster.PostThenAsync(books => SegmentNote.ReadAsync(books, request.Period, standard, request.Cancel), request.Cancel);
        return AdminJson.List(notes.Select(note => new JsonObject
        {
            ["currency"] = note.Currency.Code,
            ["significant_title"] = note.SignificantTitle,
            ["other_title"] = note.OtherTitle,
            ["reconciliation_title"] = note.ReconciliationTitle,
            ["segments"] = new JsonArray([.. note.Segments.Select(Of)]),
            ["unallocated"] = Expenses(note.Unallocated),
            ["eliminated"] = note.Eliminated.ToDecimalText(),
            ["total"] = note.Total.ToDecimalText(),
        }));
    }

    private static JsonObject Of(SegmentRow row) => new()
    {
        ["segment"] = row.Segment,
        ["external_revenue"] = row.ExternalRevenue.ToDecimalText(),
        ["intersegment_revenue"] = row.IntersegmentRevenue.ToDecimalText(),
        ["significant"] = Expenses(row.Significant),
        ["other"] = row.Other.ToDecimalText(),
        ["result"] = row.Result.ToDecimalText(),
    };

    private static JsonArray Expenses(IEnumerable<SegmentExpense> expenses) =>
        new([.. expenses.Select(expense => new JsonObject { ["caption"] = expense.Caption, ["amount"] = expense.Amount.ToDecimalText() })]);
}
