using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway.Tests;

/// <summary>Embeddings and rankings that upstreams make, on every surface that has them.</summary>
public sealed class UpstreamReadingTests(SurfaceTableFixture fixture) : IClassFixture<SurfaceTableFixture>
{
    private static readonly float[] First = [0.25f, -0.5f, 3f], Second = [1f, 2f, 4f];

    [Theory]
    [InlineData("/v1/embeddings", """{"model":"scripted-1","input":["one two","three"],"dimensions":3,"user":"u"}""", "data", "embedding")]
    [InlineData("/compatible-mode/v1/embeddings", """{"model":"scripted-1","input":["one two","three"],"dimensions":3}""", "data", "embedding")]
    [InlineData("/api/v1/services/embeddings/text-embedding/text-embedding", """{"model":"scripted-1","input":{"texts":["one two","three"]},"parameters":{"dimension":3}}""", "output.embeddings", "embedding")]
    [InlineData("/api/embed", """{"model":"scripted-1","input":["one two","three"],"dimensions":3}""", "embeddings", null)]
    public async Task Vectors_come_as_the_upstream_made_them_from_one_request_and_are_billed_by_its_usage(string path, string body, string list, string? field)
    {
        // Out of order, as its index says.
        await SpeakAsync(UpstreamProtocol.OpenAi, _ => new WireAnswer($$$$"""{"object":"list","data":[{"index":1,"embedding":{{{{Json(Second)}}}}},{"index":0,"embedding":{{{{Json(First)}}}}}],"usage":{"prompt_tokens":7,"total_tokens":7}}"""));
        Answer answer = await fixture.Gateway.PostAsync(path, body);
        Assert.Equal(200, answer.Status);
        JsonNode vectors = list.Split('.').Aggregate(answer.Body, (node, name) => node[name]!);
        Assert.Equal([First, Second], vectors.AsArray().Select(each => (field is null ? each : each![field])!.AsArray().Select(number => (float)number!).ToArray()));
        WireRequest asked = fixture.Mock.Last;
        Assert.Equal("/v1/embeddings", asked.Path);
        Assert.Equal(["one two", "three"], asked.Body.GetProperty("input").EnumerateArray().Select(each => each.GetString()));
        Assert.Equal(("theirs", 3), (asked.Body.GetProperty("model").GetString(), asked.Body.GetProperty("dimensions").GetInt32()));
        await AssertBilledAsync(Operation.Embedding, 7, UsageCheckState.Plausible);
        Assert.NotNull(answer.Header("x-qanat-charge"));
    }

    [Fact]
    public async Task An_answer_is_told_once_its_json_has_ended_although_its_connection_does_not_say_so_yet()
    {
        TaskCompletionSource<string> told = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await SpeakAsync(UpstreamProtocol.OpenAi, _ => new WireAnswer("{\"data\":[{\"index\":0,\"embedding\":[1]}],\"usage\":{\"total_tokens\":2}}", Rest: told.Task));
        Answer answer = await fixture.Gateway.PostAsync("/v1/embeddings", """{"model":"scripted-1","input":"one two"}""");
        Assert.Equal(200, answer.Status);
        Assert.False(told.Task.IsCompleted);
        await AssertBilledAsync(Operation.Embedding, 2, UsageCheckState.Plausible);
        told.SetResult("");
    }

    [Theory]
    [InlineData("{\"data\":[{\"index\":0,\"embedding\":[1]}", "],\"usage\":{\"total_tokens\":2}}")]
    [InlineData("{\"data\":[{\"index\":0,\"embedding\":[1]}],\"usage\":{\"total_tokens\":2}", "}\n ")]
    [InlineData("{\"data\":[{\"index\":0,\"embedding\":[1]}],\"note\":\"}", "\",\"usage\":{\"total_tokens\":2}}")]
    public async Task An_answer_that_comes_in_parts_is_read_whole_although_a_part_ends_as_an_answer_does(string first, string rest)
    {
        await SpeakAsync(UpstreamProtocol.OpenAi, _ => new WireAnswer(first, Rest: Task.FromResult(rest)));
        Answer answer = await fixture.Gateway.PostAsync("/v1/embeddings", """{"model":"scripted-1","input":"one two"}""");
        Assert.Equal(200, answer.Status);
        await AssertBilledAsync(Operation.Embedding, 2, UsageCheckState.Plausible);
    }

    [Fact]
    public async Task Base64_holds_the_same_numbers_whichever_form_the_upstream_speaks()
    {
        string theirs = Convert.ToBase64String(System.Runtime.InteropServices.MemoryMarshal.AsBytes(First.AsSpan()));
        await SpeakAsync(UpstreamProtocol.OpenAi, _ => new WireAnswer("{\"data\":[{\"index\":0,\"embedding\":\"" + theirs + "\"}],\"usage\":{\"total_tokens\":2}}"));
        Answer answer = await fixture.Gateway.PostAsync("/v1/embeddings", """{"model":"scripted-1","input":"one two","encoding_format":"base64"}""");
        Assert.Equal(theirs, (string?)answer.Body["data"]![0]!["embedding"]);
        Assert.Equal(2, (int)answer.Body["usage"]!["prompt_tokens"]!);
    }

    [Fact]
    public async Task Tokens_go_on_as_tokens_and_queries_with_their_task()
    {
        await SpeakAsync(UpstreamProtocol.OpenAi, _ => new WireAnswer($$$$"""{"data":[{"embedding":{{{{Json(First)}}}}}],"usage":{"prompt_tokens":2}}"""));
        await fixture.Gateway.PostAsync("/v1/embeddings", """{"model":"scripted-1","input":[11,12]}""");
        Assert.Equal("[[11,12]]", fixture.Mock.Last.Body.GetProperty("input").GetRawText());
        await fixture.Gateway.PostAsync("/api/v1/services/embeddings/text-embedding/text-embedding", """{"model":"scripted-1","input":{"texts":["who?"]},"parameters":{"text_type":"query","instruct":"Find people"}}""");
        Assert.Equal("Instruct: Find people\nQuery:who?", fixture.Mock.Last.Body.GetProperty("input")[0].GetString());
    }

    [Theory]
    [InlineData("/v1/rerank", """{"model":"scripted-1","query":"q","documents":["a","b","c"],"top_n":2,"return_documents":true}""", "results", UpstreamProtocol.OpenAi, "/v1/rerank")]
    [InlineData("/compatible-api/v1/reranks", """{"model":"scripted-1","query":"q","documents":["a","b","c"],"top_n":2,"return_documents":true}""", "results", UpstreamProtocol.ModelStudio, "/compatible-api/v1/reranks")]
    [InlineData("/api/v1/services/rerank/text-rerank/text-rerank", """{"model":"scripted-1","input":{"query":"q","documents":["a","b","c"]},"parameters":{"top_n":2,"return_documents":true}}""", "output.results", UpstreamProtocol.OpenAi, "/v1/rerank")]
    public async Task Scores_are_the_upstreams_and_the_best_come_first(string path, string body, string list, UpstreamProtocol protocol, string theirs)
    {
        await SpeakAsync(protocol, _ => new WireAnswer("""{"id":"r","results":[{"index":0,"relevance_score":0.25},{"index":1,"relevance_score":0.75},{"index":2,"relevance_score":0.5}],"usage":{"total_tokens":12}}"""));
        Answer answer = await fixture.Gateway.PostAsync(path, body);
        Assert.Equal(200, answer.Status);
        JsonArray results = list.Split('.').Aggregate(answer.Body, (node, name) => node[name]!).AsArray();
        Assert.Equal([(1, 0.75, "b"), (2, 0.5, "c")], results.Select(each => ((int)each!["index"]!, (double)each["relevance_score"]!, (string)each["document"]!["text"]!)));
        Assert.Equal(theirs, fixture.Mock.Last.Path);
        Assert.Equal(("q", 3), (fixture.Mock.Last.Body.GetProperty("query").GetString(), fixture.Mock.Last.Body.GetProperty("documents").GetArrayLength()));
        await AssertBilledAsync(Operation.Rerank, 12, UsageCheckState.Plausible);
    }

    [Theory]
    [InlineData("""{"data":[{"index":0,"embedding":[1]}]}""")]
    [InlineData("""{"data":[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]}""")]
    [InlineData("""{"data":[{"index":0,"embedding":[1]},{"index":7,"embedding":[1]}]}""")]
    [InlineData("""{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":"?"}]}""")]
    [InlineData("""{"data":[{"index":0,"embedding":[1]},{"index":1,"embedding":[]}]}""")]
    [InlineData("""{"object":"error"}""")]
    [InlineData("nonsense")]
    public async Task An_answer_that_lacks_a_vector_or_makes_no_sense_is_none_and_nobody_pays_for_it(string answered)
    {
        await SpeakAsync(UpstreamProtocol.OpenAi, _ => new WireAnswer(answered));
        Answer answer = await fixture.Gateway.PostAsync("/v1/embeddings", """{"model":"scripted-1","input":["one","two"]}""");
        Assert.Equal((503, "upstream_unavailable"), (answer.Status, answer.Code));
        Assert.Empty(await fixture.Gateway.Store.ReadOpenHoldsAsync(TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task What_no_usage_was_told_for_is_billed_by_our_own_count_and_says_so()
    {
        await SpeakAsync(UpstreamProtocol.OpenAi, _ => new WireAnswer($$$$"""{"data":[{"index":0,"embedding":{{{{Json(First)}}}}}]}"""));
        Answer answer = await fixture.Gateway.PostAsync("/v1/embeddings", """{"model":"scripted-1","input":"one two three"}""");
        Assert.Contains("usage_missing", answer.Body["usage"]!["x_qanat"]!["states"]!.AsArray().Select(state => (string)state!));
        Assert.True((int)answer.Body["usage"]!["prompt_tokens"]! > 0);
    }

    [Theory]
    [InlineData("/v1/embeddings", """{"model":"scripted-1","input":"one"}""")]
    [InlineData("/v1/rerank", """{"model":"scripted-1","query":"q","documents":["a"]}""")]
    public async Task Anthropics_API_has_neither_and_is_not_asked(string path, string body)
    {
        await SpeakAsync(UpstreamProtocol.Anthropic, _ => new WireAnswer("{}"));
        int before = fixture.Mock.Requests.Count;
        Answer answer = await fixture.Gateway.PostAsync(path, body);
        Assert.Equal((400, "upstream_refused", before), (answer.Status, answer.Code, fixture.Mock.Requests.Count));
    }

    private async Task SpeakAsync(UpstreamProtocol protocol, Func<WireRequest, WireAnswer> script)
    {
        await fixture.SpeakAsync(protocol);
        fixture.Mock.Script = script;
    }

    private async Task AssertBilledAsync(Operation operation, long input, UsageCheckState state)
    {
        UsageRecord record = await fixture.OnlyNewRecordAsync();
        TokenCounts tokens = new(input, 0, 0, 0, 0);
        Assert.Equal((operation, Outcome.Completed, tokens, state), (record.Operation, record.Outcome, record.Tokens, record.Upstream!.State));
        Assert.Equal((Rating.Charge(TestGateway.Rates, tokens), Rating.Charge(UpstreamFixture.Asked, tokens)), (record.Charge, record.Cost));
    }

    private static string Json(float[] numbers) => JsonSerializer.Serialize(numbers);
}
