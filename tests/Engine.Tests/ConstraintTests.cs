using System.Text.Json;
using Qanat.Models;

namespace Qanat.Engine.Tests;

/// <summary>A random model writes what it must.</summary>
public sealed class ConstraintTests(DenseFixture tiny) : IClassFixture<DenseFixture>
{
    private const string Schema = """{"type":"object","properties":{"name":{"type":"string","maxLength":12},"age":{"type":"integer","minimum":0,"maximum":150},"tags":{"type":"array","items":{"enum":["a","b"]},"maxItems":3}},"required":["name","age"],"additionalProperties":false}""";

    private SequenceRequest Request(int id, float temperature, ulong seed)
    {
        Conversation chat = Conversation.Of(new ChatMessage(ChatRole.User, "Who?")) with { Thinking = Thinking.Off, Format = new JsonSchemaFormat("person", Schema) };
        return new SequenceRequest(Rig.Id(id), [.. tiny.Model.Chat.Render(chat)], 200, int.MaxValue, new SamplingOptions { Temperature = temperature, TopK = id % 2 == 0 ? 20 : 0, TopP = 0.95f, Seed = seed }, [], 1, false, "tenant")
        {
            Constraint = tiny.Model.Chat.Constraint(chat),
        };
    }

    private Recorder Run(params SequenceRequest[] requests)
    {
        long blockBytes;
        using (KvCache one = tiny.Model.Network.CreateKvCache(1, 16)) blockBytes = one.Bytes;
        var options = new EngineOptions { StepTokensMax = 64, SequencesMax = 16, BlockTokens = 16, KvBytesMax = 400 * blockBytes };
        var sink = new Recorder();
        using var runner = new ModelRunner(tiny.Model.Network, options);
        var loop = new StepLoop(runner, Vocabulary.Of(tiny.Model.Tokenizer), options, sink, new EngineClock(new ManualClock()));
        foreach (SequenceRequest request in requests) loop.Submit(request);
        while (loop.RunOne())
        {
        }
        return sink;
    }

    [Fact]
    public void Every_answer_matches_alone_and_in_company()
    {
        SequenceRequest[] requests = [.. Enumerable.Range(1, 12).Select(id => Request(id, id % 3 * 0.7f, (ulong)id))];
        Recorder together = Run(requests);
        foreach (SequenceRequest request in requests)
        {
            Answer answer = together[request.Id];
            Assert.Equal(FinishReason.Stop, answer.Finish);
            using JsonDocument person = JsonDocument.Parse(answer.Text.ToString());
            Assert.InRange(person.RootElement.GetProperty("age").GetInt32(), 0, 150);
            Assert.NotNull(person.RootElement.GetProperty("name").GetString());
            Assert.Equal(answer.Tokens, Run(request)[request.Id].Tokens);
        }
    }

    [Fact]
    public void An_answer_ends_with_what_it_must_be_even_when_stop_tokens_are_ignored()
    {
        SequenceRequest request = Request(1, 1, 5) with { IgnoreStopTokens = true };
        Assert.Equal(FinishReason.Stop, Run(request)[request.Id].Finish);
    }
}
