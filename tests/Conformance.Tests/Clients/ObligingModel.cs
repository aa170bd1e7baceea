using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Qanat.Books;
using Qanat.Gateway;
using Qanat.Gateway.Tests;
using Qanat.Models;

namespace Qanat.Conformance.Tests;

/// <summary>A scripted model that does the small things it is told: repeats a text, remembers a name, adds, fills in a schema, calls the tools it must call, goes on from a text, thinks when it is to.
/// With it a suite can see everything of a server that it cannot see with random weights. A word is a token; limits and stop strings are kept as the engine keeps them.</summary>
internal static partial class ObligingModel
{
    /// <summary>The real front door over this model, for a tenant that has its responses stored: the suite goes on from one without asking for that.</summary>
    public static async Task<TestGateway> StartAsync()
    {
        TestGateway gateway = await TestGateway.StartAsync(ScriptedModel.Served(contextLength: 1 << 20));
        gateway.Script.Answer = SayAsync;
        await gateway.StoreResponsesAsync();
        return gateway;
    }

    private static async IAsyncEnumerable<CallEvent> SayAsync(Call call, [EnumeratorCancellation] CancellationToken cancel)
    {
        await Task.Yield();
        cancel.ThrowIfCancellationRequested();
        // Responses are kept under the ids of their requests.
        Admitted admitted = Script.Admit(call) with { Id = RequestId.New(TimeProvider.System) };
        yield return admitted;
        string text = AnswerTo(call.Conversation);
        string? stop = call.Stop.Where(each => text.Contains(each, StringComparison.Ordinal)).MinBy(each => text.IndexOf(each, StringComparison.Ordinal));
        if (stop is not null) text = text[..text.IndexOf(stop, StringComparison.Ordinal)];
        string[] words = [.. Words().Matches(text).Select(word => word.Value)];
        bool isCut = call.MaxTokens < words.Length;
        if (isCut) words = words[..call.MaxTokens!.Value];
        for (int choice = 0; choice < call.Choices; choice++)
        {
            AnswerReader reader = call.Conversation is { } chat ? new AnswerReader(promptOpensThinking: false, chat.OfferedTools, index => $"call_{index}") : AnswerReader.Plain();
            foreach (string word in words) yield return new Delta(choice, reader.Add(word), Script.TokensOf(word, call.TopLogprobs));
            yield return new Delta(choice, reader.Finish(wasCut: isCut), []);
            AnswerEnd end = isCut ? AnswerEnd.Length : reader.HasCalls ? AnswerEnd.ToolCalls : AnswerEnd.Stop;
            yield return new ChoiceFinished(choice, end, isCut ? null : stop);
        }
        yield return Script.Settle(call, admitted, words.Length * call.Choices);
    }

    private static string AnswerTo(Conversation? chat)
    {
        if (chat is null) return "Hello there.";
        // A low effort is how the suite asks for thoughts where there is no switch for them; a medium one it sends always.
        string thought = chat.Thinking == Thinking.On || chat.Effort == ReasoningEffort.Low ? "<think>\n" + string.Concat(Enumerable.Repeat("I think about it. ", 20)) + "\n</think>\n\n" : "";
        string asked = chat.Messages.LastOrDefault(message => message.Role == ChatRole.User)?.Content ?? "";
        if (chat.BegunAnswer is not null) return "is, of course.";
        if (chat.ToolChoice.IsForced) return thought + string.Concat(CalledIn(chat, asked).Select(tool => CallOf(tool, asked)));
        return thought + chat.Format switch
        {
            JsonSchemaFormat schema => Filled(JsonNode.Parse(schema.SchemaJson), "").ToJsonString(),
            JsonObjectFormat => """{"name":"Ada","age":36}""",
            _ => Said(chat, asked),
        };
    }

    private static string Said(Conversation chat, string asked)
    {
        if (chat.Messages.Any(message => message.Role == ChatRole.System && message.Content.Contains("quartz", StringComparison.Ordinal))) return "quartz";
        if (chat.Messages.Any(message => message.Role == ChatRole.Tool)) return "It rains, at 18 degrees.";
        if (Exactly().Match(asked) is { Success: true } exact) return exact.Groups[1].Value;
        if (asked.Contains("my name?", StringComparison.Ordinal))
            return chat.Messages.Select(message => Name().Match(message.Content)).FirstOrDefault(match => match.Success)?.Groups[1].Value ?? "I do not know.";
        if (Sum().Match(asked) is { Success: true } sum)
        {
            int left = int.Parse(sum.Groups[1].Value, CultureInfo.InvariantCulture), right = int.Parse(sum.Groups[3].Value, CultureInfo.InvariantCulture);
            return (sum.Groups[2].Value == "*" ? left * right : left + right).ToString(CultureInfo.InvariantCulture);
        }
        if (Count().Match(asked) is { Success: true } count) return string.Join(' ', Enumerable.Range(1, int.Parse(count.Groups[1].Value, CultureInfo.InvariantCulture)));
        return asked.Contains("capital of France", StringComparison.Ordinal) ? "Paris." : "Hello there.";
    }

    private static IEnumerable<ToolDefinition> CalledIn(Conversation chat, string asked)
    {
        if (chat.ToolChoice.Kind == ToolChoiceKind.Named) return chat.Tools.Where(tool => tool.Name == chat.ToolChoice.Name);
        return chat.ParallelToolCalls && asked.Contains("both", StringComparison.Ordinal) ? chat.Tools : chat.Tools.Take(1);
    }

    private static string CallOf(ToolDefinition tool, string asked) =>
        $"<tool_call>\n{{\"name\": \"{tool.Name}\", \"arguments\": {Filled(tool.ParametersJson is { } schema ? JsonNode.Parse(schema) : null, asked).ToJsonString()}}}\n</tool_call>\n";

    /// <summary>The least that a schema allows, with what follows "exactly:" where a content is asked for.</summary>
    private static JsonNode Filled(JsonNode? schema, string asked, string field = "")
    {
        if (schema?["enum"] is JsonArray { Count: > 0 } values) return values[0]!.DeepClone();
        switch ((string?)schema?["type"])
        {
            case "string": return field == "content" && asked.Split("exactly:\n") is [_, var content] ? content : "Paris";
            case "integer" or "number": return 4;
            case "boolean": return true;
            case "array": return new JsonArray(Filled(schema!["items"], asked));
            default:
                JsonObject filled = [];
                if (schema?["properties"] is JsonObject fields)
                    foreach ((string name, JsonNode? value) in fields) filled[name] = Filled(value, asked, name);
                return filled;
        }
    }

    [GeneratedRegex(@"\s*\S+\s*")]
    private static partial Regex Words();

    [GeneratedRegex(@"exactly(?:, nothing else)?: (.+)$", RegexOptions.Singleline)]
    private static partial Regex Exactly();

    [GeneratedRegex(@"My name is (\w+)")]
    private static partial Regex Name();

    [GeneratedRegex(@"(\d+) ([+*]) (\d+)")]
    private static partial Regex Sum();

    [GeneratedRegex(@"Count from 1 to (\d+)")]
    private static partial Regex Count();
}
