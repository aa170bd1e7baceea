using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Turns the items of the Responses API into messages: thoughts, text and calls of the assistant that follow each other are one turn. Items of kinds that mean nothing to the models served here are left out.</summary>
internal sealed class ResponseItems
{
    private readonly ImmutableArray<ChatMessage>.Builder messages = ImmutableArray.CreateBuilder<ChatMessage>();
    private readonly StringBuilder reasoning = new();
    private readonly StringBuilder text = new();
    private readonly List<ToolCall> calls = [];
    private bool inTurn;

    public void AddSystem(string instructions) => messages.Add(new ChatMessage(ChatRole.System, instructions));

    public void AddUser(string said)
    {
        EndTurn();
        messages.Add(new ChatMessage(ChatRole.User, said));
    }

    public void Add(JsonFields item)
    {
        switch (item.Text("type") ?? "message")
        {
            case "message":
                AddMessage(item);
                break;
            case "reasoning":
                inTurn = true;
                reasoning.Append(ReasoningOf(item));
                break;
            case "function_call":
                inTurn = true;
                string arguments = item.Text("arguments") ?? "";
                calls.Add(new ToolCall(item.RequiredText("name"), string.IsNullOrWhiteSpace(arguments) ? "{}" : arguments, item.RequiredText("call_id")));
                break;
            case "function_call_output":
                EndTurn();
                messages.Add(new ChatMessage(ChatRole.Tool, ContentText.Read(item, "output", TextOf) ?? throw Refusal.Missing(item.PathOf("output"))) { ToolCallId = item.RequiredText("call_id") });
                break;
        }
    }

    public ImmutableArray<ChatMessage> ToMessages()
    {
        EndTurn();
        return messages.ToImmutable();
    }

    private void AddMessage(JsonFields item)
    {
        string role = item.RequiredText("role");
        string content = ContentText.Read(item, "content", TextOf) ?? throw Refusal.Missing(item.PathOf("content"));
        if (role == "assistant")
        {
            // Text after calls is a turn of its own: the calls' results stand between in every real conversation.
            if (calls.Count > 0) EndTurn();
            inTurn = true;
            text.Append(content);
            return;
        }
        EndTurn();
        messages.Add(new ChatMessage(role switch
        {
            "user" => ChatRole.User,
            "system" or "developer" => ChatRole.System,
            _ => throw Refusal.Value(item.PathOf("role"), "it must be 'user', 'assistant', 'system' or 'developer'."),
        }, content));
    }

    private void EndTurn()
    {
        if (!inTurn) return;
        messages.Add(new ChatMessage(ChatRole.Assistant, text.ToString(), reasoning.Length > 0 ? reasoning.ToString() : null) { ToolCalls = [.. calls] });
        inTurn = false;
        reasoning.Clear();
        text.Clear();
        calls.Clear();
    }

    /// <summary>Its content, or the opaque text of it, or at least its summary.</summary>
    private static string ReasoningOf(JsonFields item)
    {
        string content = ContentText.Read(item, "content", part => part.Text("text") ?? "") ?? "";
        if (content.Length > 0) return content;
        if (item.Text("encrypted_content") is { } encoded && EncodedReasoning.Read(encoded) is { } thoughts) return thoughts;
        return ContentText.Read(item, "summary", part => part.Text("text") ?? "") ?? "";
    }

    private static string TextOf(JsonFields part)
    {
        string type = part.RequiredText("type");
        return type switch
        {
            "input_text" or "output_text" or "text" or "summary_text" => part.RequiredText("text"),
            "refusal" => part.RequiredText("refusal"),
            _ => throw ContentText.NotText(part, type),
        };
    }
}
