using System.Globalization;
using System.Net;
using Microsoft.AspNetCore.Antiforgery;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.AspNetCore.Routing;
using Qanat.Gateway;

namespace Qanat.Console;

/// <summary>GET /signin (the form), POST /signin, POST /signout: plain HTTP, so that the cookie is set by an ordinary response.</summary>
internal static class SignInEndpoints
{
    public static void MapSignIn(this IEndpointRouteBuilder app)
    {
        app.MapGet("/signin", ShowForm).AllowAnonymous().AddEndpointFilter(SecurityHeaders.Add);
        app.MapPost("/signin", SignInAsync).AllowAnonymous().AddEndpointFilter(SecurityHeaders.Add);
        app.MapPost("/signout", SignOutAsync).AllowAnonymous();
        app.MapGet("/denied", Denied).RequireAuthorization().AddEndpointFilter(SecurityHeaders.Add);
    }

    private static IResult ShowForm(HttpContext context, string? next)
    {
        if (context.User.Identity?.IsAuthenticated == true) return Results.Redirect(LocalPath(next));
        return Form(next, null, StatusCodes.Status200OK);
    }

    private static async Task<IResult> SignInAsync(HttpContext context, KeyRing keys, SignInThrottle throttle, [FromForm] string? key, [FromForm] string? next)
    {
        IPAddress address = context.Connection.RemoteIpAddress ?? IPAddress.None;
        TimeSpan wait = throttle.WaitFor(address);
        if (wait > TimeSpan.Zero)
        {
            string seconds = Math.Ceiling(wait.TotalSeconds).ToString(CultureInfo.InvariantCulture);
            context.Response.Headers.RetryAfter = seconds;
            return Form(next, $"Too many wrong keys from this address. Try again in {seconds} s.", StatusCodes.Status429TooManyRequests);
        }
        if (!keys.TryAuthenticate(key?.Trim() ?? "", out Caller who) || !SessionCookie.MaySignIn(who.Key))
        {
            throttle.CountFailure(address);
            return Form(next, "That is not an active key of a person: keys that only send requests do not sign in. The owner key was printed when this server first started, or set by QANAT_OWNER_KEY.", StatusCodes.Status401Unauthorized);
        }
        await context.SignInAsync(SessionCookie.Scheme, SessionCookie.PrincipalFor(who.Key), new AuthenticationProperties { IsPersistent = true });
        return Results.Redirect(LocalPath(next));
    }

    private static async Task<IResult> SignOutAsync(HttpContext context, IAntiforgery antiforgery)
    {
        await antiforgery.ValidateRequestAsync(context);
        await context.SignOutAsync(SessionCookie.Scheme);
        return Results.Redirect("/signin");
    }

    /// <summary>Whoever asked for a page that is not theirs is shown the first that is; the overview is where everyone arrives.</summary>
    private static IResult Denied(HttpContext context, DirectoryState directory)
    {
        Caller? caller = SessionCookie.CallerOf(directory, context.User);
        NavItem? first = caller is null ? null : NavItem.All.FirstOrDefault(item => caller.May(item.Needs));
        return Results.Redirect(first?.Href ?? "/signin");
    }

    private static RazorComponentResult<SignInPage> Form(string? next, string? problem, int status) =>
        new(new Dictionary<string, object?> { [nameof(SignInPage.Next)] = LocalPath(next), [nameof(SignInPage.Problem)] = problem }) { StatusCode = status };

    /// <summary>Only paths of this server: a link elsewhere must not ride on a sign-in.</summary>
    public static string LocalPath(string? next) =>
        next is { Length: > 0 and < 2000 } && next[0] == '/' && !next.StartsWith("//", StringComparison.Ordinal) && !next.Contains('\\', StringComparison.Ordinal)
            && !next.Any(char.IsControl) ? next : "/";
}
