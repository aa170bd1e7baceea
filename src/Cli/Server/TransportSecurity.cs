using System.Globalization;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Qanat.Gateway;

namespace Qanat.Cli;

/// <summary>What every answer says about transport. Where https is served, http leads pages there and is refused to APIs: a key that has crossed the network in the clear must not seem to work.</summary>
internal sealed class TransportSecurity(RequestDelegate next, TlsConfiguration? tls, IServer server, KeyRing keys)
{
    public Task InvokeAsync(HttpContext context)
    {
        context.Response.Headers.XContentTypeOptions = "nosniff";
        if (tls is null || IsProbe(context.Request.Path)) return next(context);
        if (context.Request.IsHttps)
        {
            if (tls.HstsSeconds is > 0 and { } seconds) context.Response.Headers.StrictTransportSecurity = string.Create(CultureInfo.InvariantCulture, $"max-age={seconds}");
            return next(context);
        }
        // Commands on this machine show a key that never leaves it.
        return tls.HttpOnlyLeads && !keys.IsLocal(context.Request) ? LeadAsync(context) : next(context);
    }

    private async Task LeadAsync(HttpContext context)
    {
        bool isPage = HttpMethods.IsGet(context.Request.Method) || HttpMethods.IsHead(context.Request.Method);
        if (isPage && !GatewayPaths.IsApi(context.Request.Path) && Secure(context.Request) is { } there)
        {
            context.Response.Redirect(there, permanent: true, preserveMethod: true);
            return;
        }
        context.Response.StatusCode = StatusCodes.Status403Forbidden;
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync("""{"error":{"message":"This server is used by https only. The key that you sent has crossed the network in the clear: consider rotating it.","type":"permission_error","param":null,"code":"https_required"}}""", context.RequestAborted);
    }

    /// <summary>Probes of balancers are asked on whatever port they know.</summary>
    private static bool IsProbe(PathString path) => path == "/healthz" || path == "/readyz";

    private string? Secure(HttpRequest request)
    {
        string? address = server.Features.Get<IServerAddressesFeature>()?.Addresses.FirstOrDefault(each => each.StartsWith("https://", StringComparison.OrdinalIgnoreCase));
        if (address is null) return null;
        int port = BindingAddress.Parse(address).Port;
        HostString host = port == 443 ? new HostString(request.Host.Host) : new HostString(request.Host.Host, port);
        return $"https://{host.ToUriComponent()}{request.PathBase}{request.Path}{request.QueryString}";
    }
}
