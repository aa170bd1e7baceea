using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text.Json.Nodes;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Models;

namespace Qanat.Conformance.Tests;

/// <summary>NuGet OpenAI against the real server.</summary>
public sealed class OpenAiDotNetClientTests(RealServer server) : IClassFixture<RealServer>
{
    private const string Model = "qanat-tiny";
    private static readonly ChatMessage[] Ask = [new SystemChatMessage("Be brief."), new UserChatMessage("Say something.")];

    [Fact]
    public async Task A_whole_answer_has_text_a_finish_reason_and_usage_with_its_cost()
    {
        ClientResult<ChatCompletion> result = await Chat().CompleteChatAsync(Ask, Short(), TestContext.Current.CancellationToken);
        Assert.NotEmpty(result.Value.Content[0].Text);
        Assert.Contains(result.Value.FinishReason, (ChatFinishReason[])[ChatFinishReason.Length, ChatFinishReason.Stop]);
        Assert.InRange(result.Value.Usage.OutputTokenCount, 1, 8);
        JsonNode qanat = JsonNode.Parse(result.GetRawResponse().Content)!["usage"]!["x_qanat"]!;
        Assert.True(result.GetRawResponse().Headers.TryGetValue("x-qanat-charge", out string? charge));
        Assert.Equal(charge, (string?)qanat["charge"]);
        JsonNode record = await server.UsageAsync((string)qanat["request_id"]!);
        Assert.Equal(charge, (string?)record["charge"]);
    }

    [Fact]
    public async Task A_stream_gives_the_same_text_and_its_usage()
    {
        ChatCompletion whole = await Chat().CompleteChatAsync(Ask, Short(), TestContext.Current.CancellationToken);
        string text = "";
        ChatTokenUsage? usage = null;
        List<ChatFinishReason> finishes = [];
        await foreach (StreamingChatCompletionUpdate update in Chat().CompleteChatStreamingAsync(Ask, Short(), TestContext.Current.CancellationToken))
        {
            text += string.Concat(update.ContentUpdate.Select(part => part.Text));
            usage = update.Usage ?? usage;
            if (update.FinishReason is { } reason) finishes.Add(reason);
        }
        Assert.Equal(whole.Content[0].Text, text);
        Assert.Equal([whole.FinishReason], finishes);
        Assert.Equal((whole.Usage.InputTokenCount, whole.Usage.OutputTokenCount), (usage!.InputTokenCount, usage.OutputTokenCount));
    }

    [Fact]
    public async Task Log_probabilities_are_read()
    {
        ChatCompletionOptions options = Short();
        options.IncludeLogProbabilities = true;
        options.TopLogProbabilityCount = 3;
        ChatCompletion answer = await Chat().CompleteChatAsync(Ask, options, TestContext.Current.CancellationToken);
        Assert.NotEmpty(answer.ContentTokenLogProbabilities);
        Assert.All(answer.ContentTokenLogProbabilities, token => Assert.Equal(3, token.TopLogProbabilities.Count));
    }

    [Fact]
    public async Task Models_are_listed()
    {
        OpenAIModelClient client = new(new ApiKeyCredential(server.Key), Options());
        OpenAIModelCollection models = await client.GetModelsAsync(TestContext.Current.CancellationToken);
        Assert.Equal([Model], models.Select(model => model.Id));
        Assert.Equal("qanat", (await client.GetModelAsync(Model, TestContext.Current.CancellationToken)).Value.OwnedBy);
    }

    [Fact]
    public async Task Errors_are_read()
    {
        ClientResultException badKey = await RefusedAsync(Chat(key: "sk-wrong"), Short());
        Assert.Equal(401, badKey.Status);
        Assert.Contains("invalid_api_key", badKey.Message, StringComparison.Ordinal);
        ClientResultException unknownModel = await RefusedAsync(Chat(model: "no-such-model"), Short());
        Assert.Equal(404, unknownModel.Status);
        Assert.Contains("model_not_found", unknownModel.Message, StringComparison.Ordinal);
        ChatCompletionOptions hot = Short();
        hot.Temperature = 9;
        ClientResultException badValue = await RefusedAsync(Chat(), hot);
        Assert.Equal(400, badValue.Status);
        Assert.Contains("temperature", badValue.Message, StringComparison.Ordinal);
        ClientResultException noMoney = await RefusedAsync(Chat(key: server.PoorKey), Short());
        Assert.Equal(402, noMoney.Status);
        Assert.Contains("budget", noMoney.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Errors_of_a_stream_are_read_before_it_begins()
    {
        ClientResultException refused = await Assert.ThrowsAsync<ClientResultException>(async () =>
        {
            await foreach (StreamingChatCompletionUpdate _ in Chat(model: "no-such-model").CompleteChatStreamingAsync(Ask, Short(), TestContext.Current.CancellationToken)) { }
        });
        Assert.Equal(404, refused.Status);
    }

    private static ChatCompletionOptions Short() => new() { MaxOutputTokenCount = 8, Temperature = 0 };

    private static async Task<ClientResultException> RefusedAsync(ChatClient client, ChatCompletionOptions options) =>
        await Assert.ThrowsAsync<ClientResultException>(() => client.CompleteChatAsync(Ask, options, TestContext.Current.CancellationToken));

    private ChatClient Chat(string? key = null, string model = Model) => new(model, new ApiKeyCredential(key ?? server.Key), Options());

    private OpenAIClientOptions Options() => new() { Endpoint = server.Api, RetryPolicy = new ClientRetryPolicy(maxRetries: 0) };
}
