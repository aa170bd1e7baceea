using System.Collections.Immutable;
using Qanat.Books;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>A chat as an API asked for it, before it is tokenized.</summary>
/// <param name="Param">The field that is named when the prompt does not fit.</param>
/// <param name="MaxTokens">Null: what is left of the context.</param>
internal sealed record ChatAsk(ServedModel Model, Conversation Conversation, string Param)
{
    public int? MaxTokens { get; init; }
    public int Choices { get; init; } = 1;
    public required SamplingOptions Sampling { get; init; }
    public ImmutableArray<string> Stop { get; init; } = [];
    public int TopLogprobs { get; init; } = -1;
    public string? UserTag { get; init; }
    public bool IgnoreStopTokens { get; init; }
    public int? LoopTokensMax { get; init; }
    public bool Stream { get; init; }
    public bool IncludeUsage { get; init; } = true;

    public GenerationRequest ToRequest(Caller caller)
    {
        ImmutableArray<int> prompt = PromptOf(Model, Conversation, Param);
        Call call = new(caller, Operation.Chat, Model.Name, prompt, Choices, MaxTokens, Sampling, Stops, TopLogprobs, IgnoreStopTokens, UserTag)
        {
            Conversation = Conversation,
            CacheTokens = CacheMarks.TokensOf(Model, Conversation, prompt),
            LoopTokensMax = LoopTokensMax,
        };
        return new GenerationRequest(Model, [call], Stream, IncludeUsage, []);
    }

    /// <summary>The tokens a conversation becomes.</summary>
    public static ImmutableArray<int> PromptOf(ServedModel model, Conversation conversation, string param) =>
        Prompts.Checked(model, param, conversation.Messages.Sum(message => (long)message.Content.Length), () => Render(model, conversation));

    /// <summary>Where only one call of a tool is wanted, its end is the answer's.</summary>
    private ImmutableArray<string> Stops => Conversation.ParallelToolCalls || Conversation.OfferedTools.IsEmpty ? Stop : Stop.Add("</tool_call>");

    private static int[] Render(ServedModel model, Conversation conversation)
    {
        try
        {
            return model.RenderChat(conversation);
        }
        catch (ArgumentException error)
        {
            throw new ApiException(400, Refusal.InvalidRequest, "invalid_value", error.Message);
        }
    }
}
