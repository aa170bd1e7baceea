using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Qanat.Books;
using Qanat.Gateway;

namespace Qanat.Console;

/// <summary>The cookie of somebody signed in: it names their identity and ends when that is revoked. What they may do is looked up each time, never kept in it.</summary>
internal static class SessionCookie
{
    public const string Scheme = "qanat-console";
    private const string LoginPath = "/signin";
    private const string KeyClaim = "qanat-key";
    private const string StampClaim = "qanat-stamp";

    public static void Configure(CookieAuthenticationOptions cookie, ConsoleOptions options)
    {
        cookie.Cookie.Name = "qanat-session";
        cookie.Cookie.HttpOnly = true;
        cookie.Cookie.SameSite = SameSiteMode.Strict;
        cookie.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest;
        cookie.ExpireTimeSpan = options.SessionIdleMax;
        cookie.SlidingExpiration = true;
        cookie.LoginPath = LoginPath;
        cookie.AccessDeniedPath = "/denied";
        cookie.ReturnUrlParameter = "next";
        cookie.Events.OnValidatePrincipal = async context =>
        {
            DirectoryState directory = context.HttpContext.RequestServices.GetRequiredService<DirectoryState>();
            if (CallerOf(directory, context.Principal) is { } caller && caller.Terms.AllowsAddress(context.HttpContext.Connection.RemoteIpAddress)) return;
            context.RejectPrincipal();
            await context.HttpContext.SignOutAsync(Scheme);
        };
    }

    public static ClaimsPrincipal PrincipalFor(ApiKey key) =>
        new(new ClaimsIdentity([new Claim(ClaimTypes.Name, key.Name), new Claim(KeyClaim, key.Id.ToString()), new Claim(StampClaim, StampOf(key))], Scheme));

    /// <summary>The identity somebody signed in with; null: it is revoked or expired, or never was one for people.</summary>
    public static Caller? CallerOf(DirectoryState directory, ClaimsPrincipal? principal)
    {
        DirectoryModel now = directory.Current;
        return Guid.TryParse(principal?.FindFirst(KeyClaim)?.Value, out Guid id) && now.FindKey(new KeyId(id)) is { } key && directory.Works(key) && MaySignIn(key) && principal.FindFirst(StampClaim)?.Value == StampOf(key)
            ? new Caller(now.Tenant(key.Tenant), now.Project(key.Project), key)
            : null;
    }

    /// <summary>Keys of programs send requests and see no pages; nor do those that are bound to paths which are not the console's.</summary>
    public static bool MaySignIn(ApiKey key) => key.Role != KeyRole.Inference && KeyTerms.Of(key).AllowsPath(LoginPath);

    /// <summary>Changes with the password, so that a new one ends every session of the old.</summary>
    private static string StampOf(ApiKey key) =>
        KeyTerms.Of(key).Account is { } account ? Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(account.PasswordHash)).AsSpan(0, 8)) : "";
}
