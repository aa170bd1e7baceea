using System.Collections.Concurrent;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Qanat.Gateway.Tests;

/// <summary>What an upstream was asked, and by what secret.</summary>
internal sealed record WireRequest(string Path, JsonElement Body, string Secret)
{
    public bool Streams => Body.TryGetProperty("stream", out JsonElement stream) && stream.ValueKind == JsonValueKind.True;
    public bool HasTools => Body.TryGetProperty("tools", out _);
}

/// <param name="Rest">What follows the body once it is known; null: nothing.</param>
internal sealed record WireAnswer(string Body, int Status = 200, Task<string>? Rest = null);

/// <summary>An upstream on this machine that says, word for word, what a test writes.</summary>
internal sealed class WireMock : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly ConcurrentQueue<WireRequest> requests = [];

    private WireMock(WebApplication app) => this.app = app;

    public Func<WireRequest, WireAnswer> Script { get; set; } = _ => new WireAnswer("{}", 500);
    public IReadOnlyCollection<WireRequest> Requests => requests;
    public WireRequest Last => requests.Last();

    /// <summary>Without a path.</summary>
    public Uri Url => new(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());

    public static async Task<WireMock> StartAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders();
        WebApplication app = builder.Build();
        WireMock mock = new(app);
        app.MapPost("{**path}", mock.AnswerAsync);
        app.MapGet("{**path}", mock.AnswerAsync);
        await app.StartAsync();
        return mock;
    }

    public ValueTask DisposeAsync() => app.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        using JsonDocument document = HttpMethods.IsGet(context.Request.Method) ? JsonDocument.Parse("{}") : await JsonDocument.ParseAsync(context.Request.Body);
        WireRequest request = new(context.Request.Path, document.RootElement.Clone(), $"{context.Request.Headers.Authorization}{context.Request.Headers["x-api-key"]}");
        requests.Enqueue(request);
        WireAnswer answer = Script(request);
        context.Response.StatusCode = answer.Status;
        context.Response.ContentType = request.Streams && answer.Status == 200 ? "text/event-stream" : "application/json";
        await context.Response.WriteAsync(answer.Body);
        if (answer.Rest is null) return;
        await context.Response.Body.FlushAsync();
        await context.Response.WriteAsync(await answer.Rest);
    }
}
