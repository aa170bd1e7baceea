using System.Text.Json.Nodes;

namespace Qanat.Gateway;

/// <summary>The configuration file, read again on request.</summary>
internal sealed class ConfigurationApi(ReloadConfiguration? reload = null)
{
    public void Map(AdminRoutes routes) => routes.Post("/api/config/reload", Permission.Operate, ReloadAsync, new(Tags.Server, "Read the configuration file again: what can change in a server that runs does")
    {
        Answer = Schema.Object(Field.Needed("applied", Schema.List(Schema.Text(), "What changed")), Field.Needed("need_restart", Schema.List(Schema.Text(), "What changes at the next start"))),
    });

    public async Task<JsonObject> ReloadAsync(AdminRequest request, JsonFields fields)
    {
        if (reload is null) throw new ApiException(409, Refusal.InvalidRequest, "no_configuration", "This server was started without a configuration file to read again.");
        ReloadReport report = await reload(request.Who, request.Cancel);
        if (report.Problem is { } problem) throw new ApiException(400, Refusal.InvalidRequest, "invalid_configuration", $"Nothing was changed. {problem}");
        return new JsonObject { ["applied"] = Texts(report.Applied), ["need_restart"] = Texts(report.NeedRestart) };
    }

    private static JsonArray Texts(IEnumerable<string> texts) => [.. texts.Select(text => (JsonNode)text)];
}
