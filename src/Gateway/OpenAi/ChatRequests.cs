using System.Collections.Immutable;
using System.Text.Json;
using Qanat.Books;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Reads the body of POST /v1/chat/completions. Fields that nobody here knows are ignored, as OpenAI-compatible servers do.</summary>
internal sealed class ChatRequests(ServedModels models, GatewayOptions options, SamplingFields sampling)
{
    private const string ToolCallEnd = "</tool_call>";

    public GenerationRequest Read(JsonFields fields, Caller caller)
    {
        ServedModel model = models.Find(fields.RequiredText("model"));
        RefuseFunctions(fields);
        Conversation conversation = ReadConversation(fields);
        ImmutableArray<int> prompt = Prompts.Checked(model, "messages", conversation.Messages.Sum(message => (long)message.Content.Length), () => Render(model, conversation));
        int choices = (int)(fields.Integer("n", 1, options.ChoicesMax) ?? 1);
        int? maxTokens = fields.IntegerAtLeast("max_completion_tokens", 1) ?? fields.IntegerAtLeast("max_tokens", 1);
        Call call = new(caller, Operation.Chat, model.Name, prompt, choices, maxTokens, sampling.Read(fields, model), Stops(fields, conversation),
            sampling.ReadTopLogprobs(fields), fields.Flag("ignore_eos") ?? false, Prompts.UserTag(fields, options))
        {
            Conversation = conversation,
            CacheTokens = CacheMarks.TokensOf(model, conversation, prompt),
            LoopTokensMax = SamplingFields.ReadLoop(fields),
            Whole = !(fields.Flag("stream") ?? false),
        };
        return new GenerationRequest(model, [call], !call.Whole, Prompts.IncludeUsage(fields), []);
    }

    private Conversation ReadConversation(JsonFields fields)
    {
        ImmutableArray<ToolDefinition> tools = ToolFields.Read(fields, options.ToolsMax);
        return new Conversation(ChatMessages.Read(fields))
        {
            Tools = tools,
            ToolChoice = ToolFields.ReadChoice(fields, tools),
            ParallelToolCalls = fields.Flag("parallel_tool_calls") ?? true,
            Format = FormatFields.Read(fields),
            Thinking = ThinkingFields.Read(fields),
            ThinkingTokensMax = fields.IntegerAtLeast("thinking_budget", 0) ?? fields.Object("chat_template_kwargs")?.IntegerAtLeast("thinking_budget", 0),
            Effort = ThinkingFields.ReadEffort(fields),
            ContinuesLast = ContinuesLast(fields),
            CachedMessages = CacheMarks.Last(fields, "messages", fields),
            PreserveThinking = fields.Flag("preserve_thinking") ?? fields.Object("chat_template_kwargs")?.Flag("preserve_thinking"),
        };
    }

    /// <summary>What there was before tools: its answers have a form of their own, which nobody would find in ours.</summary>
    private static void RefuseFunctions(JsonFields fields)
    {
        bool offers = fields.TryGet("functions", out JsonElement functions) && !(functions.ValueKind == JsonValueKind.Array && functions.GetArrayLength() == 0);
        if (offers) throw Refusal.Unsupported("functions", "offer them as 'tools' of type 'function'; calls are answered as 'tool_calls'.");
        if (fields.TryGet("function_call", out _)) throw Refusal.Unsupported("function_call", "say it as 'tool_choice', of 'tools'.");
    }

    private static int[] Render(ServedModel model, Conversation conversation)
    {
        try
        {
            return model.RenderChat(conversation);
        }
        catch (ArgumentException error)
        {
            throw Refusal.Value("enable_thinking", error.Message);
        }
    }

    /// <summary>Where only one call is wanted, its end is the answer's.</summary>
    private ImmutableArray<string> Stops(JsonFields fields, Conversation conversation)
    {
        ImmutableArray<string> stops = sampling.ReadStop(fields);
        return conversation.ParallelToolCalls || conversation.OfferedTools.IsEmpty ? stops : stops.Add(ToolCallEnd);
    }

    /// <summary>vLLM's field, or Model Studio's mark.</summary>
    private static bool ContinuesLast(JsonFields fields)
    {
        bool continues = fields.Flag("continue_final_message") ?? ChatMessages.EndsPartially(fields);
        if (continues && (fields.Flag("add_generation_prompt") ?? false)) throw Refusal.Value("add_generation_prompt", "an answer either goes on from the last message or begins a turn.");
        return continues;
    }
}
