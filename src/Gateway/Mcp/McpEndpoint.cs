using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Qanat.Gateway;

/// <summary>POST /mcp: the books for agents, over the Model Context Protocol's streamable HTTP without sessions. The door needs what every person's role has; each tool asks for its own permission.</summary>
internal static class McpEndpoint
{
    public const string Path = "/mcp";
    private const Permission Door = Permission.SeePrices;

    public static void Add(IServiceCollection services) => services.AddScoped<ToolsCaller>().AddMcpServer().WithHttpTransport(transport => transport.Stateless = true).WithTools<BooksTools>();

    public static void Map(WebApplication app, ApiRoutes routes)
    {
        app.MapMcp(Path).WithMetadata(new Needed(Door));
        routes.Foreign("POST", Path, Door, new(Tags.Server, "The books for agents, in messages of the Model Context Protocol, without sessions; each tool asks for its own permission")
        {
            Body = Schema.AnyObject,
            Streams = StreamFraming.EventsType,
        });
    }

    /// <summary>Without regard to case, as its route matches: else another spelling would pass by the door.</summary>
    public static bool Is(PathString path) => path.StartsWithSegments(Path, StringComparison.OrdinalIgnoreCase);

    /// <summary>Before the protocol reads anything.</summary>
    public static Task AdmitAsync(HttpContext context, RequestDelegate next)
    {
        Callers callers = context.RequestServices.GetRequiredService<Callers>();
        callers.Admit(context, Door);
        context.RequestServices.GetRequiredService<ToolsCaller>().Caller = callers.Require(context.Request);
        return next(context);
    }
}
