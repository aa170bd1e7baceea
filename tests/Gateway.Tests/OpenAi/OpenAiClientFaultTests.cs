using System.ClientModel;
using System.ClientModel.Primitives;
using OpenAI;
using OpenAI.Chat;

namespace Qanat.Gateway.Tests;

/// <summary>What a real client makes of failures that a healthy server cannot be asked for.</summary>
public sealed class OpenAiClientFaultTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    private static readonly ChatMessage[] Ask = [new UserChatMessage("Hi")];

    [Fact]
    public async Task A_stream_that_fails_midway_is_never_taken_for_a_whole_answer()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.SayAndFail(call, "partial", new ApiException(503, "server_error", "engine_lost", "The engine was lost."));
        string text = "";
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await foreach (StreamingChatCompletionUpdate update in Client(gateway, retries: 0).CompleteChatStreamingAsync(Ask, cancellationToken: TestContext.Current.CancellationToken))
                text += string.Concat(update.ContentUpdate.Select(part => part.Text));
        });
        Assert.Equal("partial", text);
    }

    [Fact]
    public async Task A_busy_server_is_asked_again_after_the_time_it_named()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => gateway.Script.Calls.Count == 1
            ? Script.Refuse(new ApiException(429, "rate_limit_error", "queue_full", "Busy.", retryAfter: TimeSpan.FromMilliseconds(10)))
            : Script.Say(call, "Hello");
        long start = TimeProvider.System.GetTimestamp();
        ChatCompletion answer = await Client(gateway, retries: 2).CompleteChatAsync(Ask, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(("Hello", 2), (answer.Content[0].Text, gateway.Script.Calls.Count));
        // This client reads whole seconds only; without the header it would have come back at once.
        Assert.True(TimeProvider.System.GetElapsedTime(start) >= TimeSpan.FromMilliseconds(900));
    }

    [Fact]
    public async Task Thoughts_do_not_reach_the_text()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, "<think>\nhm", "m\n</think>\n\n", "Hello");
        ChatCompletion answer = await Client(gateway, retries: 0).CompleteChatAsync(Ask, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal("Hello", answer.Content[0].Text);
    }

    private static ChatClient Client(TestGateway gateway, int retries) =>
        new(ScriptedModel.Name, new ApiKeyCredential(gateway.Key), new OpenAIClientOptions { Endpoint = new Uri(gateway.Uri, "v1"), RetryPolicy = new ClientRetryPolicy(retries) });
}
