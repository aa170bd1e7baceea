using System.Text.Json;

namespace Qanat.MockUpstream;

/// <summary>A request as the mock got it.</summary>
/// <param name="Id">The header x-request-id.</param> <param name="Number">From 0, over all requests.</param>
/// <param name="PromptTokens">Words of the messages or the prompt; the length of a prompt of tokens.</param>
public sealed record MockRequest(string Id, int Number, bool Stream, int PromptTokens, int? MaxTokens, string? Authorization, JsonElement Body);

/// <summary>What the mock does with a request.</summary>
public sealed record MockPlan
{
    public int Status { get; init; } = 200;

    /// <summary>Of a status other than 200.</summary>
    public string ErrorBody { get; init; } = """{"error":{"message":"mock"}}""";
    public string? RetryAfter { get; init; }

    /// <summary>Words to say; fewer when max_tokens says so.</summary>
    public int Tokens { get; init; } = 8;

    /// <summary>Before the first byte; infinite: never.</summary>
    public TimeSpan First { get; init; }

    /// <summary>Nothing is answered before this.</summary>
    public Task FirstWhen { get; init; } = Task.CompletedTask;
    public TimeSpan PerToken { get; init; }

    /// <summary>Breaks the connection after so many words.</summary>
    public int? CutAfter { get; init; }

    /// <summary>Says an error after so many words, then ends cleanly.</summary>
    public int? ErrorAfter { get; init; }

    /// <summary>The cut or the error waits for this: for the client that is to have read the words before.</summary>
    public Task FailsWhen { get; init; } = Task.CompletedTask;

    /// <summary>Ends cleanly after its words, without a finish_reason.</summary>
    public bool ForgetsFinish { get; init; }

    /// <summary>Says what it used, when it is asked to.</summary>
    public bool TellsUsage { get; init; } = true;

    /// <summary>What it adds to the output tokens that it tells.</summary>
    public int Lies { get; init; }
}

/// <summary>The mock's own count of one request.</summary>
public sealed class MockCount
{
    private int sent, finished, finishedTokens, left, prompt;

    public int PromptTokens => prompt;

    /// <summary>Words that were written to the connection.</summary>
    public int Sent => sent;

    /// <summary>Words of answers that were sent to their end.</summary>
    public int FinishedTokens => finishedTokens;

    /// <summary>Answers that were sent to their end.</summary>
    public int Finished => finished;

    /// <summary>Answers that the other side closed before their end.</summary>
    public int Left => left;

    internal void Asked(int tokens) => Interlocked.Exchange(ref prompt, tokens);
    internal void Say(int tokens) => Interlocked.Add(ref sent, tokens);
    internal void Finish(int tokens)
    {
        Interlocked.Add(ref finishedTokens, tokens);
        Interlocked.Increment(ref finished);
    }

    internal void Leave() => Interlocked.Increment(ref left);
}
