using System.Text.Json;
using Microsoft.Extensions.AI;
using Qanat.Models;
using Qanat.TinyModel;
using ChatMessage = Microsoft.Extensions.AI.ChatMessage;
using ChatRole = Microsoft.Extensions.AI.ChatRole;

namespace Qanat.Local.Tests;

public sealed class TinyLocalModel : IAsyncLifetime
{
    private readonly string folder = Directory.CreateTempSubdirectory("qanat-local-tests").FullName;

    public LocalModel Model { get; private set; } = null!;

    public ValueTask InitializeAsync()
    {
        Model = LocalModel.Load(TinyModelRecipe.Tiny.WriteTo(folder), new LocalModelOptions { Threads = 2 });
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await Model.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }
}

/// <summary>A program that embeds the engine, as a .NET program sees it.</summary>
public sealed class LocalChatClientTests(TinyLocalModel tiny) : IClassFixture<TinyLocalModel>
{
    private readonly IChatClient chat = tiny.Model.ChatClient();

    private static ChatOptions Options(long seed = 1) => new() { MaxOutputTokens = 24, Seed = seed };

    [Fact]
    public async Task The_same_seed_gives_the_same_answer_streamed_or_whole()
    {
        ChatResponse whole = await chat.GetResponseAsync("Hello", Options(), TestContext.Current.CancellationToken);
        List<ChatResponseUpdate> updates = await chat.GetStreamingResponseAsync([new ChatMessage(ChatRole.User, "Hello")], Options(), TestContext.Current.CancellationToken).ToListAsync(TestContext.Current.CancellationToken);
        Assert.Equal(whole.Text, string.Concat(updates.Select(update => update.Text)));
        Assert.NotEmpty(whole.Text);
        Assert.Equal(tiny.Model.Name, whole.ModelId);
        Assert.Equal(24, whole.Usage!.OutputTokenCount);
        Assert.True(whole.Usage.InputTokenCount > 0);
        Assert.Equal(ChatFinishReason.Length, whole.FinishReason);
        Assert.NotEqual(whole.Text, (await chat.GetResponseAsync("Hello", Options(2), TestContext.Current.CancellationToken)).Text);
    }

    private sealed record Person(string Name, int Age);

    [Fact]
    public async Task Structured_output_is_of_the_schema()
    {
        using JsonDocument schema = JsonDocument.Parse("""{"type":"object","properties":{"name":{"type":"string","maxLength":10},"age":{"type":"integer","minimum":0,"maximum":99}},"required":["name","age"],"additionalProperties":false}""");
        ChatResponse answer = await chat.GetResponseAsync("Who?", new ChatOptions { Seed = 3, ResponseFormat = ChatResponseFormat.ForJsonSchema(schema.RootElement), AdditionalProperties = new() { ["enable_thinking"] = false } }, TestContext.Current.CancellationToken);
        Person person = JsonSerializer.Deserialize<Person>(answer.Text, JsonSerializerOptions.Web)!;
        Assert.InRange(person.Age, 0, 99);
        Assert.Equal(ChatFinishReason.Stop, answer.FinishReason);
    }

    [Fact]
    public async Task A_tool_that_must_be_called_is_called()
    {
        using JsonDocument schema = JsonDocument.Parse("""{"type":"object","properties":{"city":{"enum":["Bam","Yazd"]}},"required":["city"],"additionalProperties":false}""");
        AIFunctionDeclaration weather = AIFunctionFactory.CreateDeclaration("weather", "Of a city", schema.RootElement.Clone());
        ChatResponse answer = await chat.GetResponseAsync("Warm?", new ChatOptions { Seed = 4, Tools = [weather], ToolMode = ChatToolMode.RequireSpecific("weather"), AdditionalProperties = new() { ["enable_thinking"] = false } }, TestContext.Current.CancellationToken);
        FunctionCallContent call = Assert.Single(answer.Messages.SelectMany(message => message.Contents).OfType<FunctionCallContent>());
        Assert.Equal("weather", call.Name);
        Assert.Contains(((JsonElement)call.Arguments!["city"]!).GetString(), (string[])["Bam", "Yazd"]);
        Assert.Equal(ChatFinishReason.ToolCalls, answer.FinishReason);

        ChatResponse next = await chat.GetResponseAsync([new ChatMessage(ChatRole.User, "Warm?"), .. answer.Messages, new ChatMessage(ChatRole.Tool, [new FunctionResultContent(call.CallId, 31)])], Options(), TestContext.Current.CancellationToken);
        Assert.True(next.Usage!.OutputTokenCount > 0);
    }

    [Fact(Timeout = 60_000)]
    public async Task Whoever_stops_reading_ends_the_answer()
    {
        await foreach (ChatResponseUpdate update in chat.GetStreamingResponseAsync("Hello", new ChatOptions { Seed = 5 }, TestContext.Current.CancellationToken))
        {
            if (update.Text.Length > 0) break;
        }
        while (tiny.Model.Status.Running > 0)
        {
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    [Fact]
    public async Task What_cannot_be_kept_is_told() =>
        await Assert.ThrowsAsync<GrammarException>(() => chat.GetResponseAsync("x", new ChatOptions { ResponseFormat = ChatResponseFormat.ForJsonSchema(JsonDocument.Parse("""{"not":{}}""").RootElement) }, TestContext.Current.CancellationToken));

    [Fact]
    public void The_model_behind_a_client_can_be_asked_for()
    {
        Assert.Same(tiny.Model, chat.GetService(typeof(LocalModel)));
        Assert.Equal("qanat", ((ChatClientMetadata)chat.GetService(typeof(ChatClientMetadata))!).ProviderName);
    }
}
