namespace Qanat.Gateway;

/// <summary>The admin API below /api: every endpoint names the permission it needs, sees no more than its caller reaches, and answers JSON with exact decimal strings. The CLI is its first user.
/// Each part maps its own routes, and says there what each does and reads.</summary>
internal sealed class AdminEndpoints(Callers callers, GatewayOptions options, DirectoryApi directory, LimitsApi limits, TariffApi tariffs, UsageApi usage, BooksApi books, StatusApi status, UpstreamApi upstreams, TranscriptApi transcripts, StoringApi storing, ConfigurationApi configuration)
{
    public void Map(ApiRoutes routes)
    {
        AdminRoutes admin = new(routes, callers, options);
        status.Map(admin);
        directory.Map(admin);
        limits.Map(admin);
        tariffs.Map(admin);
        upstreams.Map(admin);
        transcripts.Map(admin);
        storing.Map(admin);
        usage.Map(admin);
        books.Map(admin);
        configuration.Map(admin);
    }
}
