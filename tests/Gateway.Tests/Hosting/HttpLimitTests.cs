using System.Text;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Options;

namespace Qanat.Gateway.Tests;

/// <summary>What misbehaves below the API: floods of headers, clients that stop halfway.</summary>
public sealed class HttpLimitTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    [Fact]
    public async Task A_flood_of_headers_is_refused()
    {
        using RawClient many = await RawClient.ConnectAsync(fixture.Fresh().Uri);
        StringBuilder headers = new();
        for (int index = 0; index < 200; index++) headers.Append("x-").Append(index).Append(": y\r\n");
        await many.SendAsync($"GET /v1/models HTTP/1.1\r\nHost: test\r\n{headers}\r\n");
        Assert.StartsWith("HTTP/1.1 431", await many.ReadToEndAsync(), StringComparison.Ordinal);
        using RawClient large = await RawClient.ConnectAsync(fixture.Fresh().Uri);
        await large.SendAsync($"GET /v1/models HTTP/1.1\r\nHost: test\r\nx-large: {new string('y', 40 << 10)}\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 431", await large.ReadToEndAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_stops_in_the_middle_of_its_body_costs_nothing()
    {
        TestGateway gateway = fixture.Fresh();
        using (RawClient client = await RawClient.ConnectAsync(gateway.Uri))
        {
            await client.SendAsync($"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {gateway.Key}\r\nContent-Length: 1000\r\n\r\n{{\"model\":");
            client.FinishSending();
            await client.ReadToEndAsync();
        }
        Assert.Empty(gateway.Script.Calls);
        Assert.Equal(200, (await gateway.GetAsync("/v1/models")).Status);
    }

    [Fact]
    public async Task A_body_that_comes_too_slowly_ends_its_connection()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(options: new GatewayOptions { BodyBytesPerSecondMin = 1 << 20, SlowBodyGrace = TimeSpan.FromSeconds(1.1) });
        using RawClient client = await RawClient.ConnectAsync(gateway.Uri);
        await client.SendAsync($"POST /v1/chat/completions HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {gateway.Key}\r\nContent-Length: 1000\r\n\r\n{{\"model\":");
        // The server ends it: nothing more is sent, and nothing else would.
        Assert.Contains("408", (await client.ReadToEndAsync()).Split('\n')[0], StringComparison.Ordinal);
        Assert.Empty(gateway.Script.Calls);
    }

    [Fact]
    public void Every_limit_of_the_HTTP_side_is_the_one_in_the_options()
    {
        GatewayOptions options = new();
        KestrelServerLimits limits = fixture.Fresh().Get<IOptions<KestrelServerOptions>>().Value.Limits;
        Assert.Equal((options.BodyBytesMax, options.ConnectionsMax, options.HeaderBytesMax, options.HeaderCountMax), (limits.MaxRequestBodySize, limits.MaxConcurrentConnections, limits.MaxRequestHeadersTotalSize, limits.MaxRequestHeaderCount));
        Assert.Equal((options.KeepAliveTimeout, options.HeadersTimeout, options.RequestLineBytesMax), (limits.KeepAliveTimeout, limits.RequestHeadersTimeout, limits.MaxRequestLineSize));
        Assert.Equal((options.BodyBytesPerSecondMin, options.SlowBodyGrace), (limits.MinRequestBodyDataRate!.BytesPerSecond, limits.MinRequestBodyDataRate.GracePeriod));
        Assert.Equal((options.BodyBytesPerSecondMin, options.SlowBodyGrace), (limits.MinResponseDataRate!.BytesPerSecond, limits.MinResponseDataRate.GracePeriod));
        Assert.Equal(options.StreamsPerConnectionMax, limits.Http2.MaxStreamsPerConnection);
    }

    [Fact]
    public async Task What_is_no_HTTP_is_refused()
    {
        using RawClient client = await RawClient.ConnectAsync(fixture.Fresh().Uri);
        await client.SendAsync("NONSENSE\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 400", await client.ReadToEndAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_software_of_the_server_is_not_told()
    {
        Answer answer = await fixture.Fresh().GetAsync("/v1/models");
        Assert.Null(answer.Header("Server"));
    }
}
