using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>Counts the tokens that a request would be. Those of a model that only upstreams serve are counted by a model here that counts as theirs does, and estimated when there is none: the answer says so.</summary>
internal sealed class PromptCounter(RoutingState routing)
{
    /// <param name="kind">The answer's "object"; null: it has none.</param>
    public async Task SendAsync(HttpContext context, Call call, string? kind)
    {
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
}
