using Microsoft.AspNetCore.Http;

namespace Qanat.Console;

/// <summary>The browser may load this server's own files only, and nobody may frame the pages.</summary>
internal static class SecurityHeaders
{
    private const string Policy = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; script-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'";

    public static ValueTask<object?> Add(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        Set(context.HttpContext);
        return next(context);
    }

    public static void Set(HttpContext context)
    {
        IHeaderDictionary headers = context.Response.Headers;
        headers.ContentSecurityPolicy = Policy;
        headers.XContentTypeOptions = "nosniff";
        headers["Referrer-Policy"] = "no-referrer";
        // Both words, and Pragma, are what the forms' protection asks of a page; anything else it overrides with a warning.
        headers.CacheControl = "no-cache, no-store";
        headers.Pragma = "no-cache";
    }
}
