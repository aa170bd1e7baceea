using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>How many tokens a call may use, as well as can be said before it is held for (ADR 76): those of its prompt, and for each choice as many as it asks for, or what its hold pays for at first. Never more than the context of its model has room for.</summary>
internal sealed class CallEstimates(RoutingState routing, MeterOptions options)
{
    /// <param name="counted">The prompt, where it is known as text only.</param>
    public long MostOf(Call call, out PromptCount? counted)
    {
        UpstreamSet? set = routing.FindUpstreams(call.Model);
        PromptCount prompt = PromptCount.Of(call, set is null ? null : routing.CountAs(set));
        counted = call.Prompt.IsEmpty ? prompt : null;
        long answer = call.MaxTokens ?? options.HoldOutputTokens;
        if ((set?.ContextLength ?? routing.TryFind(call.Model)?.Engine.ContextLength) is { } context) answer = Math.Min(answer, Math.Max(1, context - prompt.Input));
        return prompt.Input + answer * call.Choices;
    }
}
