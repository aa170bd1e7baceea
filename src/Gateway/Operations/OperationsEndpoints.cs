using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>GET /readyz: whether a balancer should send requests here. GET /metrics: Prometheus text, with a key that may see the status.</summary>
internal sealed class OperationsEndpoints(DrainState drain, RoutingState routing, MetricsText metrics)
{
    public const string Metrics = "/metrics";

    public void Map(ApiRoutes routes) => routes.Get(Metrics, Permission.SeeStatus, WriteMetricsAsync);

    public async Task ReadyAsync(HttpContext context)
    {
        string? reason = drain.IsDraining ? "draining"
            : routing.Deployments.FirstOrDefault(each => each.Meter.Stalled) is { } stalled ? $"{stalled.Name}: usage cannot be written"
            : null;
        using JsonAnswer json = new();
        json.Writer.WriteStartObject();
        json.Writer.WriteString("status", reason is null ? "ready" : "not ready");
        if (reason is not null)
        {
            json.Writer.WriteString("reason", reason);
            context.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
            context.Response.Headers.RetryAfter = "5";
        }
        json.Writer.WriteEndObject();
        await json.SendAsync(context.Response);
    }

    private async Task WriteMetricsAsync(HttpContext context)
    {
        context.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
        await context.Response.WriteAsync(await metrics.WriteAsync(context.RequestAborted), context.RequestAborted);
    }
}
