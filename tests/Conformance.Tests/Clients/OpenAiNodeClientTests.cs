using System.Globalization;
using System.Text.Json.Nodes;

namespace Qanat.Conformance.Tests;

/// <summary>npm openai against the real server: openai.mjs says what it saw, the tests say what it should have.</summary>
public sealed class OpenAiNodeClientTests(OpenAiNodeClientTests.Session session) : IClassFixture<OpenAiNodeClientTests.Session>
{
    [Fact]
    public async Task The_model_is_listed_and_found()
    {
        JsonNode seen = await session.SeenAsync();
        Assert.Equal(("qanat-tiny", "qanat-tiny"), ((string?)seen["model"], (string?)seen["retrieved"]));
    }

    [Fact]
    public async Task The_same_seed_gives_the_same_text_whole_in_parts_and_streamed()
    {
        JsonNode seen = await session.SeenAsync();
        string text = (string)seen["whole"]!["text"]!;
        Assert.NotEmpty(text);
        Assert.Equal(text, (string?)seen["partsText"]);
        Assert.Equal(text, (string?)seen["stream"]!["text"]);
    }

    [Fact]
    public async Task Every_answer_ends_with_one_finish_reason()
    {
        JsonNode seen = await session.SeenAsync();
        Assert.Equal("length", (string?)seen["whole"]!["finish"]);
        Assert.Equal(["length"], seen["stream"]!["finishes"]!.AsArray().Select(each => (string?)each));
        Assert.Equal([0, 1, 2], seen["many"]!.AsArray().Select(each => (int)each!));
    }

    [Fact]
    public async Task Usage_and_cost_are_in_the_answer_in_headers_and_in_the_last_chunk()
    {
        JsonNode seen = await session.SeenAsync();
        foreach (JsonNode usage in (JsonNode[])[seen["whole"]!["usage"]!, seen["stream"]!["lastUsage"]!, seen["streamUsage"]!["usage"]!])
        {
            Assert.Equal(8, (int)usage["completion_tokens"]!);
            Assert.Equal((int)usage["prompt_tokens"]! + 8, (int)usage["total_tokens"]!);
            Assert.Equal("acme", (string?)usage["x_qanat"]!["tenant"]);
            Assert.True(decimal.Parse((string)usage["x_qanat"]!["charge"]!, CultureInfo.InvariantCulture) > 0);
            Assert.True(decimal.Parse((string)usage["x_qanat"]!["cost"]!, CultureInfo.InvariantCulture) > 0);
            Assert.Contains("random", (string?)usage["x_qanat"]!["notice"], StringComparison.Ordinal);
        }
        Assert.Equal((string?)seen["headers"]!["charge"], (string?)seen["headerUsage"]!["charge"]);
        Assert.Equal((string?)seen["headers"]!["cost"], (string?)seen["headerUsage"]!["cost"]);
        Assert.Equal(0, (int)seen["streamUsage"]!["lastChoices"]!);
        Assert.True((bool)seen["streamUsage"]!["earlier"]!);
    }

    [Fact]
    public async Task The_books_say_what_the_client_was_told()
    {
        JsonNode seen = await session.SeenAsync();
        JsonNode told = seen["whole"]!["usage"]!["x_qanat"]!;
        JsonNode record = await session.Server.UsageAsync((string)told["request_id"]!);
        Assert.Equal((string?)told["charge"], (string?)record["charge"]);
        Assert.Equal((string?)told["cost"], (string?)record["cost"]);
        Assert.Equal((long)told["device_ns"]!, (long)record["device_ns"]!["prefill"]! + (long)record["device_ns"]!["decode"]!);
        Assert.Equal(8, (int)record["tokens"]!["output"]!);
    }

    [Fact]
    public async Task A_client_that_stops_listening_pays_for_what_was_generated_and_no_more()
    {
        JsonNode seen = await session.SeenAsync();
        string id = Guid.ParseExact(((string)seen["leftId"]!)["chatcmpl-".Length..], "N").ToString();
        JsonNode record = await session.Server.UsageAsync(id);
        Assert.Equal("aborted_by_client", (string?)record["outcome"]);
        Assert.InRange((int)record["tokens"]!["output"]!, 1, 29_999);
        Assert.NotNull(record["charge"]);
    }

    [Fact]
    public async Task Log_probabilities_have_their_bytes_and_alternatives()
    {
        JsonNode seen = await session.SeenAsync();
        JsonArray tokens = seen["logprobs"]!.AsArray();
        Assert.Equal(8, tokens.Count);
        Assert.All(tokens, token =>
        {
            Assert.Equal(2, (int)token!["top"]!);
            Assert.NotEmpty(token["bytes"]!.AsArray());
            Assert.True((double)token["logprob"]! <= 0);
        });
    }

    [Fact]
    public async Task Completions_answer_every_prompt_and_stream()
    {
        JsonNode seen = await session.SeenAsync();
        Assert.Equal([0, 1], seen["completion"]!["choices"]!.AsArray().Select(choice => (int)choice!["index"]!));
        Assert.All(seen["completion"]!["choices"]!.AsArray(), choice => Assert.Equal(4, (int)choice!["tokens"]!));
        Assert.Equal(8, (int)seen["completion"]!["usage"]!["completion_tokens"]!);
        Assert.NotEmpty((string)seen["completionStream"]!);
    }

    [Theory]
    [InlineData("badKey", "AuthenticationError", 401, "invalid_api_key", null)]
    [InlineData("unknownModel", "NotFoundError", 404, "model_not_found", "model")]
    [InlineData("badValue", "BadRequestError", 400, "invalid_value", "temperature")]
    [InlineData("badStreamValue", "BadRequestError", 400, "invalid_type", "top_p")]
    [InlineData("image", "BadRequestError", 400, "unsupported_content", "messages[0].content[0].type")]
    [InlineData("tooLong", "BadRequestError", 400, "context_length_exceeded", "messages")]
    [InlineData("noMoney", "APIError", 402, "budget_exceeded", null)]
    [InlineData("unknownPath", "NotFoundError", 404, "unknown_url", null)]
    public async Task Errors_reach_the_client_with_their_kind_code_and_field(string name, string kind, int status, string code, string? param)
    {
        JsonNode seen = await session.SeenAsync();
        JsonNode error = seen["errors"]![name]!;
        Assert.Equal((kind, status, code, param), ((string?)error["kind"], (int)error["status"]!, (string?)error["code"], (string?)error["param"]));
        Assert.NotEmpty((string)error["message"]!);
    }

    /// <summary>Runs the client once for all tests; by whichever asks first, so that without node each is skipped.</summary>
    public sealed class Session : IAsyncLifetime
    {
        private readonly Lazy<Task<JsonNode>> seen;

        public Session() => seen = new Lazy<Task<JsonNode>>(RunAsync);

        public RealServer Server { get; } = new();

        internal Task<JsonNode> SeenAsync() => seen.Value;

        public ValueTask InitializeAsync() => ValueTask.CompletedTask;
        public ValueTask DisposeAsync() => Server.DisposeAsync();

        private async Task<JsonNode> RunAsync()
        {
            string folder = NodePackages.Install(Path.Combine(AppContext.BaseDirectory, "Clients"));
            await Server.InitializeAsync();
            return JsonNode.Parse(NodePackages.RunAndRead(folder, "openai.mjs", Server.Api.ToString(), Server.Key, Server.PoorKey))!;
        }
    }
}
