using System.Text.Json.Nodes;
using Qanat.Books;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway.Tests;

public sealed class ChatAnswerTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    private const string Path = "/v1/chat/completions";
    private const string Ask = """{"model":"scripted-1","messages":[{"role":"user","content":"Hi"}]}""";

    [Fact]
    public async Task A_whole_answer_has_the_agreed_form()
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(Path, Ask);
        Assert.Equal(200, answer.Status);
        Snapshot.Match("chat-whole.json", Pretty(answer.Body));
    }

    [Fact]
    public async Task A_stream_has_the_agreed_form_and_ends_with_its_cost()
    {
        TestGateway gateway = fixture.Fresh();
        IReadOnlyList<string> events = await gateway.StreamAsync(Path, Streamed());
        Snapshot.Match("chat-stream.txt", string.Join("\n", events) + "\n");
    }

    [Fact]
    public async Task Usage_that_was_asked_for_comes_in_a_chunk_of_its_own_before_done()
    {
        TestGateway gateway = fixture.Fresh();
        IReadOnlyList<string> events = await gateway.StreamAsync(Path, Streamed("\"stream_options\":{\"include_usage\":true}"));
        Snapshot.Match("chat-stream-usage.txt", string.Join("\n", events) + "\n");
    }

    [Fact]
    public async Task Amounts_are_exact_decimal_strings_also_in_headers()
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(Path, Ask);
        UsageRecord record = ((Settled)await Script.Say(gateway.Script.LastCall, "Hel", "lo").LastAsync(TestContext.Current.CancellationToken)).Record;
        JsonNode qanat = answer.Body["usage"]!["x_qanat"]!;
        Assert.Equal(record.Charge!.Value.ToDecimalText(), (string?)qanat["charge"]);
        Assert.Equal("0.000000123456", (string?)qanat["cost"]);
        Assert.Equal((string?)qanat["charge"], answer.Header("x-qanat-charge"));
        Assert.Equal((string?)qanat["cost"], answer.Header("x-qanat-cost"));
        Assert.Equal((string?)qanat["request_id"], answer.Header("x-qanat-request-id"));
        Assert.Equal("0.05", answer.Header("x-qanat-price-input-per-million"));
        Assert.Equal("0.4", answer.Header("x-qanat-price-output-per-million"));
        Assert.Equal("0.0005", answer.Header("x-qanat-hold"));
    }

    [Fact]
    public async Task What_is_not_known_is_said_and_never_zero()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(priced: false);
        gateway.Script.Answer = (call, _) => Unpriced(call);
        Answer answer = await gateway.PostAsync(Path, Ask);
        JsonNode qanat = answer.Body["usage"]!["x_qanat"]!;
        Assert.Null(qanat["charge"]);
        Assert.Null(qanat["cost"]);
        Assert.Null(qanat["price"]);
        Assert.Equal(["unpriced", "uncosted"], qanat["states"]!.AsArray().Select(state => (string?)state));
        Assert.Equal("unpriced", answer.Header("x-qanat-charge"));
        Assert.Equal("uncosted", answer.Header("x-qanat-cost"));
    }

    [Fact]
    public async Task A_notice_of_the_model_is_in_every_answer()
    {
        await using TestGateway gateway = await TestGateway.StartAsync(ScriptedModel.Served("随机 weights: 100% noise"));
        Answer answer = await gateway.PostAsync(Path, Ask);
        Assert.Equal("随机 weights: 100% noise", (string?)answer.Body["usage"]!["x_qanat"]!["notice"]);
        Assert.Equal("%E9%9A%8F%E6%9C%BA weights: 100%25 noise", answer.Header("x-qanat-notice"));
        Assert.Contains("随机 weights", (string?)answer.Body["system_fingerprint"], StringComparison.Ordinal);
        IReadOnlyList<string> events = await gateway.StreamAsync(Path, Streamed());
        Assert.All(events.SkipLast(1), each => Assert.Contains("随机 weights", (string?)Chunk(each)["system_fingerprint"], StringComparison.Ordinal));
        Assert.Equal("随机 weights: 100% noise", (string?)Chunk(events[^2])["usage"]!["x_qanat"]!["notice"]);
        Answer models = await gateway.GetAsync("/v1/models");
        Assert.Equal("随机 weights: 100% noise", (string?)models.Body["data"]![0]!["x_qanat"]!["notice"]);
    }

    [Fact]
    public async Task Choices_are_told_apart_and_each_has_one_finish_reason()
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(Path, Ask.Replace("}]}", "}],\"n\":3}", StringComparison.Ordinal));
        Assert.Equal([0, 1, 2], answer.Body["choices"]!.AsArray().Select(choice => (int)choice!["index"]!));
        IReadOnlyList<string> events = await gateway.StreamAsync(Path, Streamed("\"n\":3"));
        JsonNode[] chunks = [.. events.SkipLast(1).Select(Chunk)];
        int[] finished = [.. chunks.SelectMany(chunk => chunk["choices"]!.AsArray()).Where(choice => choice!["finish_reason"] is not null).Select(choice => (int)choice!["index"]!)];
        Assert.Equal([0, 1, 2], finished);
        Assert.All(chunks.SkipLast(1), chunk => Assert.Null(chunk["usage"]));
        Assert.NotNull(chunks[^1]["usage"]!["x_qanat"]);
    }

    [Theory]
    [InlineData(AnswerEnd.Stop, "stop")]
    [InlineData(AnswerEnd.Length, "length")]
    [InlineData(AnswerEnd.Budget, "length")]
    [InlineData(AnswerEnd.Loop, "length")]
    public async Task Finish_reasons_are_worded_as_clients_know_them(AnswerEnd reason, string word)
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, reason, "x");
        Answer answer = await gateway.PostAsync(Path, Ask);
        Assert.Equal(word, (string?)answer.Body["choices"]![0]!["finish_reason"]);
        Assert.Equal(reason switch { AnswerEnd.Budget => "budget", AnswerEnd.Loop => "loop", _ => null }, (string?)answer.Body["usage"]!["x_qanat"]!["stop_reason"]);
    }

    [Fact]
    public async Task Thoughts_are_told_apart_from_the_answer_in_any_pieces()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, "<th", "ink>\nfirst", " this\n", "</thi", "nk>\n\n", "Then <think> that");
        Answer answer = await gateway.PostAsync(Path, Ask);
        JsonNode message = answer.Body["choices"]![0]!["message"]!;
        Assert.Equal("first this", (string?)message["reasoning_content"]);
        Assert.Equal("Then <think> that", (string?)message["content"]);
        IReadOnlyList<string> events = await gateway.StreamAsync(Path, Streamed());
        JsonNode?[] deltas = [.. events.SkipLast(1).Select(each => Chunk(each)["choices"]![0]!["delta"])];
        Assert.Equal("first this", string.Concat(deltas.Select(delta => (string?)delta!["reasoning_content"])));
        Assert.Equal("Then <think> that", string.Concat(deltas.Select(delta => (string?)delta!["content"])));
    }

    private const string Tools = ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"clock\",\"parameters\":{\"type\":\"object\",\"properties\":{\"zone\":{\"type\":\"string\"}}}}}]";

    [Fact]
    public async Task Calls_of_tools_are_told_whole()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, "<tool_call>\n{\"name\": \"clock\", \"argu", "ments\": {\"zone\": \"UTC\"}}\n</tool_call>\n<tool_call>\n<function=clock>\n</function>\n</tool_call>");
        Answer answer = await gateway.PostAsync(Path, With(Tools));
        JsonNode choice = answer.Body["choices"]![0]!;
        Assert.Equal("tool_calls", (string?)choice["finish_reason"]);
        Assert.True(choice["message"]!.AsObject().ContainsKey("content"));
        Assert.Null(choice["message"]!["content"]);
        Assert.Equal("""[{"id":"call_0","type":"function","function":{"name":"clock","arguments":"{\u0022zone\u0022: \u0022UTC\u0022}"}},{"id":"call_1","type":"function","function":{"name":"clock","arguments":"{}"}}]""",
            choice["message"]!["tool_calls"]!.ToJsonString());
        Assert.Equal("clock", Assert.Single(gateway.Script.LastCall.Conversation!.Tools).Name);
    }

    [Fact]
    public async Task Calls_of_tools_are_told_while_they_come()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, "I look.", "\n<tool_call>\n{\"name\": \"clock\", ", "\"arguments\": {\"zo", "ne\": \"UTC\"}}", "\n</tool_call>");
        IReadOnlyList<string> events = await gateway.StreamAsync(Path, With(Tools + ",\"stream\":true"));
        JsonNode[] choices = [.. events.SkipLast(1).Select(each => Chunk(each)["choices"]![0]!)];
        Assert.Equal("I look.", string.Concat(choices.Select(choice => (string?)choice["delta"]!["content"])));
        JsonNode[] calls = [.. choices.Where(choice => choice["delta"]!["tool_calls"] is not null).Select(choice => Assert.Single(choice["delta"]!["tool_calls"]!.AsArray())!)];
        Assert.Equal(("call_0", "function", "clock"), ((string?)calls[0]["id"], (string?)calls[0]["type"], (string?)calls[0]["function"]!["name"]));
        Assert.Equal("""{"zone": "UTC"}""", string.Concat(calls.Select(call => (string?)call["function"]!["arguments"])));
        Assert.True(calls.Length > 1);
        Assert.Equal("tool_calls", (string?)choices[^1]["finish_reason"]);
    }

    [Fact]
    public async Task Without_tools_nothing_is_a_call()
    {
        TestGateway gateway = fixture.Fresh();
        const string Said = "<tool_call>\n{\"name\": \"clock\", \"arguments\": {}}\n</tool_call>";
        gateway.Script.Answer = (call, _) => Script.Say(call, Said);
        Answer answer = await gateway.PostAsync(Path, With(Tools + ",\"tool_choice\":\"none\""));
        Assert.Equal((Said, "stop"), ((string?)answer.Body["choices"]![0]!["message"]!["content"], (string?)answer.Body["choices"]![0]!["finish_reason"]));
    }

    private static string With(string more) => Ask.Replace("}]}", "}]" + more + "}", StringComparison.Ordinal);

    [Fact]
    public async Task Log_probabilities_of_an_upstream_are_told_as_it_told_them()
    {
        TestGateway gateway = fixture.Fresh();
        const string entry = """{"token":"x","logprob":-0.25,"bytes":[120],"top_logprobs":[]}""";
        gateway.Script.Answer = (call, _) => Told(call, entry);
        Answer answer = await gateway.PostAsync(Path, With(",\"logprobs\":true"));
        Assert.Equal(entry, Assert.Single(answer.Body["choices"]![0]!["logprobs"]!["content"]!.AsArray())!.ToJsonString());
        Assert.Contains((await gateway.StreamAsync(Path, Streamed("\"logprobs\":true"))), chunk => chunk.Contains(entry, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Log_probabilities_come_with_their_bytes_and_alternatives()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, "é!");
        Answer answer = await gateway.PostAsync(Path, Ask.Replace("}]}", "}],\"logprobs\":true,\"top_logprobs\":2}", StringComparison.Ordinal));
        Snapshot.Match("chat-logprobs.json", Pretty(answer.Body["choices"]![0]!["logprobs"]!));
    }

    private static async IAsyncEnumerable<CallEvent> Told(Call call, string entry)
    {
        await Task.Yield();
        Admitted admitted = Script.Admit(call);
        yield return admitted;
        yield return new Delta(0, [new TextPiece("x")], []) { ToldLogprobs = [entry] };
        yield return new ChoiceFinished(0, AnswerEnd.Stop);
        yield return Script.Settle(call, admitted, 1);
    }

    private static async IAsyncEnumerable<CallEvent> Unpriced(Call call)
    {
        await Task.Yield();
        Admitted admitted = Script.Admit(call) with { Rates = null };
        yield return admitted;
        yield return new ChoiceFinished(0, AnswerEnd.Stop);
        yield return new Settled(Script.Settle(call, admitted, 0).Record with { Price = null, Charge = null, PoolRate = null, Cost = null });
    }

    private static string Streamed(string? more = null) => Ask.Replace("}]}", "}],\"stream\":true" + (more is null ? "" : "," + more) + "}", StringComparison.Ordinal);
    private static JsonNode Chunk(string line) => JsonNode.Parse(line["data: ".Length..])!;
    private static string Pretty(JsonNode node) => node.ToJsonString(new System.Text.Json.JsonSerializerOptions { WriteIndented = true }) + "\n";
}
