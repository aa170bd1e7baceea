using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>What tenants have agreed on, and where they stand: free tokens, credit and commitment left.</summary>
internal sealed class ContractApi(TariffState tariffs, ContractStanding standing, AdminJson json)
{
    public void Map(AdminRoutes routes) => routes.Get("/api/contracts", Permission.SeeBooks, ListAsync, new(Tags.Invoices, "What tenants have agreed on, and what is left of free tokens, credits and commitments")
    {
        Answer = Schema.Object(Field.Needed("contracts", Schema.List(Schema.AnyObject)), Field.Needed("credits", Schema.List(Schema.AnyObject)), Field.Needed("reservations", Schema.List(Schema.AnyObject))),
    });

    public async Task<JsonObject> ListAsync(AdminRequest request)
    {
        ContractFigures figures = await standing.ReadAsync(request.Cancel);
        return new JsonObject
        {
            ["contracts"] = new JsonArray([.. figures.Contracts.Select(Of)]),
            ["credits"] = new JsonArray([.. figures.Credits.Select(Of)]),
            ["reservations"] = new JsonArray([.. tariffs.Declared.Reservations.Select(Of)]),
        };
    }

    private JsonObject Of(ContractUse use) => new()
    {
        ["name"] = use.Contract.Name,
        ["tenant"] = json.Of((TenantId?)use.Contract.Tenant),
        ["model"] = use.Contract.Model?.Value,
        ["from"] = AdminJson.Text((Instant?)use.Contract.Period.From),
        ["to"] = use.Contract.Period.To == Period.All.To ? null : AdminJson.Text((Instant?)use.Contract.Period.To),
        ["in_force"] = use.InForce,
        ["discount"] = FactValue.PermilleText(use.Contract.DiscountPermille),
        ["free_tokens"] = use.Contract.Free?.Tokens,
        ["free_tokens_used"] = use.Contract.Free is null ? null : use.FreeTokensUsed,
        ["free_until"] = AdminJson.Text(use.Contract.Free?.Until),
        ["when_exhausted"] = use.Contract.Free is { } quota ? AdminJson.Text(quota.Then) : null,
        ["commitment"] = AdminJson.Text(use.Contract.MonthlyCommitment),
        ["charged_this_month"] = AdminJson.Text(use.ChargedThisMonth),
        ["currency"] = use.Contract.MonthlyCommitment?.Currency.Code,
        ["transfer"] = use.Contract.Transfer is { } policy ? AdminJson.Text(policy.Basis) : null,
    };

    private JsonObject Of(CreditPosition position) => new()
    {
        ["name"] = position.Credit.Name,
        ["tenant"] = json.Of((TenantId?)position.Credit.Tenant),
        ["amount"] = position.Credit.Amount.ToDecimalText(),
        ["drawn"] = position.Drawn.ToDecimalText(),
        ["expired"] = position.Expired.ToDecimalText(),
        ["left"] = position.Left.ToDecimalText(),
        ["currency"] = position.Credit.Amount.Currency.Code,
        ["paid_at"] = AdminJson.Text((Instant?)position.Credit.PaidAt),
        ["expires_at"] = AdminJson.Text(position.Credit.ExpiresAt),
        ["when_exhausted"] = AdminJson.Text(position.Credit.Then),
    };

    private JsonObject Of(Qanat.Books.Reservation reservation) => new()
    {
        ["name"] = reservation.Name,
        ["tenant"] = json.Of((TenantId?)reservation.Tenant),
        ["model"] = reservation.Model.Value,
        ["from"] = AdminJson.Text((Instant?)reservation.Period.From),
        ["to"] = AdminJson.Text((Instant?)reservation.Period.To),
        ["units"] = reservation.Units,
        ["input_tokens_per_minute"] = reservation.InputTokensPerMinute,
        ["output_tokens_per_minute"] = reservation.OutputTokensPerMinute,
    };
}
