using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;
using Qanat.Models;
using ChatMessage = Qanat.Models.ChatMessage;
using ChatRole = Qanat.Models.ChatRole;
using Given = Microsoft.Extensions.AI;

namespace Qanat.Local;

/// <summary>Reads what Microsoft.Extensions.AI asks for into the conversation that models are given.</summary>
internal static class ConversationReading
{
    /// <exception cref="ArgumentException">It holds what a text model cannot read.</exception>
    public static Conversation Read(IEnumerable<Given.ChatMessage> messages, ChatOptions? options)
    {
        List<ChatMessage> read = [];
        if (options?.Instructions is { Length: > 0 } instructions) read.Add(new ChatMessage(ChatRole.System, instructions));
        foreach (Given.ChatMessage message in messages) read.AddRange(ReadMessage(message));
        ImmutableArray<ToolDefinition> tools = [.. (options?.Tools ?? []).OfType<AIFunctionDeclaration>().Select(ReadTool)];
        return new Conversation([.. read])
        {
            Tools = tools,
            ToolChoice = ChoiceOf(options?.ToolMode),
            ParallelToolCalls = options?.AllowMultipleToolCalls ?? true,
            Format = FormatOf(options?.ResponseFormat),
            Thinking = ThinkingOf(options),
            Effort = EffortOf(options?.Reasoning?.Effort),
            ThinkingTokensMax = options?.AdditionalProperties?.TryGetValue("thinking_budget", out int budget) == true ? budget : null,
        };
    }

    /// <summary>"strict" is said where the adapters of OpenAI's clients look for it.</summary>
    private static ToolDefinition ReadTool(AIFunctionDeclaration tool) =>
        new(tool.Name, tool.Description, tool.JsonSchema.GetRawText()) { Strict = tool.AdditionalProperties.TryGetValue("strict", out object? strict) && strict is true };

    /// <summary>The property of that name, which is Qwen's own word, before the options that every provider shares.</summary>
    private static Thinking ThinkingOf(ChatOptions? options)
    {
        if (options?.AdditionalProperties?.TryGetValue("enable_thinking", out bool thinks) == true) return thinks ? Thinking.On : Thinking.Off;
        return options?.Reasoning?.Effort == Given.ReasoningEffort.None ? Thinking.Off : Thinking.ModelDefault;
    }

    private static Models.ReasoningEffort? EffortOf(Given.ReasoningEffort? effort) => effort switch
    {
        Given.ReasoningEffort.Low => Models.ReasoningEffort.Low,
        Given.ReasoningEffort.Medium => Models.ReasoningEffort.Medium,
        Given.ReasoningEffort.High => Models.ReasoningEffort.High,
        Given.ReasoningEffort.ExtraHigh => Models.ReasoningEffort.XHigh,
        _ => null,
    };

    private static ToolChoice ChoiceOf(ChatToolMode? mode) => mode switch
    {
        NoneChatToolMode => ToolChoice.None,
        RequiredChatToolMode { RequiredFunctionName: { } name } => ToolChoice.Named(name),
        RequiredChatToolMode => ToolChoice.Required,
        _ => ToolChoice.Auto,
    };

    private static AnswerFormat FormatOf(ChatResponseFormat? format) => format switch
    {
        ChatResponseFormatJson { Schema: { } schema } json => new JsonSchemaFormat(json.SchemaName ?? "answer", schema.GetRawText()) { Description = json.SchemaDescription },
        ChatResponseFormatJson => AnswerFormat.JsonObject,
        _ => AnswerFormat.Text,
    };

    /// <summary>One message may hold several results of tools: each becomes a message of its own.</summary>
    private static IEnumerable<ChatMessage> ReadMessage(Given.ChatMessage message)
    {
        StringBuilder text = new(), thought = new();
        List<ToolCall> calls = [];
        List<ChatMessage> results = [];
        foreach (AIContent content in message.Contents)
        {
            switch (content)
            {
                case TextContent part:
                    text.Append(part.Text);
                    break;
                case TextReasoningContent part:
                    thought.Append(part.Text);
                    break;
                case FunctionCallContent call:
                    calls.Add(new ToolCall(call.Name, JsonSerializer.Serialize(call.Arguments ?? new Dictionary<string, object?>(), AIJsonUtilities.DefaultOptions), call.CallId));
                    break;
                case FunctionResultContent result:
                    results.Add(new ChatMessage(ChatRole.Tool, TextOf(result)) { ToolCallId = result.CallId });
                    break;
                case UsageContent or ErrorContent:
                    break;
                default:
                    throw new ArgumentException($"The model reads text only; a message holds {content.GetType().Name}.", nameof(message));
            }
        }
        ChatRole role = message.Role == Given.ChatRole.Assistant ? ChatRole.Assistant
            : message.Role == Given.ChatRole.System ? ChatRole.System
            : message.Role == Given.ChatRole.Tool ? ChatRole.Tool
            : ChatRole.User;
        bool hasOwn = text.Length > 0 || calls.Count > 0 || results.Count == 0;
        if (hasOwn) yield return new ChatMessage(role, text.ToString(), thought.Length > 0 ? thought.ToString() : null) { ToolCalls = [.. calls] };
        foreach (ChatMessage result in results) yield return result;
    }

    private static string TextOf(FunctionResultContent result) => result.Result switch
    {
        null => result.Exception?.Message ?? "",
        string text => text,
        JsonElement { ValueKind: JsonValueKind.String } element => element.GetString()!,
        object value => JsonSerializer.Serialize(value, AIJsonUtilities.DefaultOptions),
    };
}
