using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>POST /api/usage: CloudEvents of usage, one ("application/cloudevents+json") or many ("application/cloudevents-batch+json"). Each event is durable, or refused, on its own;
/// sending it again is always safe.</summary>
internal sealed class IngestApi(UsageIngest ingest, UsageEvents events, GatewayOptions options)
{
    public void Map(AdminRoutes routes) => routes.PostRaw("/api/usage", Permission.ChangeBooks, ServeAsync, new(Tags.Usage, "Enter usage that was metered elsewhere, as CloudEvents; sending one again is always safe")
    {
        Body = Schema.Either($"One event, or up to {EventsMax} in a list", UsageEvents.Event, Schema.List(UsageEvents.Event)),
        Answer = Schema.Either("The outcome of one event, or of each in their order", Row.Called("IngestedUsage"), Schema.Rows("An outcome for each event", Row.Called("IngestedUsage"))),
    });

    private static Schema Row => Schema.Object(Field.Needed("outcome", Schema.OneOf("What became of it", [.. Enum.GetValues<IngestOutcome>().Select(AdminJson.Text), "refused"])), Field.May("request_id", Schema.Id("The request in the books")),
        Field.May("late", Schema.Flag("It belongs to a period that was closed")), Field.May("charge", Schema.Text("An exact decimal").OrNull()), Field.May("currency", Schema.Text().OrNull()), Field.May("states", Schema.List(Schema.Text())),
        Field.May("error", Schema.Text("Why it was not taken")), Field.May("param", Schema.Text("What of it was wrong").OrNull()));

    /// <summary>Events in one request.</summary>
    private const int EventsMax = 10_000;

    public async Task ServeAsync(HttpContext context)
    {
        using JsonBody body = await JsonBody.ReadAsync(context.Request, options, context.RequestAborted);
        if (body.Root.ValueKind == JsonValueKind.Array) await ServeManyAsync(context, body.Root);
        else await ServeOneAsync(context, body.Root);
    }

    /// <summary>200: stored now or before. 409: known with other content. 400: not understood.</summary>
    private async Task ServeOneAsync(HttpContext context, JsonElement element)
    {
        IngestResult result = await TakeAsync(element, context.RequestAborted);
        if (result.Outcome == IngestOutcome.Conflict) throw new ApiException(409, Refusal.InvalidRequest, "usage_conflict", ConflictText);
        await SendAsync(context, Of(result));
    }

    /// <summary>200 with the outcome of each event, in their order.</summary>
    private async Task ServeManyAsync(HttpContext context, JsonElement batch)
    {
        if (batch.GetArrayLength() > EventsMax) throw Refusal.Value("events", FormattableString.Invariant($"send at most {EventsMax} in one request."));
        JsonArray rows = [];
        Dictionary<string, int> counts = new(StringComparer.Ordinal) { ["accepted"] = 0, ["duplicate"] = 0, ["conflict"] = 0, ["refused"] = 0 };
        foreach (JsonElement element in batch.EnumerateArray())
        {
            JsonObject row = await RowAsync(element, context.RequestAborted);
            counts[row["outcome"]!.ToString()]++;
            rows.Add(row);
        }
        JsonObject answer = new() { ["data"] = rows };
        foreach ((string outcome, int count) in counts) answer[outcome] = count;
        await SendAsync(context, answer);
    }

    private async Task<JsonObject> RowAsync(JsonElement element, CancellationToken cancel)
    {
        try
        {
            return Of(await TakeAsync(element, cancel));
        }
        catch (ApiException refused) when (refused.Status == 400)
        {
            return new JsonObject { ["outcome"] = "refused", ["error"] = refused.Message, ["param"] = refused.Param };
        }
    }

    private async Task<IngestResult> TakeAsync(JsonElement element, CancellationToken cancel)
    {
        (OutsideUsage usage, Caller whose) = events.Read(element);
        try
        {
            return await ingest.TakeAsync(usage, whose, cancel);
        }
        catch (StoreException error)
        {
            throw new ApiException(503, "server_error", "books_unavailable", $"The usage could not be written: {error.Message} Send it again.", retryAfter: TimeSpan.FromSeconds(5));
        }
        catch (Exception wrong) when (wrong is ArgumentException or OverflowException)
        {
            throw Refusal.Value("data", wrong.Message);
        }
    }

    private static JsonObject Of(IngestResult result)
    {
        JsonObject row = new()
        {
            ["outcome"] = AdminJson.Text(result.Outcome),
            ["request_id"] = result.Record.Id.ToString(),
            ["late"] = result.Late,
            ["charge"] = AdminJson.Text(result.Record.Charge),
            ["currency"] = result.Record.Charge?.Currency.Code,
            ["states"] = new JsonArray([.. AdminJson.StatesOf(result.Record).Select(state => JsonValue.Create(state))]),
        };
        if (result.Outcome == IngestOutcome.Conflict) row["error"] = ConflictText;
        return row;
    }

    private const string ConflictText = "An event with this source and id is known with other content. Facts never change: send a correction under an id of its own.";

    private static async Task SendAsync(HttpContext context, JsonObject answer)
    {
        using JsonAnswer json = new();
        answer.WriteTo(json.Writer);
        await json.SendAsync(context.Response);
    }
}
