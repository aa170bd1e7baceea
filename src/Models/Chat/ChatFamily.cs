namespace Qanat.Models;

/// <summary>What sets one family of Qwen's chat models apart from Qwen3, whose format the others grew from. Read from the template that came with a model.</summary>
/// <param name="DefaultSystem">Said when nobody gives a system text (2.5); null: nothing.</param>
/// <param name="CallsInTags">Tools are called in tags rather than in JSON (3.5 and later).</param>
/// <param name="OpensThought">The prompt opens the thought unless the model is not to think (3.5 and later).</param>
/// <param name="KeepsThoughts">Thoughts of earlier turns are shown again unless that is not wanted (3.8); null: never (before 3.6).</param>
/// <param name="HasEffort">How hard to think is said before the system text, and a thought is never looked for in the text of a turn (3.8).</param>
/// <param name="WritesThoughts">Turns behind the last question show their thoughts at all.</param>
/// <param name="ValuesInJson">Values in tags that are no text are JSON (3.6 and later) rather than the words of the templates' language (3.5).</param>
internal sealed record ChatFamily(string? DefaultSystem, bool CallsInTags, bool OpensThought, bool? KeepsThoughts, bool HasEffort, bool WritesThoughts, bool ValuesInJson)
{
    private const string QwenSystem = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";

    private const string CarefulEffort =
        "Reasoning effort is set to xhigh. Please think carefully through the task, validate key assumptions, consider plausible alternatives, and prioritize correctness, consistency, and clarity in the final answer.";

    private const string BriefEffort = "Reasoning effort is set to low. Keep your thinking brief and focused, moving directly to the conclusion without unnecessary elaboration.";

    public static readonly ChatFamily Qwen3 = new(null, CallsInTags: false, OpensThought: false, KeepsThoughts: null, HasEffort: false, WritesThoughts: true, ValuesInJson: false);

    public static ChatFamily Of(string template)
    {
        bool inTags = template.Contains("<function=", StringComparison.Ordinal);
        bool hasEffort = template.Contains("reasoning_effort", StringComparison.Ordinal);
        bool mayKeep = template.Contains("preserve_thinking", StringComparison.Ordinal);
        string? system = template.Contains(QwenSystem, StringComparison.Ordinal) ? QwenSystem : null;
        bool opens = inTags && template.Contains("enable_thinking", StringComparison.Ordinal);
        return new ChatFamily(system, inTags, opens, mayKeep ? hasEffort : null, hasEffort, system is null, ValuesInJson: mayKeep);
    }

    /// <summary>Null: nothing is said of it.</summary>
    public string? EffortText(Conversation conversation) => !HasEffort || conversation.Thinking == Thinking.Off ? null : conversation.Effort switch
    {
        null or ReasoningEffort.High or ReasoningEffort.XHigh => CarefulEffort,
        ReasoningEffort.Medium => null,
        _ => BriefEffort,
    };

    /// <summary>Whether thoughts of turns before the last question are written.</summary>
    public bool Keeps(Conversation conversation) => KeepsThoughts is { } byDefault && (conversation.PreserveThinking ?? byDefault);
}
