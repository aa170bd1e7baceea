using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Invoices over HTTP: draft, make final, void, credit, pay, show, print.</summary>
internal sealed class InvoiceApi(FinanceChanges changes, TariffState tariffs, DirectoryState directory, AdminJson json, TimeProvider clock)
{
    public void Map(AdminRoutes routes)
    {
        routes.Get("/api/invoices", Permission.SeeInvoices, List, new(Tags.Invoices, "The invoices that you see, and what of each is open") { Query = [Asked.Tenant], Answer = Schema.Rows("Invoices") });
        routes.Post("/api/invoices", Permission.ChangeBooks, FinaliseAsync, new(Tags.Invoices, "Make an invoice of a closed period final: it never changes from then on") { Body = Invoiced("without it, the next of its year") });
        routes.Post("/api/invoices/draft", Permission.SeeBooks, DraftAsync, new(Tags.Invoices, "An invoice as it would be; nothing is written") { Body = Invoiced("without it, draft") });
        routes.Get("/api/invoices/{id}", Permission.SeeInvoices, ShowAsync, new(Tags.Invoices, "One invoice with its lines, credit notes and payments"));
        routes.Post("/api/invoices/{id}/void", Permission.ChangeBooks, VoidAsync, new(Tags.Invoices, "Void an invoice, which makes room for another of its period") { Body = Schema.Object(Reason, Day) });
        routes.Post("/api/invoices/{id}/credit", Permission.ChangeBooks, CreditAsync, new(Tags.Invoices, "Write a credit note on an invoice") { Body = Schema.Object(Called, Part, Reason, Day) });
        routes.Post("/api/invoices/{id}/payment", Permission.ChangeBooks, PayAsync, new(Tags.Invoices, "Enter a payment of an invoice") { Body = Schema.Object(Called, Part, Day) });
        routes.GetFile("/api/invoices/{id}/export", Permission.SeeInvoices, ExportAsync, new(Tags.Invoices, "One invoice as a file")
        {
            Query = [Field.May("format", Schema.OneOf("What it is written as; html prints well", "html", "csv", "json").Defaults("html")), Field.May("issuer", Schema.Text("Who issues it, in html").Defaults("Qanat"))],
            Answer = Schema.Text("The file, with the content type of its format"),
            AnswerType = "*/*",
        });
    }

    private static Field Reason => Field.Needed("reason", Schema.Text("Why"));
    private static Field Day => Field.May("at", Schema.Time("When; without it, now"));
    private static Field Called => Field.May("name", Schema.Text("Of which there is no other; without it, the invoice's number and the next of its own"));
    private static Field Part => Field.May("amount", Schema.Amount("How much, in the invoice's currency; without it, all that is open"));

    private static Schema Invoiced(string otherwise) => Schema.Object(Field.May("number", Schema.Text("Its number; " + otherwise)), Field.Needed("tenant", Schema.Text("Whom it is for: a tenant by its id or name")),
        Field.Needed("from", Asked.From.Schema), Field.Needed("to", Asked.To.Schema), Field.May("currency", Schema.Text("Which charges are on it").Defaults(Currency.Usd.Code)));

    public JsonObject List(AdminRequest request)
    {
        TenantId? tenant = request.Tenant(directory.Current);
        return AdminJson.List(InvoiceRegister.At(tariffs.Declared, Now).Where(status => tenant is null || status.Invoice.Tenant == tenant).Select(Of));
    }

    /// <summary>A final invoice with its lines, made again from the journal.</summary>
    public async Task<JsonObject> ShowAsync(AdminRequest request)
    {
        InvoiceStatus status = Find(request);
        JsonObject answer = Of(status);
        answer["lines"] = Lines(await AgainAsync(status, request.Cancel));
        answer["credit_notes"] = new JsonArray([.. tariffs.Declared.CreditNotes.Where(note => note.Invoice == request.Id).Select(note => new JsonObject
        {
            ["name"] = note.Name,
            ["at"] = AdminJson.Text((Instant?)note.At),
            ["amount"] = note.Amount.ToDecimalText(),
            ["reason"] = note.Reason,
        })]);
        answer["payments"] = new JsonArray([.. tariffs.Declared.Payments.Where(payment => payment.Invoice == request.Id).Select(payment => new JsonObject
        {
            ["name"] = payment.Name,
            ["at"] = AdminJson.Text((Instant?)payment.At),
            ["amount"] = payment.Amount.ToDecimalText(),
        })]);
        return answer;
    }

    /// <summary>Nothing is written: the invoice as it would be.</summary>
    public async Task<JsonObject> DraftAsync(AdminRequest request, JsonFields fields) =>
        Of(await changes.DraftAsync(fields.Text("number") ?? "draft", TenantOf(fields).Id, PeriodOf(fields), CurrencyOf(fields), request.Cancel));

    public async Task<JsonObject> FinaliseAsync(AdminRequest request, JsonFields fields)
    {
        Invoice final = await changes.FinaliseAsync(request.Who, fields.Text("number"), TenantOf(fields).Id, PeriodOf(fields), CurrencyOf(fields), request.Cancel);
        return Of(final);
    }

    public async Task<JsonObject> VoidAsync(AdminRequest request, JsonFields fields)
    {
        await DeclareAsync(request, $"invoice-void {request.Id} at {At(fields)} reason {Quoted(fields.RequiredText("reason"))}");
        return Of(Find(request));
    }

    public async Task<JsonObject> CreditAsync(AdminRequest request, JsonFields fields)
    {
        InvoiceStatus status = Find(request);
        string name = fields.Text("name") ?? NextName(request.Id, "C", tariffs.Declared.CreditNotes.Count(note => note.Invoice == request.Id));
        Money amount = Amount(fields, status);
        if (amount > status.Invoice.Total - status.Credited) throw Refusal.Value("amount", $"{status.Invoice.Total - status.Credited} of the invoice is left to credit.");
        await DeclareAsync(request, $"credit-note {name} invoice {request.Id} at {At(fields)} amount {amount.ToDecimalText()} currency {amount.Currency} reason {Quoted(fields.RequiredText("reason"))}");
        return Of(Find(request));
    }

    public async Task<JsonObject> PayAsync(AdminRequest request, JsonFields fields)
    {
        InvoiceStatus status = Find(request);
        string name = fields.Text("name") ?? NextName(request.Id, "P", tariffs.Declared.Payments.Count(payment => payment.Invoice == request.Id));
        Money amount = Amount(fields, status);
        await DeclareAsync(request, $"payment {name} invoice {request.Id} at {At(fields)} amount {amount.ToDecimalText()} currency {amount.Currency}");
        return Of(Find(request));
    }

    /// <summary>One invoice as a file: html (prints well), csv or json.</summary>
    public async Task ExportAsync(HttpContext context, AdminRequest request)
    {
        InvoiceStatus status = Find(request);
        Invoice invoice = (await AgainAsync(status, request.Cancel)) with { State = status.State };
        string recipient = directory.Current.FindTenant(invoice.Tenant)?.Name ?? invoice.Tenant.ToString();
        (string type, string text) = (request.Query("format") ?? "html") switch
        {
            "html" => ("text/html", HtmlExport.Invoice(invoice, request.Query("issuer") ?? "Qanat", recipient)),
            "csv" => ("text/csv", CsvExport.Invoice(invoice)),
            "json" => ("application/json", Of(invoice).ToJsonString()),
            _ => throw Refusal.Value("format", "it must be html, csv or json."),
        };
        context.Response.ContentType = type + "; charset=utf-8";
        await context.Response.WriteAsync(text, request.Cancel);
    }

    private Instant Now => Instant.Now(clock);

    private Task<Invoice> AgainAsync(InvoiceStatus status, CancellationToken cancel) =>
        changes.DraftAsync(status.Invoice.Number, status.Invoice.Tenant, status.Invoice.Period, status.Invoice.Total.Currency, cancel);

    private Task DeclareAsync(AdminRequest request, string statement) => changes.DeclareAsync(request.Who, statement, request.Cancel);

    private InvoiceStatus Find(AdminRequest request) =>
        InvoiceRegister.At(tariffs.Declared, new Instant(Now.UnixNanoseconds + 1)).FirstOrDefault(status => status.Invoice.Number == request.Id && request.Sees(status.Invoice.Tenant)) ?? throw DirectoryNames.Unknown("invoice", request.Id);

    private string NextName(string number, string letter, int count) => FormattableString.Invariant($"{number}-{letter}{count + 1}");

    private string At(JsonFields fields) => FactValue.Text(fields.Text("at") is { } text ? AdminRequest.ParseTime(text, "at") : Now);

    private static Money Amount(JsonFields fields, InvoiceStatus status)
    {
        Money amount = fields.TextOrNumber("amount") is { } text ? AdminRequest.ParseMoney(text, "amount", status.Invoice.Total.Currency.Code) : status.Open;
        return amount.Currency == status.Invoice.Total.Currency ? amount : throw Refusal.Value("amount", $"the invoice is in {status.Invoice.Total.Currency}.");
    }

    private static string Quoted(string text)
    {
        try
        {
            return FactLine.Quote(text);
        }
        catch (ArgumentException wrong)
        {
            throw Refusal.Value("reason", wrong.Message);
        }
    }

    private Tenant TenantOf(JsonFields fields) => Tenant(fields.RequiredText("tenant"));
    private Tenant Tenant(string name) => directory.Current.FindTenant(name) ?? throw DirectoryNames.Unknown("tenant", name);

    private static Currency CurrencyOf(JsonFields fields)
    {
        try
        {
            return new Currency(fields.Text("currency") ?? Currency.Usd.Code);
        }
        catch (ArgumentException wrong)
        {
            throw Refusal.Value("currency", wrong.Message);
        }
    }

    private static Period PeriodOf(JsonFields fields)
    {
        Period period = new(AdminRequest.ParseTime(fields.RequiredText("from"), "from"), AdminRequest.ParseTime(fields.RequiredText("to"), "to"));
        return period.From < period.To ? period : throw Refusal.Value("to", "it must be after 'from'.");
    }

    private JsonObject Of(InvoiceStatus status) => new()
    {
        ["number"] = status.Invoice.Number,
        ["state"] = AdminJson.Text(status.State),
        ["tenant"] = json.Of((TenantId?)status.Invoice.Tenant),
        ["from"] = AdminJson.Text((Instant?)status.Invoice.Period.From),
        ["to"] = AdminJson.Text((Instant?)status.Invoice.Period.To),
        ["currency"] = status.Invoice.Total.Currency.Code,
        ["exact"] = status.Invoice.Exact.ToDecimalText(),
        ["total"] = status.Invoice.Total.ToDecimalText(),
        ["credited"] = status.Credited.ToDecimalText(),
        ["paid"] = status.Paid.ToDecimalText(),
        ["open"] = status.Open.ToDecimalText(),
    };

    private JsonObject Of(Invoice invoice) => new()
    {
        ["number"] = invoice.Number,
        ["state"] = AdminJson.Text(invoice.State),
        ["tenant"] = json.Of((TenantId?)invoice.Tenant),
        ["from"] = AdminJson.Text((Instant?)invoice.Period.From),
        ["to"] = AdminJson.Text((Instant?)invoice.Period.To),
        ["currency"] = invoice.Total.Currency.Code,
        ["exact"] = invoice.Exact.ToDecimalText(),
        ["total"] = invoice.Total.ToDecimalText(),
        ["rounding"] = invoice.Rounding.ToDecimalText(),
        ["lines"] = Lines(invoice),
    };

    private JsonArray Lines(Invoice invoice) => new([.. invoice.Lines.Select(line => new JsonObject
    {
        ["text"] = line.Text,
        ["project"] = json.Of(line.Project),
        ["model"] = line.Model?.Value,
        ["tokens"] = AdminJson.Of(line.Tokens),
        ["exact"] = line.Exact.ToDecimalText(),
        ["amount"] = line.Amount.ToDecimalText(),
    })]);
}
