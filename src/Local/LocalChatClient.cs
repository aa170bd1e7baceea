using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Local;

/// <summary>A model of this program behind the interface that .NET programs chat through: streaming, thoughts, tools, structured output, seeds.</summary>
internal sealed class LocalChatClient(LocalModel model) : IChatClient
{
    private readonly ChatClientMetadata metadata = new("qanat", null, model.Name);

    public async Task<ChatResponse> GetResponseAsync(IEnumerable<Microsoft.Extensions.AI.ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default) =>
        await GetStreamingResponseAsync(messages, options, cancellationToken).ToChatResponseAsync(cancellationToken);

    /// <exception cref="ArgumentException">The conversation cannot be put to this model, or is too long for it.</exception>
    /// <exception cref="AnswerFailedException">The model failed while it answered.</exception>
    /// <exception cref="GrammarException">The form that was asked for cannot be kept.</exception>
    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(IEnumerable<Microsoft.Extensions.AI.ChatMessage> messages, ChatOptions? options = null, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        Conversation conversation = ConversationReading.Read(messages, options);
        var id = new SequenceId(Guid.CreateVersion7(), 0);
        string responseId = $"chat-{id.Request:N}";
        SequenceRequest request = Request(id, conversation, options);
        AnswerReader reader = model.Format.Reader(conversation, index => FormattableString.Invariant($"call_{id.Request:N}_{index}"));
        bool tellsThoughts = options?.Reasoning?.Output != ReasoningOutput.None;
        var calls = new List<(ToolCallStart Start, StringBuilder Arguments)>();
        var usage = new UsageDetails { InputTokenCount = request.Prompt.Length, OutputTokenCount = 0, ReasoningTokenCount = 0, CachedInputTokenCount = 0 };

        await foreach (SequenceStep step in model.RunAsync(request, cancellationToken))
        {
            usage.OutputTokenCount += step.Tokens.Length;
            usage.ReasoningTokenCount += step.ReasoningTokens;
            usage.CachedInputTokenCount += step.CachedPromptTokens;
            ImmutableArray<AnswerPiece> pieces = reader.Add(step.Text);
            if (step.Finish is { } finish) pieces = pieces.AddRange(reader.Finish(wasCut: finish != FinishReason.Stop));
            List<AIContent> contents = Contents(pieces, calls, tellsThoughts);
            if (step.Finish is FinishReason.Failed) throw new AnswerFailedException($"The answer failed: {step.Failure}");
            if (step.Finish is FinishReason.Cancelled) throw new OperationCanceledException("The answer was ended because the model is being disposed of.");
            if (step.Finish is { } reason)
            {
                // Calls are told whole: their arguments are values here, not text.
                contents.AddRange(calls.Select(CallOf));
                usage.TotalTokenCount = usage.InputTokenCount + usage.OutputTokenCount;
                contents.Add(new UsageContent(usage));
                yield return Update(contents, reason == FinishReason.Stop ? calls.Count > 0 ? ChatFinishReason.ToolCalls : ChatFinishReason.Stop : ChatFinishReason.Length);
            }
            else if (contents.Count > 0)
            {
                yield return Update(contents, null);
            }
        }

        ChatResponseUpdate Update(List<AIContent> contents, ChatFinishReason? finish) =>
            new(Microsoft.Extensions.AI.ChatRole.Assistant, contents) { ResponseId = responseId, MessageId = responseId, ModelId = model.Name, FinishReason = finish };
    }

    public object? GetService(Type serviceType, object? serviceKey = null)
    {
        ArgumentNullException.ThrowIfNull(serviceType);
        return serviceKey is not null ? null
            : serviceType == typeof(ChatClientMetadata) ? metadata
            : serviceType.IsInstanceOfType(this) ? this
            : serviceType.IsInstanceOfType(model) ? model
            : null;
    }

    public void Dispose()
    {
    }

    private SequenceRequest Request(SequenceId id, Conversation conversation, ChatOptions? options)
    {
        if (!model.Generates) throw new ArgumentException($"{model.Name} {LoadedModel.ReadsOnly}", nameof(conversation));
        ImmutableArray<int> prompt = [.. model.Format.Render(conversation)];
        int room = model.ContextLength - prompt.Length;
        if (room < 1) throw new ArgumentException(FormattableString.Invariant($"The conversation has {prompt.Length} tokens; the model has room for {model.ContextLength}, its answer included."), nameof(conversation));
        int most = Math.Min(options?.MaxOutputTokens ?? room, room);
        ImmutableArray<string> stops = [.. options?.StopSequences ?? []];
        SamplingDefaults advice = model.Sampling;
        var sampling = new SamplingOptions
        {
            Temperature = options?.Temperature ?? advice.Temperature ?? 1,
            TopP = Math.Clamp(options?.TopP ?? advice.TopP ?? 1, float.Epsilon, 1),
            TopK = options?.TopK ?? advice.TopK ?? 0,
            MinP = advice.MinP ?? 0,
            RepetitionPenalty = advice.RepetitionPenalty ?? 1,
            PresencePenalty = options?.PresencePenalty ?? 0,
            FrequencyPenalty = options?.FrequencyPenalty ?? 0,
            Seed = options?.Seed is { } seed ? unchecked((ulong)seed) : BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(sizeof(ulong))),
        };
        return new SequenceRequest(id, prompt, most, most, sampling, stops, -1, IgnoreStopTokens: false, "local")
        {
            Constraint = model.Format.Constraint(conversation),
            Thinking = model.Format.ThoughtOf(conversation) is { } thought ? new ThinkingOptions(thought.Open, thought.Close, thought.IsOpen) { Call = thought.Call, TokensMax = thought.TokensMax, Ending = thought.Ending } : null,
        };
    }

    private static List<AIContent> Contents(ImmutableArray<AnswerPiece> pieces, List<(ToolCallStart Start, StringBuilder Arguments)> calls, bool tellsThoughts)
    {
        List<AIContent> contents = [];
        foreach (AnswerPiece piece in pieces)
        {
            switch (piece)
            {
                case TextPiece text:
                    contents.Add(new TextContent(text.Text));
                    break;
                case ReasoningPiece thought when tellsThoughts:
                    contents.Add(new TextReasoningContent(thought.Text));
                    break;
                case ToolCallStart start:
                    calls.Add((start, new StringBuilder()));
                    break;
                case ToolCallArguments more:
                    calls[more.Index].Arguments.Append(more.Fragment);
                    break;
            }
        }
        return contents;
    }

    private static FunctionCallContent CallOf((ToolCallStart Start, StringBuilder Arguments) call)
    {
        var content = new FunctionCallContent(call.Start.Id, call.Start.Name);
        try
        {
            using JsonDocument arguments = JsonDocument.Parse(call.Arguments.ToString());
            content.Arguments = arguments.RootElement.ValueKind == JsonValueKind.Object
                ? arguments.RootElement.EnumerateObject().DistinctBy(each => each.Name).ToDictionary(each => each.Name, each => (object?)each.Value.Clone())
                : throw new JsonException("The arguments are no JSON object.");
        }
        catch (JsonException broken)
        {
            content.Exception = broken;
        }
        return content;
    }
}
