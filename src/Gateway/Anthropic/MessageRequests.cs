using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Reads the body of POST /v1/messages. Fields that nobody here knows are ignored.</summary>
internal sealed class MessageRequests(ServedModels models, GatewayOptions options, SamplingFields sampling)
{
    public GenerationRequest Read(JsonFields fields, Caller caller)
    {
        ServedModel model = models.Find(fields.RequiredText("model"));
        ChatAsk ask = new(model, ReadConversation(fields), "messages")
        {
            MaxTokens = fields.IntegerAtLeast("max_tokens", 1) ?? throw Refusal.Missing("max_tokens"),
            Sampling = sampling.Read(fields, model),
            Stop = sampling.ReadStop(fields, "stop_sequences"),
            LoopTokensMax = SamplingFields.ReadLoop(fields),
            UserTag = UserTag(fields),
            Stream = fields.Flag("stream") ?? false,
        };
        return ask.ToRequest(caller);
    }

    /// <summary>A request that is only counted: it need not say how long its answer may be.</summary>
    public Call ReadToCount(JsonFields fields, Caller caller) =>
        new ChatAsk(models.Find(fields.RequiredText("model")), ReadConversation(fields), "messages") { Sampling = new Engine.SamplingOptions() }.ToRequest(caller).Calls[0];

    private static Conversation ReadConversation(JsonFields fields)
    {
        if (!fields.Says("messages")) throw Refusal.Missing("messages");
        ImmutableArray<ChatMessage>.Builder messages = ImmutableArray.CreateBuilder<ChatMessage>();
        int? cached = CacheMarks.AnyMarked(fields, "tools") ? 0 : null;
        if (ContentText.Read(fields, "system", TextOf) is { Length: > 0 } system) messages.Add(new ChatMessage(ChatRole.System, system));
        if (CacheMarks.AnyMarked(fields, "system")) cached = messages.Count;
        foreach (JsonFields message in ContentText.Objects(fields, "messages"))
        {
            ReadMessage(message, messages);
            if (CacheMarks.IsMarked(message)) cached = messages.Count;
        }
        // A mark at the request itself asks for all of it.
        if (fields.Object("cache_control") is not null) cached = messages.Count;
        if (messages.Count == 0 || (messages.Count == 1 && messages[0].Role == ChatRole.System)) throw Refusal.Value("messages", "at least one message is needed.");
        ThinkingWish thinking = ReadThinking(fields);
        string? effort = fields.Object("output_config")?.Text("effort");
        return new Conversation(messages.DrainToImmutable())
        {
            Tools = [.. ContentText.Objects(fields, "tools").Where(IsOurs).Select(ReadTool)],
            ToolChoice = ReadToolChoice(fields.Object("tool_choice")),
            ParallelToolCalls = !(fields.Object("tool_choice")?.Flag("disable_parallel_tool_use") ?? false),
            Format = ReadFormat(fields),
            Thinking = thinking.Wanted,
            ThinkingTokensMax = thinking.TokensMax,
            ThinksAsItSeesFit = thinking.AsItSeesFit,
            EffortWord = effort,
            Effort = EffortOf(effort),
            CachedMessages = cached,
            ContinuesLast = true,
        };
    }

    /// <summary>A user's message may hold results of tools, each a message of its own to the model; what else it says follows them.</summary>
    private static void ReadMessage(JsonFields message, ImmutableArray<ChatMessage>.Builder messages)
    {
        string role = message.RequiredText("role");
        if (!message.Says("content")) throw Refusal.Missing(message.PathOf("content"));
        switch (role)
        {
            case "user":
                int results = 0;
                string said = ContentText.Read(message, "content", block =>
                {
                    if (block.RequiredText("type") != "tool_result") return TextOf(block);
                    messages.Add(new ChatMessage(ChatRole.Tool, ContentText.Read(block, "content", TextOf) ?? "") { ToolCallId = block.RequiredText("tool_use_id") });
                    results++;
                    return "";
                }) ?? "";
                if (said.Length > 0 || results == 0) messages.Add(new ChatMessage(ChatRole.User, said));
                break;
            case "assistant":
                messages.Add(ReadAssistant(message));
                break;
            case "system":
                messages.Add(new ChatMessage(ChatRole.System, ContentText.Read(message, "content", TextOf) ?? ""));
                break;
            default:
                throw Refusal.Value(message.PathOf("role"), "it must be 'user' or 'assistant'.");
        }
    }

    /// <summary>Blocks of kinds that nobody here knows came with an answer of an engine that does: they are kept for it, and others go without.</summary>
    private static ChatMessage ReadAssistant(JsonFields message)
    {
        bool isWordForWord = false;
        StringBuilder reasoning = new();
        ImmutableArray<ToolCall>.Builder calls = ImmutableArray.CreateBuilder<ToolCall>();
        string said = ContentText.Read(message, "content", block =>
        {
            switch (block.RequiredText("type"))
            {
                case "thinking":
                    reasoning.Append(block.Text("thinking"));
                    isWordForWord |= block.Text("signature") is { Length: > 0 } and not MessageTeller.Unsigned;
                    return "";
                case "tool_use":
                    calls.Add(new ToolCall(block.RequiredText("name"), ContentText.ObjectText(block, "input") ?? "{}", block.RequiredText("id")));
                    return "";
                case "text" or "image" or "document" or "search_result" or "tool_result":
                    return TextOf(block);
                default:
                    isWordForWord = true;
                    return "";
            }
        }) ?? "";
        return new ChatMessage(ChatRole.Assistant, said, reasoning.Length > 0 ? reasoning.ToString() : null)
        {
            ToolCalls = calls.DrainToImmutable(),
            Blocks = isWordForWord && message.TryGet("content", out JsonElement blocks) ? blocks.GetRawText() : null,
        };
    }

    private static string TextOf(JsonFields block)
    {
        string type = block.RequiredText("type");
        if (type == "text") return block.RequiredText("text");
        if (type == "document" && block.Object("source") is { } source && source.Text("type") == "text") return source.RequiredText("data");
        throw ContentText.NotText(block, type);
    }

    /// <summary>Tools that run at Anthropic (web search, code execution) have a type of another name: they are not offered.</summary>
    private static bool IsOurs(JsonFields tool) => tool.Text("type") is null or "custom";

    private static ToolDefinition ReadTool(JsonFields tool) =>
        new(tool.RequiredText("name"), tool.Text("description"), ContentText.ObjectText(tool, "input_schema"), tool.Flag("strict") ?? false);

    private static ToolChoice ReadToolChoice(JsonFields? choice) => choice?.RequiredText("type") switch
    {
        null or "auto" => ToolChoice.Auto,
        "any" => ToolChoice.Required,
        "none" => ToolChoice.None,
        "tool" => ToolChoice.Named(choice.Value.RequiredText("name")),
        _ => throw Refusal.Value("tool_choice.type", "it must be 'auto', 'any', 'tool' or 'none'."),
    };

    private static AnswerFormat ReadFormat(JsonFields fields)
    {
        JsonFields? format = fields.Object("output_config")?.Object("format") ?? fields.Object("output_format");
        if (format is not { } wanted) return AnswerFormat.Text;
        if (wanted.RequiredText("type") != "json_schema") throw Refusal.Value(wanted.PathOf("type"), "it must be 'json_schema'.");
        return new JsonSchemaFormat("output", ContentText.ObjectText(wanted, "schema") ?? throw Refusal.Missing(wanted.PathOf("schema"))) { Strict = true };
    }

    private static ThinkingWish ReadThinking(JsonFields fields)
    {
        if (fields.Object("thinking") is not { } thinking) return new ThinkingWish(Thinking.ModelDefault, null);
        return thinking.RequiredText("type") switch
        {
            "enabled" => new ThinkingWish(Thinking.On, thinking.IntegerAtLeast("budget_tokens", 1)),
            "adaptive" => new ThinkingWish(Thinking.ModelDefault, null) { AsItSeesFit = true },
            "disabled" => new ThinkingWish(Thinking.Off, null),
            _ => throw Refusal.Value("thinking.type", "it must be 'enabled', 'adaptive' or 'disabled'."),
        };
    }

    private static ReasoningEffort? EffortOf(string? word) => word switch
    {
        null => null,
        "low" => ReasoningEffort.Low,
        "medium" => ReasoningEffort.Medium,
        "high" => ReasoningEffort.High,
        "xhigh" or "max" => ReasoningEffort.XHigh,
        _ => throw Refusal.Value("output_config.effort", "it must be 'low', 'medium', 'high', 'xhigh' or 'max'."),
    };

    private string? UserTag(JsonFields fields)
    {
        if (fields.Object("metadata") is not { } metadata) return null;
        string? tag = metadata.Text("user_id");
        if (tag?.Length > options.UserTagLengthMax) throw Refusal.Value("metadata.user_id", FormattableString.Invariant($"at most {options.UserTagLengthMax} characters are allowed."));
        return string.IsNullOrEmpty(tag) ? null : tag;
    }

    private readonly record struct ThinkingWish(Thinking Wanted, int? TokensMax)
    {
        public bool AsItSeesFit { get; init; }
    }
}
