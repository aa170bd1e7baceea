using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Qanat.MockUpstream;

/// <summary>The mock as a server on this machine.</summary>
public sealed class MockEngine : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly Func<MockRequest, MockPlan> script;
    private readonly int countsMax;
    private readonly ConcurrentDictionary<string, MockCount> counts = new(StringComparer.Ordinal);
    private int number = -1;

    private MockEngine(WebApplication app, Func<MockRequest, MockPlan> script, int countsMax) => (this.app, this.script, this.countsMax) = (app, script, countsMax);

    /// <summary>Up to the version: ".../v1".</summary>
    public Uri Url => new(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First() + "/v1");

    /// <summary>By x-request-id.</summary>
    public IReadOnlyDictionary<string, MockCount> Counts => counts;
    public int Requests => Volatile.Read(ref number) + 1;

    /// <summary>The body of the last request.</summary>
    public JsonElement LastBody { get; private set; }

    /// <param name="countsMax">Requests whose counts are kept, the first ones: those of very many would make the collector stop everything for longer and longer.</param>
    public static async Task<MockEngine> StartAsync(Func<MockRequest, MockPlan> script, string urls = "http://127.0.0.1:0", int countsMax = int.MaxValue)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls(urls);
        builder.Logging.ClearProviders();
        WebApplication app = builder.Build();
        MockEngine mock = new(app, script, countsMax);
        app.MapGet("/v1/models", () => Results.Text("""{"object":"list","data":[]}""", "application/json"));
        app.MapPost("/v1/chat/completions", context => mock.AnswerAsync(context, chat: true));
        app.MapPost("/v1/completions", context => mock.AnswerAsync(context, chat: false));
        await app.StartAsync();
        return mock;
    }

    public Task WaitAsync() => app.WaitForShutdownAsync();

    public ValueTask DisposeAsync() => app.DisposeAsync();

    private async Task AnswerAsync(HttpContext context, bool chat)
    {
        using JsonDocument document = await JsonDocument.ParseAsync(context.Request.Body);
        JsonElement body = document.RootElement;
        bool stream = body.TryGetProperty("stream", out JsonElement streams) && streams.ValueKind == JsonValueKind.True;
        int? most = body.TryGetProperty("max_tokens", out JsonElement max) ? max.GetInt32() : null;
        string id = context.Request.Headers["x-request-id"].ToString();
        MockRequest request = new(id, Interlocked.Increment(ref number), stream, PromptTokens(body, chat), most, context.Request.Headers.Authorization, body.Clone());
        LastBody = request.Body;
        MockPlan plan = script(request);
        MockCount count = request.Number < countsMax ? counts.GetOrAdd(id, _ => new MockCount()) : new MockCount();
        await plan.FirstWhen;
        if (plan.First > TimeSpan.Zero || plan.First == Timeout.InfiniteTimeSpan) await Task.Delay(plan.First, TimeProvider.System, context.RequestAborted).ContinueWith(static _ => { }, TaskScheduler.Default);
        if (context.RequestAborted.IsCancellationRequested)
        {
            count.Leave();
            return;
        }
        if (plan.Status != 200)
        {
            context.Response.StatusCode = plan.Status;
            if (plan.RetryAfter is { } wait) context.Response.Headers.RetryAfter = wait;
            context.Response.ContentType = "application/json";
            await context.Response.WriteAsync(plan.ErrorBody);
            return;
        }
        count.Asked(request.PromptTokens);
        int words = Math.Min(plan.Tokens, most ?? int.MaxValue);
        string reason = words == most ? "length" : "stop";
        if (stream) await StreamAsync(context, request, plan, count, words, reason, chat);
        else await WholeAsync(context, request, plan, count, words, reason, chat);
    }

    private static async Task WholeAsync(HttpContext context, MockRequest request, MockPlan plan, MockCount count, int words, string reason, bool chat)
    {
        if (plan.CutAfter is not null)
        {
            context.Abort();
            return;
        }
        StringBuilder text = new();
        for (int word = 0; word < words; word++) text.Append(Word(word));
        string said = chat ? $$"""{"role":"assistant","content":"{{text}}"}""" : $"\"{text}\"";
        string usage = plan.TellsUsage ? "," + Usage(request, words + plan.Lies) : "";
        count.Say(words);
        count.Finish(words);
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync($$"""{"id":"mock","object":"mock","created":1,"model":"mock","choices":[{"index":0,"{{(chat ? "message" : "text")}}":{{said}},"finish_reason":"{{reason}}"}]{{usage}}}""");
    }

    private static async Task StreamAsync(HttpContext context, MockRequest request, MockPlan plan, MockCount count, int words, string reason, bool chat)
    {
        context.Response.ContentType = "text/event-stream";
        CancellationToken gone = context.RequestAborted;
        try
        {
            for (int word = 0; word < words; word++)
            {
                if (plan.CutAfter == word || plan.ErrorAfter == word) await plan.FailsWhen.WaitAsync(gone);
                if (plan.CutAfter == word)
                {
                    context.Abort();
                    return;
                }
                if (plan.ErrorAfter == word)
                {
                    await SayAsync(context, """{"error":{"message":"mock secret detail"}}""", flush: true);
                    return;
                }
                if (word > 0 && plan.PerToken > TimeSpan.Zero) await Task.Delay(plan.PerToken, TimeProvider.System, gone);
                string piece = chat ? $$"""{"index":0,"delta":{"content":"{{Word(word)}}"},"finish_reason":null}""" : $$"""{"index":0,"text":"{{Word(word)}}","finish_reason":null}""";
                await SayAsync(context, $$"""{"id":"mock","object":"chunk","created":1,"model":"mock","choices":[{{piece}}]}""", flush: plan.PerToken > TimeSpan.Zero || plan.CutAfter is not null || word == 0);
                gone.ThrowIfCancellationRequested();
                count.Say(1);
            }
            if (!plan.ForgetsFinish) await SayAsync(context, $$"""{"id":"mock","object":"chunk","created":1,"model":"mock","choices":[{"index":0,"delta":{},"text":"","finish_reason":"{{reason}}"}]}""", flush: false);
            if (plan.TellsUsage) await SayAsync(context, $$"""{"id":"mock","object":"chunk","created":1,"model":"mock","choices":[],{{Usage(request, words + plan.Lies)}}}""", flush: false);
            gone.ThrowIfCancellationRequested();
            // Counted before the end is sent: whoever has it finds it counted, and may be gone before this goes on.
            count.Finish(words);
            await SayAsync(context, "[DONE]", flush: true);
        }
        catch (OperationCanceledException)
        {
            count.Leave();
        }
    }

    private static ValueTask<System.IO.Pipelines.FlushResult> SayAsync(HttpContext context, string data, bool flush)
    {
        System.IO.Pipelines.PipeWriter writer = context.Response.BodyWriter;
        writer.Write("data: "u8);
        Encoding.UTF8.GetBytes(data, writer);
        writer.Write("\n\n"u8);
        return flush ? writer.FlushAsync() : default;
    }

    private static string Word(int index) => string.Create(CultureInfo.InvariantCulture, $"w{index} ");

    private static string Usage(MockRequest request, int output) => string.Create(CultureInfo.InvariantCulture,
        $"\"usage\":{{\"prompt_tokens\":{request.PromptTokens},\"completion_tokens\":{output},\"total_tokens\":{request.PromptTokens + output}}}");

    private static int PromptTokens(JsonElement body, bool chat)
    {
        if (chat) return body.GetProperty("messages").EnumerateArray().Sum(message => Words(message.GetProperty("content").GetString() ?? ""));
        JsonElement prompt = body.GetProperty("prompt");
        return prompt.ValueKind == JsonValueKind.Array ? prompt.GetArrayLength() : Words(prompt.GetString()!);
    }

    private static int Words(string text) => text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Length;
}
