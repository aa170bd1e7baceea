namespace Qanat.Engine;

/// <summary>When a sequence is finished: a stop string, a stop token or the end of what it must be ends it with Stop, its own limit or the end of the context with Length.</summary>
/// <param name="stopTokens">Tokens that end an answer.</param>
/// <param name="contextLength">Tokens, prompt and answer together, that a sequence can have.</param>
internal sealed class StopRule(int[] stopTokens, int contextLength)
{
    public bool IsStopToken(Sequence sequence, int token) => !sequence.Request.IgnoreStopTokens && Array.IndexOf(stopTokens, token) >= 0;

    private static bool IsComplete(Sequence sequence) => sequence.Constraint is { HasEnded: true };

    /// <summary>Asked after the token was appended and its text was taken in.</summary>
    public FinishReason? After(Sequence sequence, int token)
    {
        if (sequence.Text.IsStopped || IsStopToken(sequence, token) || IsComplete(sequence)) return FinishReason.Stop;
        if (sequence.Generated >= sequence.Request.MaxNewTokens || sequence.Count >= contextLength) return FinishReason.Length;
        if (sequence.Request.LoopTokensMax is { } tokensMax && LoopRule.IsLoop(sequence.Tokens[sequence.PromptLength..], tokensMax)) return FinishReason.Loop;
        return null;
    }
}
