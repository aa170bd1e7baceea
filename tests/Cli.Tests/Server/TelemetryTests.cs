using System.Collections.Concurrent;
using System.Net.Http.Json;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Qanat.Cli.Tests;

/// <summary>By itself: the collector is named by the environment of the whole process.</summary>
[CollectionDefinition(nameof(TelemetryTests), DisableParallelization = true)]
[Collection(nameof(TelemetryTests))]
public sealed class TelemetryTests
{
    private static readonly string[] Variables = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"];

    [Theory]
    [InlineData(null, true)]
    [InlineData("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true)]
    [InlineData("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", false)]
    public async Task Every_call_is_a_span_at_the_collector_unless_its_client_traces_and_does_not_record(string? parent, bool isTold)
    {
        await using Collector collector = await Collector.StartAsync();
        string?[] before = [.. Variables.Select(Environment.GetEnvironmentVariable)];
        string model;
        try
        {
            Environment.SetEnvironmentVariable(Variables[0], collector.Url);
            Environment.SetEnvironmentVariable(Variables[1], "http/protobuf");
            await using RunningServer server = await RunningServer.StartAsync();
            model = server.Server.Deployment!.Name.Value;
            using HttpRequestMessage request = new(HttpMethod.Post, "v1/chat/completions") { Content = JsonContent.Create(new { model, messages = new[] { new { role = "user", content = "zanzibar" } }, max_tokens = 4 }) };
            if (parent is not null) request.Headers.Add("traceparent", parent);
            using HttpResponseMessage answer = await server.Owner.SendAsync(request, TestContext.Current.CancellationToken);
            Assert.True(answer.IsSuccessStatusCode);
        }
        finally
        {
            for (int index = 0; index < Variables.Length; index++) Environment.SetEnvironmentVariable(Variables[index], before[index]);
        }
        // What a server has not sent yet it sends when it ends.
        Assert.Contains("gen_ai.server.request.duration", collector.TextOf("/v1/metrics"), StringComparison.Ordinal);
        string traces = collector.TextOf("/v1/traces");
        Assert.Equal(isTold, traces.Contains($"chat {model}", StringComparison.Ordinal) && traces.Contains("gen_ai.usage.output_tokens", StringComparison.Ordinal));
        Assert.Equal(isTold, traces.Contains("/v1/chat/completions", StringComparison.Ordinal));
        Assert.DoesNotContain("zanzibar", traces, StringComparison.Ordinal);
        if (parent is not null && isTold) Assert.Contains(Encoding.Latin1.GetString(Convert.FromHexString(parent.Split('-')[1])), traces, StringComparison.Ordinal);
    }

    /// <summary>What was sent to it by OTLP over HTTP.</summary>
    private sealed class Collector(WebApplication app, ConcurrentQueue<(string Path, string Body)> taken) : IAsyncDisposable
    {
        public string Url => app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();

        /// <summary>The texts of a protobuf message stand in it as they are; its bytes are a character each.</summary>
        public string TextOf(string path) => string.Concat(taken.Where(each => each.Path == path).Select(each => each.Body));

        public static async Task<Collector> StartAsync()
        {
            WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
            builder.WebHost.UseUrls("http://127.0.0.1:0");
            builder.Logging.ClearProviders();
            WebApplication app = builder.Build();
            Collector collector = new(app, []);
            app.MapPost("{**path}", collector.TakeAsync);
            await app.StartAsync();
            return collector;
        }

        public ValueTask DisposeAsync() => app.DisposeAsync();

        private async Task TakeAsync(HttpContext context)
        {
            using MemoryStream body = new();
            await context.Request.Body.CopyToAsync(body);
            taken.Enqueue((context.Request.Path.Value!, Encoding.Latin1.GetString(body.ToArray())));
            context.Response.ContentType = "application/x-protobuf";
        }
    }
}
