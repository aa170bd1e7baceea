using System.Text;
using Qanat.Models;

namespace Qanat.Gateway.Tests;

/// <summary>Clients that misbehave below the API, on every surface: too much, too slowly, or only half there.</summary>
public sealed class SurfaceHostilityTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    public static TheoryData<string> Paths => Surface.Paths;

    [Fact]
    public async Task A_body_over_the_limit_is_413_in_the_words_of_its_API()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(options: new GatewayOptions { BodyBytesMax = 64 << 10 });
        foreach (string path in Surface.All.Select(each => each.Path))
        {
            Answer answer = await gateway.PostAsync(path, Surface.Of(path).With($"\"padding\":\"{new string('x', 65 << 10)}\""));
            Assert.Equal((path, 413), (path, answer.Status));
            Assert.Contains("larger", answer.Text, StringComparison.Ordinal);
        }
        Assert.Empty(gateway.Script.Calls);
    }

    [Theory, MemberData(nameof(Paths))]
    public async Task A_flood_of_headers_is_refused_before_anything_is_read(string path)
    {
        TestGateway gateway = fixture.Fresh();
        string flood = string.Concat(Enumerable.Range(0, 200).Select(index => $"x-{index}: y\r\n"));
        using RawClient client = await RawClient.ConnectAsync(gateway.Uri);
        await client.SendAsync($"POST {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {gateway.Key}\r\n{flood}\r\n");
        Assert.StartsWith("HTTP/1.1 431", await client.ReadToEndAsync(), StringComparison.Ordinal);
        Assert.Empty(gateway.Script.Calls);
    }

    [Theory, MemberData(nameof(Paths))]
    public async Task A_body_that_comes_a_few_bytes_at_a_time_is_read(string path)
    {
        TestGateway gateway = fixture.Fresh();
        string body = Surface.Of(path).Body.Trim();
        byte[] bytes = Encoding.UTF8.GetBytes(body);
        using RawClient client = await RawClient.ConnectAsync(gateway.Uri);
        await client.SendAsync($"POST {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {gateway.Key}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {bytes.Length}\r\n\r\n");
        foreach (byte[] few in bytes.Chunk(7)) await client.SendAsync(few);
        Assert.StartsWith("HTTP/1.1 200", await client.ReadToEndAsync(), StringComparison.Ordinal);
    }

    /// <summary>Whoever closes its side is taken for gone or is answered: either way the call ends, and nothing is left running.</summary>
    [Theory, MemberData(nameof(Paths))]
    public async Task A_connection_that_is_half_closed_leaves_no_call_behind(string path)
    {
        TestGateway gateway = fixture.Fresh();
        TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        gateway.Script.Answer = (call, cancel) =>
        {
            cancel.Register(() => ended.TrySetResult());
            return Script.SayAndWait(call, Task.Delay(Timeout.Infinite, cancel), cancel);
        };
        using RawClient client = await RawClient.PostAsync(gateway, path, Surface.Of(path).Streamed, Surface.Of(path).StreamHeaders);
        await client.ReadUntilAsync("waiting");
        client.FinishSending();
        await ended.Task;
        Assert.DoesNotContain("\r\n0\r\n", await client.ReadToEndAsync(), StringComparison.Ordinal);
    }

    /// <summary>What a client does not read is not generated: memory stays bounded however long the answer would be.</summary>
    [Theory, MemberData(nameof(Paths))]
    public async Task A_client_that_does_not_read_holds_its_own_call_up(string path)
    {
        TestGateway gateway = fixture.Fresh();
        Torrent torrent = new();
        gateway.Script.Answer = torrent.RunAsync;
        using (RawClient client = await RawClient.PostAsync(gateway, path, Surface.Of(path).Streamed, Surface.Of(path).StreamHeaders))
        {
            // It has begun: a call that has not would stand still too, and a client that left before it began leaves nothing that ends.
            await client.ReadUntilAsync("xxxx");
            long before = -1;
            for (int unchanged = 0; unchanged < 20; unchanged = torrent.Told == before ? unchanged + 1 : 0)
            {
                before = torrent.Told;
                await Task.Delay(TimeSpan.FromMilliseconds(5), TimeProvider.System, TestContext.Current.CancellationToken);
            }
            // The server may have broken it off by now, as too slow; it must not have gone on.
            Assert.True(torrent.Told < Torrent.Pieces, "All of it was generated though nobody read it.");
        }
        await torrent.Ended;
    }

    [Theory, MemberData(nameof(Paths))]
    public async Task A_failure_midway_is_told_in_the_words_of_the_API_and_breaks_the_connection(string path)
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.SayAndFail(call, "partial", new InvalidOperationException("secret inside"));
        using RawClient client = await RawClient.PostAsync(gateway, path, Surface.Of(path).Streamed, Surface.Of(path).StreamHeaders);
        string text = await client.ReadToEndAsync();
        Assert.Contains("partial", text, StringComparison.Ordinal);
        Assert.Contains("error", text, StringComparison.Ordinal);
        Assert.DoesNotContain("\r\n0\r\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("secret", text, StringComparison.Ordinal);
    }

    /// <summary>64 MB of answer, a kilobyte at a time.</summary>
    private sealed class Torrent
    {
        public const int Pieces = 64 << 10;
        private static readonly string Kilobyte = new('x', 1024);
        private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private long told;

        public long Told => Interlocked.Read(ref told);
        public Task Ended => ended.Task;

        public async IAsyncEnumerable<CallEvent> RunAsync(Call call, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancel)
        {
            try
            {
                Admitted admitted = Script.Admit(call);
                yield return admitted;
                for (int piece = 0; piece < Pieces; piece++)
                {
                    await Task.Yield();
                    cancel.ThrowIfCancellationRequested();
                    Interlocked.Increment(ref told);
                    yield return new Delta(0, [new TextPiece(Kilobyte)], []);
                }
                yield return new ChoiceFinished(0, AnswerEnd.Stop);
                yield return Script.Settle(call, admitted, 1);
            }
            finally
            {
                ended.TrySetResult();
            }
        }
    }
}
