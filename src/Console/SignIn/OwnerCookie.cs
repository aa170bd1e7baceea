using System.Security.Claims;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.Cookies;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Qanat.Books;
using Qanat.Gateway;

namespace Qanat.Console;

/// <summary>The cookie of a signed-in owner: it names the key that was shown and ends when that key is revoked.</summary>
internal static class OwnerCookie
{
    public const string Scheme = "qanat-console";
    public const string Policy = "qanat-console-owner";
    private const string KeyClaim = "qanat-key";

    public static void Configure(CookieAuthenticationOptions cookie, ConsoleOptions options)
    {
        cookie.Cookie.Name = "qanat-session";
        cookie.Cookie.HttpOnly = true;
        cookie.Cookie.SameSite = SameSiteMode.Strict;
        cookie.Cookie.SecurePolicy = CookieSecurePolicy.SameAsRequest;
        cookie.ExpireTimeSpan = options.SessionIdleMax;
        cookie.SlidingExpiration = true;
        cookie.LoginPath = "/signin";
        cookie.ReturnUrlParameter = "next";
        cookie.Events.OnValidatePrincipal = async context =>
        {
            DirectoryState directory = context.HttpContext.RequestServices.GetRequiredService<DirectoryState>();
            if (IsActive(directory, context.Principal)) return;
            context.RejectPrincipal();
            await context.HttpContext.SignOutAsync(Scheme);
        };
    }

    public static ClaimsPrincipal PrincipalFor(ApiKey key) =>
        new(new ClaimsIdentity([new Claim(ClaimTypes.Name, key.Name), new Claim(KeyClaim, key.Id.ToString())], Scheme));

    /// <summary>Whether the key somebody signed in with is still an owner's and not revoked.</summary>
    public static bool IsActive(DirectoryState directory, ClaimsPrincipal? principal) =>
        Guid.TryParse(principal?.FindFirst(KeyClaim)?.Value, out Guid id) && directory.Current.FindKey(new KeyId(id)) is { Role: KeyRole.Owner, RevokedAt: null };
}
