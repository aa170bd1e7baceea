using System.Collections.Immutable;
using System.Text.Json;
using Qanat.Books;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Reads the bodies of Ollama's /api/chat and /api/generate. They stream unless told not to.</summary>
internal sealed class OllamaRequests(ServedModels models, SamplingFields sampling, GatewayOptions limits)
{
    private static readonly JsonElement Nothing = JsonDocument.Parse("{}").RootElement;

    /// <summary>Null: nothing was said, which in this API asks for the model to be loaded.</summary>
    public GenerationRequest? ReadChat(JsonFields fields, Caller caller)
    {
        ServedModel model = Find(fields);
        ImmutableArray<ChatMessage> messages = [.. ContentText.Objects(fields, "messages").Select(ReadMessage)];
        if (messages.IsEmpty) return null;
        Conversation conversation = WithWishes(new Conversation(messages), fields);
        return Ask(fields, model, conversation, "messages").ToRequest(caller);
    }

    /// <summary>Null as above. A raw prompt goes to the model as it is; any other is a user's message.</summary>
    public GenerationRequest? ReadGenerate(JsonFields fields, Caller caller)
    {
        ServedModel model = Find(fields);
        string prompt = fields.Text("prompt") ?? "";
        RefusePictures(fields);
        if (!string.IsNullOrEmpty(fields.Text("suffix"))) throw Refusal.Unsupported("suffix", "text cannot be inserted before a suffix.");
        if (prompt.Length == 0) return null;
        if (fields.Flag("raw") ?? false)
        {
            ImmutableArray<int> tokens = Prompts.Checked(model, "prompt", prompt.Length, () => model.Encode(prompt));
            ChatAsk raw = Ask(fields, model, Conversation.Of(), "prompt");
            Call call = new(caller, Operation.Completion, model.Name, tokens, 1, raw.MaxTokens, raw.Sampling, raw.Stop, -1, IgnoreStopTokens: false, raw.UserTag) { PromptText = prompt, LoopTokensMax = raw.LoopTokensMax };
            return new GenerationRequest(model, [call], raw.Stream, IncludeUsage: true, []);
        }
        ChatMessage said = new(ChatRole.User, prompt);
        Conversation conversation = fields.Text("system") is { Length: > 0 } system ? Conversation.Of(new ChatMessage(ChatRole.System, system), said) : Conversation.Of(said);
        return Ask(fields, model, WithWishes(conversation, fields), "prompt").ToRequest(caller);
    }

    /// <summary>Clients of Ollama may name a tag.</summary>
    public ServedModel Find(JsonFields fields) => Find(NameIn(fields));

    public ServedModel Find(string name) => models.Find(Untagged(name));

    public ServedModel FindFor(Caller caller, JsonFields fields) => models.FindFor(caller, Untagged(NameIn(fields)));

    private static string NameIn(JsonFields fields) => fields.Text("model") ?? fields.RequiredText("name");

    private string Untagged(string name)
    {
        const string latest = ":latest";
        bool tagged = name.EndsWith(latest, StringComparison.Ordinal) && !models.All.Any(model => model.Name.Value.Equals(name, StringComparison.OrdinalIgnoreCase));
        return tagged ? name[..^latest.Length] : name;
    }

    private ChatAsk Ask(JsonFields fields, ServedModel model, Conversation conversation, string param)
    {
        JsonFields options = fields.Object("options") ?? new JsonFields(Nothing, "options");
        // -1 and -2 both say: as much as there is room for.
        int? predict = options.Integer("num_predict", -2, int.MaxValue) is { } wanted and > 0 ? (int)wanted : null;
        return new ChatAsk(model, conversation, param)
        {
            MaxTokens = predict,
            Sampling = sampling.Read(options, model) with { RepetitionPenalty = options.Number("repeat_penalty", 0.01, 10) ?? 1 },
            Stop = sampling.ReadStop(options),
            LoopTokensMax = SamplingFields.ReadLoop(options),
            UserTag = Prompts.UserTag(fields, limits),
            Stream = fields.Flag("stream") ?? true,
        };
    }

    private static Conversation WithWishes(Conversation conversation, JsonFields fields) => conversation with
    {
        Tools = [.. ContentText.Objects(fields, "tools").Select(ReadTool)],
        Format = ReadFormat(fields),
        Thinking = ReadThinking(fields),
        Effort = ReadEffort(fields),
        ContinuesLast = true,
    };

    private static ChatMessage ReadMessage(JsonFields message)
    {
        RefusePictures(message);
        ChatRole role = message.RequiredText("role") switch
        {
            "system" => ChatRole.System,
            "user" => ChatRole.User,
            "assistant" => ChatRole.Assistant,
            "tool" => ChatRole.Tool,
            _ => throw Refusal.Value(message.PathOf("role"), "it must be 'system', 'user', 'assistant' or 'tool'."),
        };
        return new ChatMessage(role, message.Text("content") ?? "", role == ChatRole.Assistant ? message.Text("thinking") : null)
        {
            ToolCalls = [.. ContentText.Objects(message, "tool_calls").Select(ReadCall)],
            ToolCallId = role == ChatRole.Tool ? message.Text("tool_call_id") : null,
        };
    }

    private static ToolCall ReadCall(JsonFields call)
    {
        JsonFields function = call.Object("function") ?? throw Refusal.Missing(call.PathOf("function"));
        return new ToolCall(function.RequiredText("name"), ContentText.ObjectText(function, "arguments") ?? "{}", call.Text("id"));
    }

    private static ToolDefinition ReadTool(JsonFields tool)
    {
        JsonFields function = tool.Object("function") ?? throw Refusal.Missing(tool.PathOf("function"));
        return new ToolDefinition(function.RequiredText("name"), function.Text("description"), ContentText.ObjectText(function, "parameters"));
    }

    /// <summary>"json", or a JSON Schema.</summary>
    private static AnswerFormat ReadFormat(JsonFields fields)
    {
        if (!fields.TryGet("format", out JsonElement format)) return AnswerFormat.Text;
        if (format.ValueKind == JsonValueKind.Object) return new JsonSchemaFormat("format", format.GetRawText()) { Strict = true };
        return JsonFields.TextOf(format, "format") switch
        {
            "" => AnswerFormat.Text,
            "json" => AnswerFormat.JsonObject,
            _ => throw Refusal.Value("format", "it must be 'json' or a JSON Schema."),
        };
    }

    private static Thinking ReadThinking(JsonFields fields)
    {
        if (!fields.TryGet("think", out JsonElement think)) return Thinking.ModelDefault;
        if (think.ValueKind == JsonValueKind.String) return Thinking.On;
        return fields.Flag("think") is true ? Thinking.On : Thinking.Off;
    }

    private static ReasoningEffort? ReadEffort(JsonFields fields)
    {
        if (!fields.TryGet("think", out JsonElement think) || think.ValueKind != JsonValueKind.String) return null;
        return JsonFields.TextOf(think, "think") switch
        {
            "low" => ReasoningEffort.Low,
            "medium" => ReasoningEffort.Medium,
            "high" => ReasoningEffort.High,
            _ => throw Refusal.Value("think", "it must be a boolean, 'low', 'medium' or 'high'."),
        };
    }

    private static void RefusePictures(JsonFields fields)
    {
        if (fields.TryGet("images", out JsonElement images) && images.ValueKind == JsonValueKind.Array && images.GetArrayLength() > 0)
            throw new ApiException(400, Refusal.InvalidRequest, "unsupported_content", "Pictures are not supported: the models served here read text only.", fields.PathOf("images"));
    }
}
