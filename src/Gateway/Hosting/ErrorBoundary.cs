using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Turns every failure of an API request into an error body; nothing leaves as a bare status or a stack trace. Neither prompts nor keys are logged.</summary>
internal sealed class ErrorBoundary(RequestDelegate next, GatewayOptions options, ILogger<ErrorBoundary> log)
{
    public async Task InvokeAsync(HttpContext context)
    {
        try
        {
            await next(context);
        }
        catch (Exception) when (context.RequestAborted.IsCancellationRequested)
        {
            // The client is gone: there is nobody to tell.
        }
        catch (StreamBrokenOffException broken)
        {
            if (broken.InnerException is { } cause) LogBrokenOff(log, context, cause);
            throw;
        }
        catch (Exception error) when (!context.Response.HasStarted)
        {
            ApiException told = Word(error);
            Log(log, context, error);
            Clear(context.Response);
            await ErrorWords.Of(context.Request).SendAsync(context.Response, told, options);
        }
    }

    /// <summary>What is no client's to know, under the id that the client is told. What cannot be served at the moment is no fault to be traced: its sentence says all.</summary>
    public static void Log(ILogger log, HttpContext context, Exception error)
    {
        ApiException told = Word(error);
        (string method, PathString path, string id) = (context.Request.Method, context.Request.Path, context.TraceIdentifier);
        if (error is ApiException { Status: 503 }) log.LogWarning("{Method} {Path} was refused ({Request}, {Code}): {Sentence}", method, path, id, told.Code, told.Message);
        else if (told.Status >= 500) log.LogError(error, "{Method} {Path} failed ({Request}).", method, path, id);
    }

    /// <summary>The same of a stream that had begun. One that was ended on purpose, by a stop switch or a budget, is told in a sentence, too: it can be told in no status any more.</summary>
    public static void LogBrokenOff(ILogger log, HttpContext context, Exception cause)
    {
        if (cause is ApiException { Status: < 500 or 503 } told) log.LogWarning("{Method} {Path} was broken off ({Request}, {Code}): {Sentence}", context.Request.Method, context.Request.Path, context.TraceIdentifier, told.Code, told.Message);
        else Log(log, context, cause);
    }

    /// <summary>What the client may know of a failure.</summary>
    public static ApiException Word(Exception error) => error switch
    {
        ApiException told => told,
        BadHttpRequestException { StatusCode: 413 } => new ApiException(413, Refusal.InvalidRequest, "request_too_large", "The request body is larger than this server allows. Send less."),
        BadHttpRequestException { StatusCode: 408 } => new ApiException(408, Refusal.InvalidRequest, "request_timeout", "The request body came too slowly."),
        BadHttpRequestException bad => new ApiException(bad.StatusCode, Refusal.InvalidRequest, "bad_request", "The request could not be read as HTTP."),
        StoreException => new ApiException(503, "server_error", "books_unavailable", "The books cannot be read or written at the moment. Try again soon."),
        _ => new ApiException(500, "server_error", "internal_error", "Something failed on our side. Try again; if it fails again, the server's log says why."),
    };

    /// <summary>Headers of an answer that will not come must not stand over an error; those that routing set (Allow) are kept.</summary>
    private static void Clear(HttpResponse response)
    {
        response.ContentLength = null;
        response.Headers.CacheControl = default;
        response.Headers.Remove("X-Accel-Buffering");
        response.Headers.Remove("Trailer");
    }
}
