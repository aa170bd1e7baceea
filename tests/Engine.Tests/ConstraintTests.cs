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

    /// <summary>A model that spells the mark out has ended its thought all the same: what a budget would write then is not what the answer must be.</summary>
    [Theory]
    [InlineData(30, "<think>", "hm", "</", "think", ">", "abab")]
    [InlineData(30, "<", "think", ">", "hm", "</think>", "abab")]
    [InlineData(4, "<", "think", ">", "hm hm hm")]
    [InlineData(3, "\n", "<think>", "ab")]
    public void A_budget_of_thought_never_breaks_what_an_answer_must_be(int budget, params string[] pieces)
    {
        BpeTokenizer tokenizer = tiny.Model.Tokenizer;
        Conversation chat = Conversation.Of(new ChatMessage(ChatRole.User, "Say it.")) with { Format = new RegexFormat("\n?(<think>)?[ab]{40}"), ThinkingTokensMax = budget };
        ThoughtMarks marks = tiny.Model.Chat.ThoughtOf(chat)!;
        int[] script = [.. pieces.SelectMany(piece => tokenizer.Encode(piece, piece is "<think>" or "</think>" ? SpecialText.Parse : SpecialText.AsPlainText))];
        int a = tokenizer.Encode("a", SpecialText.AsPlainText)[0], b = tokenizer.Encode("b", SpecialText.AsPlainText)[0];
        using var runner = new FakeRunner(64, 4, tokenizer.Count)
        {
            OnLogits = (sequence, logits) =>
            {
                Array.Fill(logits, -100);
                logits[a] = logits[b] = 50;
                foreach (int stop in tokenizer.StopTokens) logits[stop] = 60;
                if (sequence.Generated < script.Length) logits[script[sequence.Generated]] = 100;
            },
        };
        var sink = new Recorder();
        var loop = new StepLoop(runner, Vocabulary.Of(tokenizer), new EngineOptions { StepTokensMax = 32, SequencesMax = 8, BlockTokens = 4 }, sink, new EngineClock(new ManualClock()));
        loop.Submit(new SequenceRequest(Rig.Id(1), [1, 2, 3], 100, int.MaxValue, new SamplingOptions { Temperature = 0 }, [], -1, false, "tenant")
        {
            Constraint = tiny.Model.Chat.Constraint(chat),
            Thinking = new ThinkingOptions(marks.Open, marks.Close, marks.IsOpen) { TokensMax = marks.TokensMax, Ending = marks.Ending },
        });
        while (loop.RunOne())
        {
        }
        Assert.Equal(FinishReason.Stop, sink[Rig.Id(1)].Finish);
        Assert.Matches("[ab]{40}$", sink[Rig.Id(1)].Text.ToString());
        Assert.InRange(sink.Facts.SelectMany(fact => fact.Sequences).Sum(step => step.ReasoningTokens), 3, 100);
    }
}
