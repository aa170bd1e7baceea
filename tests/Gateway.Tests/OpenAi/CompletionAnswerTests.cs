using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway.Tests;

public sealed class CompletionAnswerTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    private const string Path = "/v1/completions";

    [Fact]
    public async Task A_whole_answer_with_log_probabilities_has_the_agreed_form()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, "a", "é");
        Answer answer = await gateway.PostAsync(Path, """{"model":"scripted-1","prompt":"Hi","logprobs":2}""");
        Snapshot.Match("completion-whole.json", answer.Body.ToJsonString(new System.Text.Json.JsonSerializerOptions { WriteIndented = true }) + "\n");
    }

    [Fact]
    public async Task A_stream_has_the_agreed_form()
    {
        IReadOnlyList<string> events = await fixture.Fresh().StreamAsync(Path, """{"model":"scripted-1","prompt":"Hi","stream":true,"logprobs":1}""");
        Snapshot.Match("completion-stream.txt", string.Join("\n", events) + "\n");
    }

    [Fact]
    public async Task A_completion_asks_for_sixteen_tokens_unless_told_otherwise()
    {
        TestGateway gateway = fixture.Fresh();
        await gateway.PostAsync(Path, """{"model":"scripted-1","prompt":"Hi"}""");
        Assert.Equal((Operation.Completion, 16), (gateway.Script.LastCall.Operation, gateway.Script.LastCall.MaxTokens));
    }

    [Theory]
    [InlineData("\"AB\"", "AB")]
    [InlineData("[65,66]", "AB")]
    [InlineData("[\"A\",\"B\"]", "A+B")]
    [InlineData("[[65],[66,67]]", "A+BC")]
    [InlineData("[\"A\",[66]]", "A+B")]
    [InlineData("[256,65]", "<|end|>A")]
    public async Task Prompts_come_as_text_or_tokens_one_or_many(string prompt, string prompts)
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(Path, $$"""{"model":"scripted-1","prompt":{{prompt}}}""");
        Assert.True(answer.Status == 200, answer.Text);
        Assert.Equal(prompts.Split('+').Order(StringComparer.Ordinal), gateway.Script.Calls.Select(call => ScriptedModel.TextOf(call.Prompt)).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task An_echo_puts_the_prompt_before_its_answers()
    {
        TestGateway gateway = fixture.Fresh();
        Answer answer = await gateway.PostAsync(Path, """{"model":"scripted-1","prompt":["A",[66]],"echo":true}""");
        Assert.Equal(["AHello", "BHello"], answer.Body["choices"]!.AsArray().Select(choice => (string?)choice!["text"]));
        IReadOnlyList<string> events = await gateway.StreamAsync(Path, """{"model":"scripted-1","prompt":"A","echo":true,"stream":true}""");
        Assert.Equal("AHello", string.Concat(events.SkipLast(1).Select(each => (string?)JsonNode.Parse(each["data: ".Length..])!["choices"]![0]!["text"])));
    }

    [Fact]
    public async Task Thoughts_stay_in_the_text_of_a_completion()
    {
        TestGateway gateway = fixture.Fresh();
        gateway.Script.Answer = (call, _) => Script.Say(call, "<think>\nx</think>\n\ny");
        Answer answer = await gateway.PostAsync(Path, """{"model":"scripted-1","prompt":"Hi"}""");
        Assert.Equal("<think>\nx</think>\n\ny", (string?)answer.Body["choices"]![0]!["text"]);
    }
}
