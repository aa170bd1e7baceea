using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>Counts the tokens that a request would be. Those of a model that only upstreams serve are counted by a model here that counts as theirs does, and estimated when there is none: the answer says so.
/// To count is held to what the request would be: its key's models, the stop switch, and rates, of which it takes a request and no tokens. It has no hold and no cost.</summary>
internal sealed class PromptCounter(RoutingState routing, RateLimits rates, TenantStops stops, DrainState drain)
{
    /// <summary>What is answered.</summary>
    public static Schema Counted { get; } = Schema.Object(Field.May("object", Schema.Text()), Field.Needed("input_tokens", Schema.Integer("How many the prompt has", 0)), Field.May("x_qanat", Schema.Object(Field.Needed("estimated", Schema.Flag("Nobody here counts exactly as the model's upstream does"))))).Called("CountedTokens");

    /// <param name="kind">The answer's "object"; null: it has none.</param>
    public async Task SendAsync(HttpContext context, Call call, string? kind)
    {
        using IDisposable running = drain.Enter();
        call.Caller.DemandModel(call.Model);
        using RateLease place = await EnterAsync(call, context.RequestAborted);
        OwnCount count = new(call, routing.FindUpstreams(call.Model) is { } set ? routing.CountAs(set) : null);
        using JsonAnswer json = new();
        json.Writer.WriteStartObject();
        if (kind is not null) json.Writer.WriteString("object", kind);
        json.Writer.WriteNumber("input_tokens", count.Input);
        if (!count.IsExact)
        {
            json.Writer.WriteStartObject("x_qanat");
            json.Writer.WriteBoolean("estimated", true);
            json.Writer.WriteEndObject();
        }
        json.Writer.WriteEndObject();
        await json.SendAsync(context.Response);
    }

    private async Task<RateLease> EnterAsync(Call call, CancellationToken cancel)
    {
        CancellationToken stop = stops.Watch(call.Caller.Tenant.Id);
        using CancellationTokenSource either = CancellationTokenSource.CreateLinkedTokenSource(cancel, stop);
        try
        {
            return await rates.EnterAsync(call, [], either.Token);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            throw TenantStops.Stopped();
        }
        finally
        {
            call.Caller.Told?.Note(rates.State(call));
        }
    }
}
