using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>GET /healthz: that the process runs. GET /readyz: whether a balancer should send requests here. GET /metrics: Prometheus text, with a key that may see the status.</summary>
internal sealed class OperationsEndpoints(DrainState drain, RoutingState routing, MetricsText metrics)
{
    public const string Metrics = "/metrics";

    public void Map(ApiRoutes routes)
    {
        routes.Open("/healthz", HealthAsync, new(Tags.Server, "Whether the process runs") { Answer = Schema.Object(Field.Needed("status", Schema.OneOf("It does", "ok")), Field.Needed("version", Schema.Text("Of the server"))) });
        routes.Open("/readyz", ReadyAsync, new(Tags.Server, "Whether a balancer should send requests here: 503 says that it should not") { Answer = Ready, Unready = Ready });
        routes.Get(Metrics, Permission.SeeStatus, WriteMetricsAsync, new(Tags.Server, "Figures for Prometheus") { Answer = Schema.Text("Prometheus' text format"), AnswerType = "text/plain" });
    }

    private static Schema Ready => Schema.Object(Field.Needed("status", Schema.OneOf("Whether it should", "ready", "not ready")), Field.May("reason", Schema.Text("Why it should not")));

    private static async Task HealthAsync(HttpContext context)
    {
        using JsonAnswer json = new();
        json.Writer.WriteStartObject();
        json.Writer.WriteString("status", "ok");
        json.Writer.WriteString("version", QanatVersion.Text);
        json.Writer.WriteEndObject();
        await json.SendAsync(context.Response);
    }

    private async Task ReadyAsync(HttpContext context)
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
