using System.Text.Json.Nodes;
using Qanat.Engine;

namespace Qanat.Gateway;

/// <summary>What is served and how busy it is.</summary>
internal sealed class StatusApi(RoutingState routing, LiveMeter live)
{
    public void Map(AdminRoutes routes) => routes.Get("/api/status", Permission.SeeStatus, Read, new(Tags.Server, "What is served here and how busy it is"));

    public JsonObject Read(AdminRequest request) => new()
    {
        ["version"] = QanatVersion.Text,
        ["active"] = live.Snapshot().Active,
        ["deployments"] = new JsonArray([.. routing.Deployments.Select(Of)]),
    };

    private static JsonObject Of(Deployment deployment)
    {
        EngineStatus status = deployment.Engine.Status;
        return new JsonObject
        {
            ["model"] = deployment.Name.Value,
            ["deployment"] = deployment.Meter.Deployment.Value,
            ["pool"] = deployment.Meter.Pool.Value,
            ["notice"] = deployment.Model.Notice,
            ["kernels"] = status.KernelTier,
            ["context_length"] = deployment.Engine.ContextLength,
            ["running"] = status.Running,
            ["waiting"] = status.Waiting,
            ["blocks"] = new JsonObject { ["free"] = status.BlocksFree, ["cached"] = status.BlocksCached, ["used"] = status.BlocksUsed },
            ["states"] = status.States is { } states ? new JsonObject { ["slots"] = states.Slots, ["held"] = states.Held, ["checkpoints"] = states.Checkpoints } : null,
            ["unpacked_bytes"] = status.UnpackedBytes,
            ["steps"] = status.Steps,
            ["prompt_tokens"] = status.PromptTokens,
            ["generated_tokens"] = status.GeneratedTokens,
            ["books_stalled"] = deployment.Meter.Stalled,
            ["last_failure"] = status.LastFailure,
        };
    }
}
