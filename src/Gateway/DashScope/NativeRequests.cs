using System.Collections.Immutable;
using Microsoft.AspNetCore.Http;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>A native generation: what to generate, and how to tell it.</summary>
internal sealed record NativeRequest(GenerationRequest Generation, NativeFormat Format);

/// <summary>Reads the body of DashScope's text generation: {"model","input":{"messages" or "prompt"},"parameters":{...}}.</summary>
internal sealed class NativeRequests(ServedModels models, GatewayOptions options, SamplingFields sampling)
{
    private static readonly JsonFields NoParameters = new(System.Text.Json.JsonDocument.Parse("{}").RootElement, "parameters");

    public NativeRequest Read(JsonFields fields, Caller caller, HttpRequest http)
    {
        ServedModel model = models.Find(fields.RequiredText("model"));
        JsonFields input = fields.Object("input") ?? throw Refusal.Missing("input");
        JsonFields parameters = fields.Object("parameters") ?? NoParameters;
        Conversation conversation = ReadConversation(input, parameters);
        bool asMessage = parameters.Text("result_format") switch
        {
            "message" => true,
            null => conversation.Tools.Length > 0,
            "text" => false,
            _ => throw Refusal.Value("parameters.result_format", "it must be 'text' or 'message'."),
        };
        int choices = (int)(parameters.Integer("n", 1, options.ChoicesMax) ?? 1);
        if (choices > 1 && !asMessage) throw Refusal.Value("parameters.n", "more than one answer needs 'result_format' to be 'message'.");
        int topLogprobs = sampling.ReadTopLogprobs(parameters);
        if (topLogprobs >= 0 && !asMessage) throw Refusal.Value("parameters.logprobs", "log probabilities need 'result_format' to be 'message'.");
        ChatAsk ask = new(model, conversation, "input.messages")
        {
            MaxTokens = parameters.IntegerAtLeast("max_tokens", 1),
            Choices = choices,
            Sampling = sampling.Read(parameters, model),
            Stop = sampling.ReadStop(parameters),
            TopLogprobs = topLogprobs,
            LoopTokensMax = SamplingFields.ReadLoop(parameters),
            UserTag = Prompts.UserTag(parameters, options),
            Stream = WantsStream(http),
        };
        return new NativeRequest(ask.ToRequest(caller), new NativeFormat(asMessage, parameters.Flag("incremental_output") ?? false));
    }

    private static bool WantsStream(HttpRequest http) =>
        "enable".Equals(http.Headers["X-DashScope-SSE"], StringComparison.OrdinalIgnoreCase)
        || http.Headers.Accept.Any(accept => accept?.Contains("text/event-stream", StringComparison.OrdinalIgnoreCase) == true);

    private Conversation ReadConversation(JsonFields input, JsonFields parameters)
    {
        ImmutableArray<ChatMessage> messages = input.Says("messages")
            ? ChatMessages.Read(input)
            : [new ChatMessage(ChatRole.User, input.Text("prompt") ?? throw Refusal.Missing("input.messages"))];
        ImmutableArray<ToolDefinition> tools = ToolFields.Read(parameters, options.ToolsMax);
        return new Conversation(messages)
        {
            Tools = tools,
            ToolChoice = ToolFields.ReadChoice(parameters, tools),
            ParallelToolCalls = parameters.Flag("parallel_tool_calls") ?? true,
            Format = FormatFields.Read(parameters),
            Thinking = ThinkingFields.Read(parameters),
            Effort = ThinkingFields.ReadEffort(parameters),
            ContinuesLast = ChatMessages.EndsPartially(input),
            CachedMessages = CacheMarks.Last(input, "messages", parameters),
            ThinkingTokensMax = parameters.IntegerAtLeast("thinking_budget", 1),
        };
    }
}
