using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>How an API words errors.</summary>
internal abstract class ErrorWords
{
    public static readonly ErrorWords OpenAi = new OpenAiErrors();
    public static readonly ErrorWords Anthropic = new AnthropicErrors();
    public static readonly ErrorWords DashScope = new DashScopeErrors();
    public static readonly ErrorWords Ollama = new OllamaErrors();

    /// <summary>The header that clients of OpenAI's API read the request's id from, and everybody else can.</summary>
    public const string IdHeader = "x-request-id";

    /// <summary>What the API's own clients read it from; null: the same.</summary>
    protected virtual string? OwnIdHeader => null;

    /// <summary>The status that the API's own clients know the error by.</summary>
    public virtual int StatusOf(ApiException error) => error.Status;

    /// <summary>Says the request's id where the API's own clients look for it too.</summary>
    public void RepeatId(HttpResponse response)
    {
        if (OwnIdHeader is { } own) response.Headers[own] = response.Headers[IdHeader];
    }

    /// <param name="requestId">By which the server's log knows the request; null: what it belongs to is told already.</param>
    public abstract void Write(Utf8JsonWriter json, ApiException error, string? requestId = null);

    /// <summary>The words of the API that a request came in by.</summary>
    public static ErrorWords Of(HttpRequest request)
    {
        if (AnthropicEndpoints.Owns(request)) return Anthropic;
        if (DashScopeEndpoints.Owns(request.Path)) return DashScope;
        return OllamaEndpoints.Owns(request.Path) ? Ollama : OpenAi;
    }

    /// <summary>Answers with an error. Waiting times are given in both units on 429 and on every 5xx, because clients without one retry at once.</summary>
    public async Task SendAsync(HttpResponse response, ApiException error, GatewayOptions options)
    {
        response.StatusCode = StatusOf(error);
        TimeSpan? wait = error.RetryAfter ?? (error.Status == 429 || error.Status >= 500 ? options.RetryAfterFailure : null);
        if (wait is { } pause)
        {
            response.Headers.RetryAfter = ((long)Math.Max(1, Math.Ceiling(pause.TotalSeconds))).ToString(CultureInfo.InvariantCulture);
            response.Headers["retry-after-ms"] = ((long)Math.Max(1, pause.TotalMilliseconds)).ToString(CultureInfo.InvariantCulture);
        }
        if (error.Status == 401) response.Headers.WWWAuthenticate = "Bearer";
        // Known before it was refused: what is in the books has that id.
        if (response.Headers[IdHeader] is not [{ Length: > 0 } id]) response.Headers[IdHeader] = id = response.HttpContext.TraceIdentifier;
        RepeatId(response);
        using JsonAnswer json = new();
        Write(json.Writer, error, id);
        await json.SendAsync(response);
    }

    private sealed class OpenAiErrors : ErrorWords
    {
        public override void Write(Utf8JsonWriter json, ApiException error, string? requestId = null) => ErrorBody.Write(json, error);
    }
}
