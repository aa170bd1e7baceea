using Qanat.Engine;
using Qanat.Gateway;
using Qanat.Gateway.Tests;
using Qanat.Models;

namespace Qanat.Conformance.Tests;

/// <summary>The real front door over a scripted model: it thinks "hm", says "Hello", and calls a tool where it is offered one that it knows and has not seen the result of yet.</summary>
internal static class ScriptedServer
{
    public const string Said = "Hello";
    public const string AfterTools = "It is done.";

    /// <param name="arguments">The arguments of the tool with this name; null: it is not called.</param>
    public static async Task<TestGateway> StartAsync(Func<string, string?> arguments)
    {
        TestGateway gateway = await TestGateway.StartAsync(ScriptedModel.Served(contextLength: 1 << 20));
        gateway.Script.Answer = (call, _) => Script.Say(call, Answer(call.Conversation, arguments));
        return gateway;
    }

    private static string[] Answer(Conversation? chat, Func<string, string?> arguments)
    {
        const string thought = "<think>\nhm\n</think>\n\n";
        if (chat is null) return [Said];
        if (chat.Messages.Any(message => message.Role == ChatRole.Tool)) return [thought, "It is", " done."];
        foreach (ToolDefinition tool in chat.OfferedTools)
        {
            if (arguments(tool.Name) is { } json) return [thought, $"<tool_call>\n{{\"name\": \"{tool.Name}\", \"arguments\": {json}}}\n</tool_call>"];
        }
        return [thought, "Hel", "lo"];
    }
}
