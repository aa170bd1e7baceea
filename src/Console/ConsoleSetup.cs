using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

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
        services.AddScoped<AuthenticationStateProvider, OwnerSession>();
        services.AddScoped<Toasts>();
        services.AddScoped<Owner>();
        services.AddSingleton<ConsoleData>();
        services.AddSingleton<JournalData>();
        services.AddSingleton<TariffChanges>();
        services.AddSingleton<PlaygroundCalls>();

        IDataProtectionBuilder protection = services.AddDataProtection().SetApplicationName("qanat");
        if (options.CookieKeysFolder is { } folder)
            protection.PersistKeysToFileSystem(new DirectoryInfo(folder));

        services.AddAntiforgery(antiforgery =>
        {
            antiforgery.Cookie.Name = "qanat-form";
            antiforgery.Cookie.HttpOnly = true;
            antiforgery.Cookie.SameSite = SameSiteMode.Strict;
        });
        services.AddAuthentication(OwnerCookie.Scheme).AddCookie(OwnerCookie.Scheme, cookie => OwnerCookie.Configure(cookie, options));
        services.AddAuthorizationBuilder().AddPolicy(OwnerCookie.Policy, policy => policy.AddAuthenticationSchemes(OwnerCookie.Scheme).RequireAuthenticatedUser());
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
        app.MapRazorComponents<App>()
            .AddInteractiveServerRenderMode()
            .RequireAuthorization(OwnerCookie.Policy)
            .AddEndpointFilter(SecurityHeaders.Add);
    }
}
