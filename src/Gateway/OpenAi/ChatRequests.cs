using System.Collections.Immutable;
using System.Text.Json;
using Qanat.Books;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Reads the body of POST /v1/chat/completions. Fields that nobody here knows are ignored, as OpenAI-compatible servers do.</summary>
internal sealed class ChatRequests(ServedModels models, GatewayOptions options, SamplingFields sampling)
{
    public GenerationRequest Read(JsonFields fields, Caller caller)
    {
        ServedModel model = models.Find(fields.RequiredText("model"));
        List<ChatMessage> messages = ChatMessages.Read(fields);
        RefuseWhatCannotBeKept(fields);
        ImmutableArray<int> prompt = Prompts.Checked(model, "messages", messages.Sum(message => (long)message.Content.Length), () => model.RenderChat(messages, ReadThinking(fields)));
        int choices = (int)(fields.Integer("n", 1, options.ChoicesMax) ?? 1);
        int? maxTokens = fields.IntegerAtLeast("max_completion_tokens", 1) ?? fields.IntegerAtLeast("max_tokens", 1);
        Call call = new(caller, Operation.Chat, model.Name, prompt, choices, maxTokens, sampling.Read(fields, model), sampling.ReadStop(fields),
            ReadTopLogprobs(fields), fields.Flag("ignore_eos") ?? false, Prompts.UserTag(fields, options));
        return new GenerationRequest(model, [call], fields.Flag("stream") ?? false, Prompts.IncludeUsage(fields), []);
    }

    private int ReadTopLogprobs(JsonFields fields)
    {
        bool wanted = fields.Flag("logprobs") ?? false;
        long? count = fields.Integer("top_logprobs", 0, options.TopLogprobsMax);
        if (count > 0 && !wanted) throw Refusal.Value("top_logprobs", "it needs 'logprobs' to be true.");
        return wanted ? (int)(count ?? 0) : -1;
    }

    private static Thinking ReadThinking(JsonFields fields)
    {
        bool? enabled = fields.Flag("enable_thinking") ?? fields.Object("chat_template_kwargs")?.Flag("enable_thinking");
        return enabled switch
        {
            true => Thinking.On,
            false => Thinking.Off,
            null => Thinking.ModelDefault,
        };
    }

    /// <summary>Promises that an answer must keep cannot be ignored like an unknown field: a caller who relies on them is told.</summary>
    private static void RefuseWhatCannotBeKept(JsonFields fields)
    {
        if (fields.TryGet("response_format", out JsonElement format))
        {
            if (format.ValueKind != JsonValueKind.Object) throw Refusal.Type("response_format", "an object", JsonFields.Kind(format));
            if (new JsonFields(format, "response_format").Text("type") is { } type && type != "text")
                throw Refusal.Unsupported("response_format", $"answers of type '{type.AsSpan(0, Math.Min(40, type.Length))}' cannot be guaranteed; only 'text' is allowed.");
        }
        if (fields.TryGet("tool_choice", out JsonElement choice))
        {
            bool forced = choice.ValueKind == JsonValueKind.Object || (choice.ValueKind == JsonValueKind.String && JsonFields.TextOf(choice, "tool_choice") is not ("auto" or "none"));
            if (forced) throw Refusal.Unsupported("tool_choice", "a tool call cannot be forced; only 'auto' and 'none' are allowed.");
        }
    }
}
