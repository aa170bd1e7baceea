using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Books;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Reads the body of POST /v1/responses. What came before is taken from the responses that are kept.</summary>
internal sealed class ResponseRequests(ServedModels models, GatewayOptions options, SamplingFields sampling, ResponseStore kept)
{
    public async Task<ResponseAsk> ReadAsync(JsonFields fields, Caller caller, bool cachesAll, CancellationToken cancel)
    {
        ServedModel model = models.Find(fields.RequiredText("model"));
        if (fields.Flag("background") ?? false) throw Refusal.Unsupported("background", "responses are generated while the client waits; use a batch for work that can wait.");
        if (fields.Says("conversation") && fields.TryGet("conversation", out _)) throw Refusal.Unsupported("conversation", "send 'previous_response_id' or the earlier items.");
        RefuseLogprobs(fields);
        ResponseItems items = new();
        if (fields.Text("instructions") is { Length: > 0 } instructions) items.AddSystem(instructions);
        if (fields.Text("previous_response_id") is { } previous)
            foreach (JsonObject earlier in await kept.HistoryAsync(caller, previous, cancel)) items.Add(FieldsOf(earlier));
        JsonArray input = await ReadInputAsync(fields, items, caller, cancel);
        Conversation conversation = ReadConversation(fields, items.ToMessages());
        if (cachesAll) conversation = conversation with { CachedMessages = conversation.Messages.Length };
        ChatAsk ask = new(model, conversation, "input")
        {
            MaxTokens = fields.IntegerAtLeast("max_output_tokens", 1),
            Sampling = sampling.Read(fields, model),
            LoopTokensMax = SamplingFields.ReadLoop(fields),
            UserTag = Prompts.UserTag(fields, options),
            Stream = fields.Flag("stream") ?? false,
        };
        bool stores = StoringTerms.Of(caller.Tenant).Stores(fields.Flag("store"));
        return new ResponseAsk(ask.ToRequest(caller))
        {
            Input = input,
            Echo = EchoOf(fields, stores),
            Store = stores,
            SummarizesReasoning = fields.Object("reasoning")?.Text("summary") is not (null or "none"),
            EncodesReasoning = ContentText.Strings(fields, "include").Contains("reasoning.encrypted_content", StringComparer.Ordinal),
        };
    }

    /// <summary>An answer here is told in items, and tokens of thoughts and calls belong to none of their texts.</summary>
    private void RefuseLogprobs(JsonFields fields)
    {
        const string where = "log probabilities are told by chat completions.";
        if (fields.Integer("top_logprobs", 0, options.TopLogprobsMax) > 0) throw Refusal.Unsupported("top_logprobs", where);
        if (ContentText.Strings(fields, "include").Contains("message.output_text.logprobs", StringComparer.Ordinal)) throw Refusal.Unsupported("include", where);
    }

    private async Task<JsonArray> ReadInputAsync(JsonFields fields, ResponseItems items, Caller caller, CancellationToken cancel)
    {
        JsonArray input = [];
        if (!fields.TryGet("input", out JsonElement value)) throw Refusal.Missing("input");
        if (value.ValueKind == JsonValueKind.String)
        {
            string said = JsonFields.TextOf(value, "input");
            items.AddUser(said);
            input.Add(new JsonObject
            {
                ["type"] = "message",
                ["role"] = "user",
                ["content"] = new JsonArray(new JsonObject { ["type"] = "input_text", ["text"] = said }),
            });
            return input;
        }
        foreach (JsonFields item in ContentText.Objects(fields, "input"))
        {
            if (item.Text("type") == "item_reference")
            {
                JsonObject found = await kept.FindItemAsync(caller, item.RequiredText("id"), cancel)
                    ?? throw new ApiException(404, Refusal.InvalidRequest, "item_not_found", $"The item it refers to is not stored here, because its response is not. {StoringTerms.Of(caller.Tenant).Advice}", item.PathOf("id"));
                items.Add(FieldsOf(found));
                input.Add(found.DeepClone());
                continue;
            }
            items.Add(item);
            input.Add(RepeatableJson.Of(item.Raw, "input"));
        }
        if (input.Count == 0) throw Refusal.Value("input", "it must not be empty.");
        return input;
    }

    private Conversation ReadConversation(JsonFields fields, ImmutableArray<ChatMessage> messages)
    {
        ImmutableArray<ToolDefinition> tools = [.. ContentText.Objects(fields, "tools").Where(IsFunction).Select(ReadTool)];
        if (tools.Length > options.ToolsMax) throw Refusal.Value("tools", FormattableString.Invariant($"at most {options.ToolsMax} tools are allowed."));
        tools = Allowed(fields, tools);
        ReasoningEffort? effort = ReadEffort(fields);
        return new Conversation(messages)
        {
            Tools = tools,
            ToolChoice = ReadToolChoice(fields, tools),
            ParallelToolCalls = fields.Flag("parallel_tool_calls") ?? true,
            Format = ReadFormat(fields),
            Thinking = fields.Flag("enable_thinking") switch { true => Thinking.On, false => Thinking.Off, null => SaysNone(fields) ? Thinking.Off : Thinking.ModelDefault },
            ThinkingTokensMax = fields.IntegerAtLeast("thinking_budget", 1),
            Effort = effort,
        };
    }

    private static ToolDefinition ReadTool(JsonFields tool) =>
        new(tool.RequiredText("name"), tool.Text("description"), ContentText.ObjectText(tool, "parameters"), tool.Flag("strict") ?? false);

    /// <summary>All of them, or those that "tool_choice" allows: no others are offered. Tools of other types are not offered anyway.</summary>
    private static ImmutableArray<ToolDefinition> Allowed(JsonFields fields, ImmutableArray<ToolDefinition> tools)
    {
        if (!fields.TryGet("tool_choice", out JsonElement value) || value.ValueKind != JsonValueKind.Object) return tools;
        JsonFields choice = new(value, "tool_choice");
        return choice.RequiredText("type") == "allowed_tools" ? ToolFields.Only(tools, ContentText.Objects(choice, "tools").Where(IsFunction)) : tools;
    }

    private static bool IsFunction(JsonFields tool) => tool.RequiredText("type") == "function";

    /// <summary>"auto", "none", "required", a function by its name, or a mode over some of the tools. Choices of tools of other types, which are not offered, mean nothing here.</summary>
    private static ToolChoice ReadToolChoice(JsonFields fields, ImmutableArray<ToolDefinition> tools)
    {
        if (!fields.TryGet("tool_choice", out JsonElement value)) return ToolChoice.Auto;
        string? word = value.ValueKind == JsonValueKind.Object ? null : JsonFields.TextOf(value, "tool_choice");
        JsonFields? choice = word is null ? fields.Object("tool_choice") : null;
        if (choice?.RequiredText("type") == "allowed_tools") word = choice.Value.Text("mode") ?? "auto";
        else if (choice?.RequiredText("type") == "function")
        {
            string name = choice.Value.RequiredText("name");
            return tools.Any(tool => tool.Name == name) ? ToolChoice.Named(name) : throw Refusal.Value("tool_choice", "it names a function that is not among the 'tools'.");
        }
        return word switch
        {
            "none" => ToolChoice.None,
            "required" when tools.Length > 0 => ToolChoice.Required,
            "required" => throw Refusal.Value("tool_choice", "there are no functions among the 'tools' to choose from."),
            null or "auto" => ToolChoice.Auto,
            _ => throw Refusal.Value("tool_choice", "it must be 'auto', 'none', 'required' or a function by its name."),
        };
    }

    private static AnswerFormat ReadFormat(JsonFields fields)
    {
        if (fields.Object("text")?.Object("format") is not { } format) return AnswerFormat.Text;
        return format.RequiredText("type") switch
        {
            "text" => AnswerFormat.Text,
            "json_object" => AnswerFormat.JsonObject,
            "json_schema" => new JsonSchemaFormat(format.Text("name") ?? "output", ContentText.ObjectText(format, "schema") ?? throw Refusal.Missing(format.PathOf("schema")))
            {
                Description = format.Text("description"),
                Strict = format.Flag("strict") ?? false,
            },
            _ => throw Refusal.Value(format.PathOf("type"), "it must be 'text', 'json_object' or 'json_schema'."),
        };
    }

    private static bool SaysNone(JsonFields fields) => fields.Object("reasoning")?.Text("effort") == "none";

    private static ReasoningEffort? ReadEffort(JsonFields fields) => fields.Object("reasoning")?.Text("effort") switch
    {
        null or "none" => null,
        "minimal" => ReasoningEffort.Minimal,
        "low" => ReasoningEffort.Low,
        "medium" => ReasoningEffort.Medium,
        "high" => ReasoningEffort.High,
        "xhigh" or "max" => ReasoningEffort.XHigh,
        _ => throw Refusal.Value("reasoning.effort", "it must be 'none', 'minimal', 'low', 'medium', 'high' or 'xhigh'."),
    };

    private static JsonObject EchoOf(JsonFields fields, bool stores) => new()
    {
        ["background"] = false,
        ["instructions"] = Copy(fields, "instructions"),
        ["max_output_tokens"] = Copy(fields, "max_output_tokens"),
        ["max_tool_calls"] = null,
        ["metadata"] = Copy(fields, "metadata") ?? new JsonObject(),
        ["parallel_tool_calls"] = Copy(fields, "parallel_tool_calls") ?? true,
        ["previous_response_id"] = Copy(fields, "previous_response_id"),
        ["prompt_cache_key"] = Copy(fields, "prompt_cache_key"),
        ["reasoning"] = new JsonObject { ["effort"] = fields.Object("reasoning")?.Text("effort"), ["summary"] = fields.Object("reasoning")?.Text("summary") },
        ["safety_identifier"] = Copy(fields, "safety_identifier"),
        ["service_tier"] = "default",
        ["store"] = stores,
        ["temperature"] = Copy(fields, "temperature") ?? 1,
        ["text"] = Copy(fields, "text") ?? new JsonObject { ["format"] = new JsonObject { ["type"] = "text" } },
        ["tool_choice"] = Copy(fields, "tool_choice") ?? "auto",
        ["tools"] = Copy(fields, "tools") ?? new JsonArray(),
        ["top_logprobs"] = 0,
        ["top_p"] = Copy(fields, "top_p") ?? 1,
        ["presence_penalty"] = Copy(fields, "presence_penalty") ?? 0,
        ["frequency_penalty"] = Copy(fields, "frequency_penalty") ?? 0,
        ["truncation"] = "disabled",
        ["user"] = Copy(fields, "user"),
    };

    private static JsonNode? Copy(JsonFields fields, string name) => fields.TryGet(name, out JsonElement value) ? RepeatableJson.Of(value.GetRawText(), name) : null;

    private static JsonFields FieldsOf(JsonObject item) => new(JsonSerializer.SerializeToElement(item, GatewayJson.Default.JsonObject), "previous_response_id");
}
