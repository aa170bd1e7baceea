using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Scalar.AspNetCore;

namespace Qanat.Gateway;

/// <summary>The page to read the OpenAPI document at. It runs its own scripts only, loads from this server only, and nobody may frame it: keys are typed into it.</summary>
internal static class DocsPage
{
    private const int NonceBytes = 16;

    public static void Map(IEndpointRouteBuilder routes) => routes.MapScalarApiReference("/docs", (reference, context) =>
    {
        string nonce = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(NonceBytes));
        Protect(context.Response.Headers, nonce);
        reference.WithTitle("Qanat").WithOpenApiRoutePattern(OpenApiEndpoints.Path).DisableTelemetry().DisableDefaultFonts().WithNonce(nonce);
    });

    private static void Protect(IHeaderDictionary headers, string nonce)
    {
        headers.ContentSecurityPolicy = "default-src 'self'; img-src 'self' data:; font-src 'self' data:; style-src 'self' 'unsafe-inline'; "
            + $"script-src 'self' 'nonce-{nonce}'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'";
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
    }
}
