using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Yarp.ReverseProxy.Configuration;

namespace Qanat.Gateway.Bench;

/// <summary>YARP and nothing else: what a proxy costs that looks at nothing.</summary>
internal static class YarpProxy
{
    public static async Task RunAsync(string upstream)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        RouteConfig route = new() { RouteId = "all", ClusterId = "mock", Match = new RouteMatch { Path = "/{**rest}" } };
        ClusterConfig cluster = new() { ClusterId = "mock", Destinations = new Dictionary<string, DestinationConfig> { ["mock"] = new() { Address = upstream } } };
        builder.Services.AddReverseProxy().LoadFromMemory([route], [cluster]);
        WebApplication app = builder.Build();
        app.MapReverseProxy();
        await app.StartAsync();
        System.Console.WriteLine(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        await app.WaitForShutdownAsync();
    }
}
