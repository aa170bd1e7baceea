using System.Text.Json;
using Microsoft.Extensions.AI;
using Qanat.Models;
using Qanat.TinyModel;
using ChatMessage = Microsoft.Extensions.AI.ChatMessage;
using ChatRole = Microsoft.Extensions.AI.ChatRole;
using Given = Microsoft.Extensions.AI;

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
    public async Task A_file_that_only_ranks_says_so_and_still_makes_vectors()
    {
        string folder = Directory.CreateTempSubdirectory("qanat-local-reranker-").FullName, path = Path.Combine(folder, "reranker.gguf");
        try
        {
            using (GgufFile source = GgufFile.Open(TinyModelRecipe.Tiny.WriteTo(folder)))
            using (FileStream target = File.Create(path))
                RerankerWriter.Write(source, target, "yes", "no");
            await using LocalModel model = LocalModel.Load(path, new LocalModelOptions { Threads = 1 }, cancel: TestContext.Current.CancellationToken);
            ArgumentException refused = await Assert.ThrowsAsync<ArgumentException>(() => model.ChatClient().GetResponseAsync("Hi", cancellationToken: TestContext.Current.CancellationToken));
            Assert.StartsWith("qanat-tiny ranks and makes embeddings; it cannot generate", refused.Message, StringComparison.Ordinal);
            Assert.Single(await model.EmbeddingGenerator().GenerateAsync(["water"], cancellationToken: TestContext.Current.CancellationToken));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

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

    [Fact]
    public async Task A_function_is_called_and_the_model_goes_on_from_its_result()
    {
        List<string> asked = [];
        using IChatClient calling = chat.AsBuilder().UseFunctionInvocation().Build();
        AIFunction weather = AIFunctionFactory.Create((City city) => { asked.Add(city.ToString()); return 31; }, "weather", "Of a city");
        ChatResponse answer = await calling.GetResponseAsync("Warm?", new ChatOptions { Seed = 4, MaxOutputTokens = 200, Tools = [weather], ToolMode = ChatToolMode.RequireSpecific("weather"), Reasoning = new() { Effort = Given.ReasoningEffort.None } }, TestContext.Current.CancellationToken);
        Assert.Contains(Assert.Single(asked), Enum.GetNames<City>());
        Assert.Equal([ChatRole.Assistant, ChatRole.Tool, ChatRole.Assistant], answer.Messages.Select(message => message.Role));
        Assert.Equal("31", Assert.Single(answer.Messages[1].Contents.OfType<FunctionResultContent>()).Result?.ToString());
    }

    private enum City { Bam, Yazd }

    [Fact]
    public async Task No_effort_is_the_same_as_thinking_switched_off()
    {
        long? prompt = await PromptOf(new ChatOptions { MaxOutputTokens = 1 });
        long? byEffort = await PromptOf(new ChatOptions { MaxOutputTokens = 1, Reasoning = new() { Effort = Given.ReasoningEffort.None } });
        Assert.NotEqual(prompt, byEffort);
        Assert.Equal(await PromptOf(new ChatOptions { MaxOutputTokens = 1, AdditionalProperties = new() { ["enable_thinking"] = false } }), byEffort);
        Assert.Equal(prompt, await PromptOf(new ChatOptions { MaxOutputTokens = 1, Reasoning = new() { Effort = Given.ReasoningEffort.None }, AdditionalProperties = new() { ["enable_thinking"] = true } }));

        async Task<long?> PromptOf(ChatOptions options) => (await chat.GetResponseAsync("Hello", options, TestContext.Current.CancellationToken)).Usage!.InputTokenCount;
    }

    [Theory]
    [InlineData(Given.ReasoningEffort.Low, Models.ReasoningEffort.Low)]
    [InlineData(Given.ReasoningEffort.Medium, Models.ReasoningEffort.Medium)]
    [InlineData(Given.ReasoningEffort.High, Models.ReasoningEffort.High)]
    [InlineData(Given.ReasoningEffort.ExtraHigh, Models.ReasoningEffort.XHigh)]
    public void An_effort_reaches_the_conversation(Given.ReasoningEffort asked, Models.ReasoningEffort effort)
    {
        Conversation conversation = ConversationReading.Read([new ChatMessage(ChatRole.User, "Hello")], new ChatOptions { Reasoning = new() { Effort = asked } });
        Assert.Equal((effort, Thinking.ModelDefault), (conversation.Effort, conversation.Thinking));
    }

    [Fact]
    public void A_strict_tool_is_read_as_one()
    {
        AIFunction Tool(object? strict) => AIFunctionFactory.Create((City city) => 1, new AIFunctionFactoryOptions { Name = "weather", AdditionalProperties = new Dictionary<string, object?> { ["strict"] = strict } });
        Conversation conversation = ConversationReading.Read([], new ChatOptions { Tools = [Tool(true), Tool(false), AIFunctionFactory.Create((City city) => 1, "weather")] });
        Assert.Equal([true, false, false], conversation.Tools.Select(tool => tool.Strict));
    }

    [Fact]
    public async Task Thoughts_are_kept_back_from_those_who_do_not_want_them_and_counted_all_the_same()
    {
        for (int seed = 0; seed < 200; seed++)
        {
            ChatResponse told = await chat.GetResponseAsync("Hello", Asked(seed, ReasoningOutput.Full), TestContext.Current.CancellationToken);
            if (Thoughts(told).Length == 0 || told.Usage!.ReasoningTokenCount == 0) continue;
            ChatResponse untold = await chat.GetResponseAsync("Hello", Asked(seed, ReasoningOutput.None), TestContext.Current.CancellationToken);
            Assert.Equal("", Thoughts(untold));
            Assert.Equal((told.Text, told.Usage.ReasoningTokenCount, told.Usage.OutputTokenCount), (untold.Text, untold.Usage!.ReasoningTokenCount, untold.Usage.OutputTokenCount));
            return;
        }
        Assert.Fail("The model thought before none of its answers.");

        static string Thoughts(ChatResponse answer) => string.Concat(answer.Messages.SelectMany(message => message.Contents).OfType<TextReasoningContent>().Select(thought => thought.Text));

        // Where an answer must be a short JSON text, a model whose weights are random begins some of them with a thought.
        static ChatOptions Asked(long seed, ReasoningOutput output) => new()
        {
            Seed = seed,
            MaxOutputTokens = 40,
            Reasoning = new() { Output = output },
            ResponseFormat = ChatResponseFormat.ForJsonSchema(JsonDocument.Parse("""{"enum":[true]}""").RootElement),
            AdditionalProperties = new() { ["thinking_budget"] = 4 },
        };
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
