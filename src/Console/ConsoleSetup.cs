using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Qanat.Gateway;

namespace Qanat.Console;

/// <summary>How a host takes the console in: services before it is built, endpoints after.</summary>
public static class ConsoleSetup
{
    /// <summary>Adds the console's services. The host registers what they read: IBookStore, DirectoryState, KeyRing, TariffState, LiveMeter and BooksPoster;
    /// ServedModels, SeedSource and RunCall come with the gateway. All are singletons.</summary>
    public static IServiceCollection AddQanatConsole(this IServiceCollection services, ConsoleOptions options)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(options);
        services.AddSingleton(options);
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<SignInThrottle>();
        services.AddRazorComponents()
            .AddInteractiveServerComponents()
            .AddHubOptions(hub => hub.MaximumReceiveMessageSize = options.BrowserMessageBytesMax);
        services.AddCascadingAuthenticationState();
        services.AddScoped<AuthenticationStateProvider, LiveSession>();
        services.AddScoped<Toasts>();
        services.AddScoped<SignedIn>();
        services.AddSingleton<ConsoleData>();
        services.AddSingleton<JournalData>();
        services.AddSingleton<FinanceData>();
        services.AddSingleton<TariffChanges>();
        services.AddSingleton<UpstreamData>();
        services.AddSingleton<PlaygroundCalls>();
        services.AddSingleton<OutlookDesk>();

        IDataProtectionBuilder protection = services.AddDataProtection().SetApplicationName("qanat");
        if (options.CookieKeysFolder is { } folder)
            protection.PersistKeysToFileSystem(new DirectoryInfo(folder));

        services.AddAntiforgery(antiforgery =>
        {
            antiforgery.Cookie.Name = "qanat-form";
            antiforgery.Cookie.HttpOnly = true;
            antiforgery.Cookie.SameSite = SameSiteMode.Strict;
        });
        services.AddAuthentication(SessionCookie.Scheme).AddCookie(SessionCookie.Scheme, cookie => SessionCookie.Configure(cookie, options));
        OpenIdSignIn.Add(services);
        services.AddSingleton<IAuthorizationHandler, PermissionHandler>();
        AuthorizationBuilder policies = services.AddAuthorizationBuilder();
        foreach (Permission permission in Enum.GetValues<Permission>())
            policies.AddPolicy(NeedsAttribute.PolicyOf(permission), policy => policy.RequireAuthenticatedUser().AddRequirements(new NeededPermission(permission)));
        return services;
    }

    /// <summary>Maps the pages at <c>/</c>, sign-in and sign-out, and the static files they need. Call it after the gateway is mapped.</summary>
    public static void MapQanatConsole(this WebApplication app)
    {
        ArgumentNullException.ThrowIfNull(app);
        app.UseAuthentication();
        app.UseAuthorization();
        app.UseAntiforgery();
        app.MapStaticAssets().AllowAnonymous();
        app.MapSignIn();
        app.MapOutlookFiles();
        app.MapDownloads();
        app.MapRazorComponents<App>()
            .AddInteractiveServerRenderMode()
            .RequireAuthorization()
            .AddEndpointFilter(SecurityHeaders.Add);
    }
}
