using System.Collections.Immutable;

namespace Qanat.Models;

/// <summary>Conversations of every shape that the families write differently. A template that gives the prompts of the built-in format for all of them is taken to be that format.</summary>
internal static class ChatProbes
{
    private static readonly ChatMessage s_system = new(ChatRole.System, " Be brief.\n"), s_ask = new(ChatRole.User, "How  warm is it in Yazd?\n"), s_more = new(ChatRole.User, "And naïve\u0301 水?");
    private static readonly ChatMessage s_thoughtful = new(ChatRole.Assistant, "Warm.", "\nIt is a desert.\n\nSo:\n"), s_inline = new(ChatRole.Assistant, "<think>\nhm\n</think>\n\nWarm.\n");
    private static readonly ChatMessage s_plain = new(ChatRole.Assistant, "\n\nIt is warm. "), s_result = new(ChatRole.Tool, "{\"celsius\": 31.5}\n"), s_otherResult = new(ChatRole.Tool, "dry");

    private static readonly ToolDefinition s_tool = new("get_weather", "Of a city,\nnow", """{"type": "object", "properties": {"city": {"type": "string", "description": "Its \"name\""}, "days": {"type": "array", "items": {"type": "integer"}}}, "required": ["city"]}""");
    private static readonly ToolDefinition s_otherTool = new("now", null, null);
    private static readonly ToolCall s_call = new("get_weather", """{"city": "Yazd", "days": [1, 2], "deep": {"a": null, "b": true, "c": 1.5}}"""), s_otherCall = new("now", "{}");

    public static readonly Conversation Question = Conversation.Of(new ChatMessage(ChatRole.User, "Hello"));

    /// <summary>Each with a system text and without, with tools and without, and with every wish about thinking that the template knows of.</summary>
    public static IEnumerable<Conversation> For(string template)
    {
        bool keeps = template.Contains("preserve_thinking", StringComparison.Ordinal), saysEffort = template.Contains("reasoning_effort", StringComparison.Ordinal);
        foreach (ChatMessage[] messages in Turns())
        {
            foreach (bool hasSystem in new[] { false, true })
            {
                foreach (ImmutableArray<ToolDefinition> tools in new ImmutableArray<ToolDefinition>[] { [], [s_tool, s_otherTool] })
                {
                    Conversation chat = new([.. hasSystem ? [s_system] : Array.Empty<ChatMessage>(), .. messages]) { Tools = tools };
                    foreach (Thinking thinking in Enum.GetValues<Thinking>()) yield return chat with { Thinking = thinking };
                    if (keeps)
                    {
                        yield return chat with { PreserveThinking = true };
                        yield return chat with { PreserveThinking = false };
                    }
                    if (!saysEffort) continue;
                    foreach (ReasoningEffort effort in Enum.GetValues<ReasoningEffort>()) yield return chat with { Effort = effort };
                }
            }
        }
    }

    private static IEnumerable<ChatMessage[]> Turns()
    {
        yield return [s_ask];
        yield return [s_ask, s_plain, s_more];
        yield return [s_ask, s_thoughtful, s_more, s_plain, s_ask];
        yield return [s_ask, s_inline, s_more];
        yield return [s_ask, s_thoughtful];
        yield return [s_ask, s_inline];
        yield return [s_ask, new ChatMessage(ChatRole.Assistant, "", "because") { ToolCalls = [s_call] }, s_result];
        yield return [s_ask, new ChatMessage(ChatRole.Assistant, "Let me see.") { ToolCalls = [s_call, s_otherCall] }, s_result, s_otherResult];
        yield return [s_ask, new ChatMessage(ChatRole.Assistant, "") { ToolCalls = [s_otherCall] }, s_otherResult, s_plain, s_more, s_thoughtful];
    }
}
