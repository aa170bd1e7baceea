using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Reads whether and how hard the model is to think: "enable_thinking" and "reasoning_effort", in which "none" is no thought at all.</summary>
internal static class ThinkingFields
{
    private const string Effort = "reasoning_effort";

    public static Thinking Read(JsonFields fields)
    {
        bool? enabled = fields.Flag("enable_thinking") ?? fields.Object("chat_template_kwargs")?.Flag("enable_thinking");
        return enabled switch
        {
            true => Thinking.On,
            false => Thinking.Off,
            null => fields.Text(Effort) == "none" ? Thinking.Off : Thinking.ModelDefault,
        };
    }

    public static ReasoningEffort? ReadEffort(JsonFields fields) => fields.Text(Effort) switch
    {
        null or "none" => null,
        "minimal" => ReasoningEffort.Minimal,
        "low" => ReasoningEffort.Low,
        "medium" => ReasoningEffort.Medium,
        "high" => ReasoningEffort.High,
        "xhigh" or "max" => ReasoningEffort.XHigh,
        _ => throw Refusal.Value(fields.PathOf(Effort), "it must be 'none', 'minimal', 'low', 'medium', 'high', 'xhigh' or 'max'."),
    };
}
