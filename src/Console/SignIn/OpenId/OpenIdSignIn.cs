using System.Text;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.OpenIdConnect;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Microsoft.IdentityModel.Protocols.OpenIdConnect;
using Microsoft.IdentityModel.Tokens;
using Qanat.Books;
using Qanat.Gateway;

namespace Qanat.Console;

/// <summary>Sign-in by OpenID Connect: authorization code with PKCE, state and nonce, done by ASP.NET Core's handler. The provider may change while the server runs.</summary>
public sealed class OpenIdSignIn(IAuthenticationSchemeProvider schemes, IOptionsMonitorCache<OpenIdConnectOptions> cache)
{
    internal const string Scheme = "qanat-openid";
    internal const string StartPath = "/signin/openid";
    internal const string EndPath = "/signin/openid/end";
    private const string CallbackPath = "/signin/openid/callback";
    private const string EndedPath = "/signin/openid/ended";

    /// <summary>By how much the provider's clock and ours may differ.</summary>
    private static readonly TimeSpan ClockSkew = TimeSpan.FromMinutes(1);

    private readonly Lock gate = new();
    private volatile OpenIdProvider? provider;

    /// <summary>The one in force, or the last that was: a request that began under it ends under it.</summary>
    private volatile OpenIdProvider? latest;

    /// <summary>Null: people sign in by account or key only.</summary>
    public OpenIdProvider? Provider => provider;

    /// <summary>Puts a provider in force, or none. Who is signed in stays so until their session ends.</summary>
    public void Apply(OpenIdProvider? next)
    {
        lock (gate)
        {
            schemes.RemoveScheme(Scheme);
            provider = next;
            latest = next ?? latest;
            cache.TryRemove(Scheme);
            if (next is not null) schemes.AddScheme(new AuthenticationScheme(Scheme, next.Name, typeof(OpenIdConnectHandler)));
        }
    }

    internal static void Add(IServiceCollection services)
    {
        services.AddSingleton<OpenIdSignIn>().AddSingleton<OpenIdPeople>();
        services.AddTransient<OpenIdConnectHandler>();
        services.AddSingleton<IConfigureOptions<OpenIdConnectOptions>, Setup>();
        services.AddSingleton<IPostConfigureOptions<OpenIdConnectOptions>, OpenIdConnectPostConfigureOptions>();
    }

    /// <summary>A page of our own that leads on. The session's cookie is not sent along with a visit that began on another site, as every answer of a provider does; from this page it is.</summary>
    internal static async Task LeadOnAsync(HttpContext context, string path)
    {
        SecurityHeaders.Set(context);
        string safe = HtmlEncoder.Default.Encode(path);
        context.Response.ContentType = "text/html; charset=utf-8";
        await context.Response.WriteAsync($"<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"0;url={safe}\"><title>Qanat</title></head><body><a href=\"{safe}\">Continue</a></body></html>", Encoding.UTF8);
    }

    private static void Configure(OpenIdConnectOptions options, OpenIdProvider provider, ConsoleOptions console)
    {
        options.Authority = provider.Authority;
        options.RequireHttpsMetadata = new Uri(provider.Authority).Scheme == "https";
        options.ClientId = provider.ClientId;
        options.ClientSecret = provider.ClientSecretFile is { } file ? File.ReadAllText(file).Trim() : null;
        options.ResponseType = OpenIdConnectResponseType.Code;
        // The answer comes as a link, not as a form: its cookies can then be SameSite=Lax, which needs no TLS on a developer's machine.
        options.ResponseMode = OpenIdConnectResponseMode.Query;
        options.UsePkce = true;
        options.SignInScheme = SessionCookie.Scheme;
        options.CallbackPath = CallbackPath;
        options.SignedOutCallbackPath = EndedPath;
        options.RemoteSignOutPath = default;
        options.MapInboundClaims = false;
        options.ClaimActions.Clear();
        options.Scope.Clear();
        options.Scope.Add("openid");
        foreach (string scope in provider.AskedScopes) options.Scope.Add(scope);
        options.TokenValidationParameters.ClockSkew = ClockSkew;
        foreach (CookieBuilder cookie in (CookieBuilder[])[options.NonceCookie, options.CorrelationCookie]) (cookie.SameSite, cookie.SecurePolicy) = (SameSiteMode.Lax, CookieSecurePolicy.SameAsRequest);
        options.Events.OnRedirectToIdentityProvider = context =>
        {
            if (provider.PublicUrl is { } url) context.ProtocolMessage.RedirectUri = url.TrimEnd('/') + CallbackPath;
            return Task.CompletedTask;
        };
        options.Events.OnRedirectToIdentityProviderForSignOut = context =>
        {
            context.ProtocolMessage.ClientId = provider.ClientId;
            if (provider.PublicUrl is { } url) context.ProtocolMessage.PostLogoutRedirectUri = url.TrimEnd('/') + EndedPath;
            return Task.CompletedTask;
        };
        options.Events.OnTokenValidated = context =>
        {
            // The handler takes unsigned tokens in this flow, because they come straight from the provider. We do not: a proxy in between must not be able to make one.
            if (context.SecurityToken.SignatureAlgorithm is null or SecurityAlgorithms.None) context.Fail(new SecurityTokenInvalidSignatureException("The token is not signed."));
            return Task.CompletedTask;
        };
        options.Events.OnTicketReceived = context => ReceiveAsync(context, provider, console);
        options.Events.OnRemoteFailure = context => FailAsync(context, provider);
    }

    /// <summary>Everything about the token was found good, its nonce included: only now does it become an identity.</summary>
    private static async Task ReceiveAsync(TicketReceivedContext context, OpenIdProvider provider, ConsoleOptions console)
    {
        HttpContext http = context.HttpContext;
        context.HandleResponse();
        try
        {
            ApiKey who = await http.RequestServices.GetRequiredService<OpenIdPeople>().AdmitAsync(provider, context.Principal!, http.RequestAborted);
            DateTimeOffset now = http.RequestServices.GetRequiredService<TimeProvider>().GetUtcNow();
            // What the provider said is asked again when this session ends, so it is not prolonged by use.
            AuthenticationProperties session = new() { IsPersistent = true, AllowRefresh = false, IssuedUtc = now, ExpiresUtc = now + console.SessionIdleMax };
            await http.SignInAsync(SessionCookie.Scheme, SessionCookie.PrincipalFor(who), session);
            await LeadOnAsync(http, SignInEndpoints.LocalPath(context.ReturnUri));
        }
        catch (ApiException refused)
        {
            await SignInEndpoints.ShowProblemAsync(http, refused.Message, refused.Status);
        }
    }

    private static Task FailAsync(RemoteFailureContext context, OpenIdProvider provider)
    {
        context.HandleResponse();
        // The type says what was wrong with the answer; its text may hold parts of a token.
        context.HttpContext.RequestServices.GetRequiredService<ILogger<OpenIdSignIn>>().LogWarning("A sign-in by {Provider} failed: {Failure}.", provider.Name, context.Failure?.GetType().Name);
        string why = context.Failure is SecurityTokenExpiredException
            ? "its token has expired. If this happens again the two clocks differ."
            : "its answer was not one to this attempt, or was refused. Try again.";
        return SignInEndpoints.ShowProblemAsync(context.HttpContext, $"Signing in by {provider.Name} failed: {why}", StatusCodes.Status401Unauthorized);
    }

    private sealed class Setup(OpenIdSignIn signIn, ConsoleOptions console) : IConfigureNamedOptions<OpenIdConnectOptions>
    {
        public void Configure(OpenIdConnectOptions options) => Configure(Options.DefaultName, options);

        public void Configure(string? name, OpenIdConnectOptions options)
        {
            if (name == Scheme && signIn.latest is { } provider) OpenIdSignIn.Configure(options, provider, console);
        }
    }
}
