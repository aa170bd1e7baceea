using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Qanat.Books;
using Qanat.Gateway;

namespace Qanat.Console;

/// <summary>GET /signin (the form), POST /signin, POST /signout, GET /signin/openid: plain HTTP, so that the cookie is set by an ordinary response.</summary>
internal static class SignInEndpoints
{
    public static void MapSignIn(this IEndpointRouteBuilder app)
    {
        app.MapGet("/signin", ShowForm).AllowAnonymous().AddEndpointFilter(SecurityHeaders.Add);
        app.MapPost("/signin", SignInAsync).AllowAnonymous().AddEndpointFilter(SecurityHeaders.Add);
        app.MapGet(OpenIdSignIn.StartPath, AskProviderAsync).AllowAnonymous().AddEndpointFilter(SecurityHeaders.Add);
        app.MapGet(OpenIdSignIn.EndPath, LeaveProviderAsync).AllowAnonymous().AddEndpointFilter(SecurityHeaders.Add);
        app.MapPost("/signout", SignOutAsync).AllowAnonymous();
        app.MapGet("/denied", Denied).RequireAuthorization().AddEndpointFilter(SecurityHeaders.Add);
    }

    private static IResult ShowForm(HttpContext context, OpenIdSignIn openId, string? next)
    {
        if (context.User.Identity?.IsAuthenticated == true) return Results.Redirect(LocalPath(next));
        return Form(openId, next, null, StatusCodes.Status200OK);
    }

    /// <summary>The form again, with what went wrong.</summary>
    public static Task ShowProblemAsync(HttpContext context, string problem, int status)
    {
        SecurityHeaders.Set(context);
        return Form(context.RequestServices.GetRequiredService<OpenIdSignIn>(), null, problem, status).ExecuteAsync(context);
    }

    /// <summary>Leads to the provider. Where it is not configured there is nothing to lead to.</summary>
    private static async Task AskProviderAsync(HttpContext context, OpenIdSignIn openId, ILogger<OpenIdSignIn> log, string? next)
    {
        if (openId.Provider is not { } provider)
        {
            context.Response.Redirect("/signin");
            return;
        }
        try
        {
            await context.ChallengeAsync(OpenIdSignIn.Scheme, new AuthenticationProperties { RedirectUri = LocalPath(next) });
        }
        catch (Exception error) when (IsOutOfReach(error))
        {
            log.LogWarning(error, "{Provider} cannot be reached.", provider.Name);
            await ShowProblemAsync(context, $"{provider.Name} cannot be reached at the moment. Sign in with an account or a key, or try again.", StatusCodes.Status503ServiceUnavailable);
        }
    }

    /// <summary>Ends the session at the provider too, where it lets others do so.</summary>
    private static async Task LeaveProviderAsync(HttpContext context, OpenIdSignIn openId)
    {
        try
        {
            if (openId.Provider is not null)
            {
                await context.SignOutAsync(OpenIdSignIn.Scheme, new AuthenticationProperties { RedirectUri = "/signin" });
                return;
            }
        }
        catch (Exception error) when (IsOutOfReach(error))
        {
            // It has no such address, or cannot be asked for it: the session here has ended.
        }
        context.Response.Redirect("/signin");
    }

    private static bool IsOutOfReach(Exception error) => error is InvalidOperationException or HttpRequestException or IOException;

    private static async Task<IResult> SignInAsync(HttpContext context, KeyRing keys, DirectoryState directory, SignInThrottle throttle, OpenIdSignIn openId, [FromForm] string? login, [FromForm] string? key, [FromForm] string? next)
    {
        string[] subjects = string.IsNullOrWhiteSpace(login) ? [Address(context)] : [Address(context), "account " + login.Trim().ToUpperInvariant()];
        TimeSpan wait = subjects.Max(throttle.WaitFor);
        if (wait > TimeSpan.Zero)
        {
            string seconds = Math.Ceiling(wait.TotalSeconds).ToString(CultureInfo.InvariantCulture);
            context.Response.Headers.RetryAfter = seconds;
            return Form(openId, next, $"Too many wrong tries. Try again in {seconds} s.", StatusCodes.Status429TooManyRequests);
        }
        ApiKey? who = string.IsNullOrWhiteSpace(login)
            ? keys.TryAuthenticate(key?.Trim() ?? "", out Caller caller) ? caller.Key : null
            : Passwords.Verify(directory, login, key ?? "");
        if (who is null || !SessionCookie.MaySignIn(who))
        {
            foreach (string subject in subjects) throttle.CountFailure(subject);
            string problem = string.IsNullOrWhiteSpace(login)
                ? "That is not an active key of a person: keys that only send requests do not sign in. The owner key was printed when this server first started, or set by QANAT_OWNER_KEY."
                : "There is no such account, or the password is wrong.";
            return Form(openId, next, problem, StatusCodes.Status401Unauthorized);
        }
        if (!KeyTerms.Of(who).AllowsAddress(context.Connection.RemoteIpAddress)) return Form(openId, next, $"This identity may not be used from {Address(context)}.", StatusCodes.Status403Forbidden);
        await context.SignInAsync(SessionCookie.Scheme, SessionCookie.PrincipalFor(who), new AuthenticationProperties { IsPersistent = true });
        return Results.Redirect(LocalPath(next));
    }

    private static string Address(HttpContext context) => (context.Connection.RemoteIpAddress ?? IPAddress.None).ToString();

    private static async Task SignOutAsync(HttpContext context, IAntiforgery antiforgery, DirectoryState directory)
    {
        await antiforgery.ValidateRequestAsync(context);
        bool cameByProvider = SessionCookie.CallerOf(directory, context.User)?.Terms.Outside is not null;
        await context.SignOutAsync(SessionCookie.Scheme);
        // By a page in between, because a form of ours may lead to addresses of ours only.
        if (cameByProvider) await OpenIdSignIn.LeadOnAsync(context, OpenIdSignIn.EndPath);
        else context.Response.Redirect("/signin");
    }

    /// <summary>Whoever asked for a page that is not theirs is shown the first that is; the overview is where everyone arrives.</summary>
    private static IResult Denied(HttpContext context, DirectoryState directory)
    {
        Caller? caller = SessionCookie.CallerOf(directory, context.User);
        NavItem? first = caller is null ? null : NavItem.All.FirstOrDefault(item => caller.May(item.Needs));
        return Results.Redirect(first?.Href ?? "/signin");
    }

    private static RazorComponentResult<SignInPage> Form(OpenIdSignIn openId, string? next, string? problem, int status) =>
        new(new Dictionary<string, object?> { [nameof(SignInPage.Next)] = LocalPath(next), [nameof(SignInPage.Problem)] = problem, [nameof(SignInPage.Provider)] = openId.Provider?.Name }) { StatusCode = status };

    /// <summary>Only paths of this server: a link elsewhere must not ride on a sign-in.</summary>
    public static string LocalPath(string? next) =>
        next is { Length: > 0 and < 2000 } && next[0] == '/' && !next.StartsWith("//", StringComparison.Ordinal) && !next.Contains('\\', StringComparison.Ordinal)
            && !next.Any(char.IsControl) ? next : "/";
}
