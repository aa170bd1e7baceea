using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway.Tests;

/// <summary>The scripted model's vector of a text is (its tokens, 1, 2, 2); the logits of "yes" and "no" are its tokens and 0.</summary>
public sealed class EmbeddingTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    private const string Path = "/v1/embeddings";

    [Fact]
    public async Task Vectors_come_in_order_with_length_one_and_their_cost()
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(Path, """{"model":"scripted-1","input":["four","longer text"],"user":"u"}""");
        Assert.Equal(200, answer.Status);
        JsonNode[] data = [.. answer.Body["data"]!.AsArray().OfType<JsonNode>()];
        Assert.Equal([0, 1], data.Select(each => (int)each["index"]!));
        Assert.Equal([0.8f, 0.2f, 0.4f, 0.4f], data[0]["embedding"]!.AsArray().Select(value => (float)value!));
        Assert.Equal(15, (int)answer.Body["usage"]!["prompt_tokens"]!);
        Assert.Equal(answer.Header("x-qanat-charge"), (string?)answer.Body["usage"]!["x_qanat"]!["charge"]);
        Assert.Equal(2, answer.Body["usage"]!["x_qanat"]!["request_ids"]!.AsArray().Count);
        Assert.All(gateway.Script.Calls, call => Assert.Equal((Operation.Embedding, 0, "u"), (call.Operation, call.MaxTokens, call.UserTag)));
    }

    [Fact]
    public async Task Base64_holds_the_same_numbers()
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(Path, """{"model":"scripted-1","input":"four","encoding_format":"base64"}""");
        byte[] bytes = Convert.FromBase64String((string)answer.Body["data"]![0]!["embedding"]!);
        Assert.Equal([0.8f, 0.2f, 0.4f, 0.4f], MemoryMarshal.Cast<byte, float>(bytes).ToArray());
    }

    [Fact]
    public async Task A_beginning_of_a_vector_has_length_one_too()
    {
        Answer answer = await fixture.Fresh().PostAsync(Path, """{"model":"scripted-1","input":"four","dimensions":1}""");
        Assert.Equal([1f], answer.Body["data"]![0]!["embedding"]!.AsArray().Select(value => (float)value!));
    }

    [Theory]
    [InlineData("[65,66]", 1)]
    [InlineData("[[65],[66,67]]", 2)]
    public async Task Tokens_are_read_as_they_are(string input, int texts)
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(Path, "{\"model\":\"scripted-1\",\"input\":" + input + "}");
        Assert.Equal(texts, answer.Body["data"]!.AsArray().Count);
    }

    [Fact]
    public async Task A_long_list_is_read_a_few_at_a_time_and_all_of_it()
    {
        TestGateway gateway = fixture.Fresh();
        string[] texts = [.. Enumerable.Range(1, 100).Select(length => new string('x', length))];
        Answer answer = await gateway.PostAsync(Path, new JsonObject { ["model"] = "scripted-1", ["input"] = new JsonArray([.. texts.Select(text => (JsonNode)text)]) }.ToJsonString());
        float[] first = [.. answer.Body["data"]!.AsArray().Select(each => (float)each!["embedding"]![0]! / (float)each["embedding"]![1]!)];
        Assert.Equal(Enumerable.Range(1, 100), first.Select(value => (int)MathF.Round(value)));
    }

    [Theory]
    [InlineData("""{"model":"scripted-1"}""", "input")]
    [InlineData("""{"model":"scripted-1","input":[]}""", "input")]
    [InlineData("""{"model":"scripted-1","input":""}""", "input")]
    [InlineData("""{"model":"scripted-1","input":"x","dimensions":5}""", "dimensions")]
    [InlineData("""{"model":"scripted-1","input":"x","encoding_format":"hex"}""", "encoding_format")]
    [InlineData("""{"model":"scripted-1","input":[[300]]}""", "input[0][0]")]
    public async Task Errors_name_the_field(string body, string param)
    {
        Answer answer = await fixture.Fresh().PostAsync(Path, body);
        Assert.Equal((400, param), (answer.Status, answer.Param));
    }

    [Fact]
    public async Task DashScope_tells_vectors_in_its_own_form_and_gives_queries_their_task()
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync("/api/v1/services/embeddings/text-embedding/text-embedding",
            """{"model":"scripted-1","input":{"texts":["four"]},"parameters":{"dimension":2,"text_type":"query","instruct":"Find."}}""");
        Assert.Equal((0, 2), ((int)answer.Body["output"]!["embeddings"]![0]!["text_index"]!, answer.Body["output"]!["embeddings"]![0]!["embedding"]!.AsArray().Count));
        Assert.Equal("Find.:four", ScriptedModel.TextOf(gateway.Script.LastCall.Prompt));
        Assert.NotNull(answer.Body["usage"]!["x_qanat"]!["charge"]);
    }

    [Fact]
    public async Task Ollama_tells_vectors_in_its_own_forms()
    {
        TestGateway gateway = fixture.Fresh();
        Assert.Equal(4, (await gateway.PostAsync("/api/embed", """{"model":"scripted-1","input":["four"]}""")).Body["embeddings"]![0]!.AsArray().Count);
        Assert.Equal(4, (await gateway.PostAsync("/api/embeddings", """{"model":"scripted-1","prompt":"four"}""")).Body["embedding"]!.AsArray().Count);
    }

    [Theory]
    [InlineData("/v1/rerank", """{"model":"scripted-1","query":"q","documents":["a",{"text":"aaa"},"aa"],"top_n":2,"return_documents":true}""")]
    [InlineData("/compatible-api/v1/reranks", """{"model":"scripted-1","query":"q","documents":["a","aaa","aa"],"top_n":2,"return_documents":true}""")]
    [InlineData("/api/v1/services/rerank/text-rerank/text-rerank", """{"model":"scripted-1","input":{"query":"q","documents":["a","aaa","aa"]},"parameters":{"top_n":2,"return_documents":true}}""")]
    public async Task Documents_are_ranked_best_first_in_every_form(string path, string body)
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(path, body);
        Assert.Equal(200, answer.Status);
        JsonNode[] results = [.. (answer.Body["results"] ?? answer.Body["output"]!["results"])!.AsArray().OfType<JsonNode>()];
        Assert.Equal([(1, "aaa"), (2, "aa")], results.Select(each => ((int)each["index"]!, (string?)each["document"]!["text"])));
        Assert.True((double)results[0]["relevance_score"]! >= (double)results[1]["relevance_score"]!);
        Assert.Equal(answer.Header("x-qanat-charge"), (string?)answer.Body["usage"]!["x_qanat"]!["charge"]);
        Assert.All(gateway.Script.Calls, call => Assert.Equal(Operation.Rerank, call.Operation));
    }
}
