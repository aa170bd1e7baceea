using System.Text;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Tokens of a call's prompt, as well as can be said before anyone read it.</summary>
/// <param name="Most">What its model may make of it at most.</param>
/// <param name="IsExact">Input is what the model will read, token for token.</param>
/// <param name="By">The model here that counts as its own does; null: none is known to.</param>
internal readonly record struct PromptCount(int Input, long Most, bool IsExact, LoadedModel? By)
{
    public const int BytesPerToken = 4;

    /// <summary>What a chat format puts around a message, at most.</summary>
    public const int MessageTokensMax = 32;

    /// <summary>Usage within this factor of an estimate is plausible.</summary>
    public const int Factor = 4;

    /// <summary>What a ranking's prompt puts around a query and a document, at most.</summary>
    private const int RankingTokensMax = 256;

    /// <summary>Counts a prompt, or estimates it where nothing here counts as its model does.</summary>
    public static PromptCount Of(Call call, LoadedModel? countAs)
    {
        if (!call.Prompt.IsDefaultOrEmpty) return new PromptCount(call.Prompt.Length, call.Prompt.Length, true, countAs);
        if (call.Texts is { } texts) return Of(texts, countAs);
        if (countAs is not null)
        {
            int exact = call.Conversation is { } chat ? countAs.Chat.Render(chat).Length : countAs.Tokenizer.Encode(call.PromptText ?? "", SpecialText.AsPlainText).Length;
            return new PromptCount(exact, exact, true, countAs);
        }
        long bytes = 0, marks = 0, unspoken = 0;
        if (call.Conversation is { } conversation)
        {
            foreach (ChatMessage message in conversation.Messages)
            {
                bytes += Encoding.UTF8.GetByteCount(message.Content) + Encoding.UTF8.GetByteCount(message.ReasoningContent ?? "") + message.ToolCalls.Sum(each => (long)each.ArgumentsJson.Length + each.Name.Length);
                marks++;
                unspoken += message.Blocks?.Length ?? 0;
            }
            foreach (ToolDefinition tool in conversation.Tools)
            {
                bytes += (tool.Json?.Length ?? 0) + tool.Name.Length + (tool.Description?.Length ?? 0) + (tool.ParametersJson?.Length ?? 0);
                marks++;
            }
        }
        else bytes = Encoding.UTF8.GetByteCount(call.PromptText ?? "");
        int estimate = (int)Math.Min(int.MaxValue, (bytes + BytesPerToken - 1) / BytesPerToken + marks * BytesPerToken + BytesPerToken);
        return new PromptCount(estimate, bytes + unspoken + (marks + Factor) * MessageTokensMax, false, null);
    }

    /// <summary>A ranking reads the query with every document, and what its prompt puts around them.</summary>
    private static PromptCount Of(TextsAsked asked, LoadedModel? countAs)
    {
        long query = Encoding.UTF8.GetByteCount(asked.Query ?? ""), estimate = 0, most = 0;
        foreach (TextAsked text in asked.Texts)
        {
            long bytes = text.Text is { } said ? query + Encoding.UTF8.GetByteCount(said) : 0, tokens = text.Text is null ? text.Tokens.Length : 0;
            estimate += tokens + (bytes + BytesPerToken - 1) / BytesPerToken + 1;
            most += tokens + bytes + (asked.Query is null ? MessageTokensMax : RankingTokensMax);
        }
        return new PromptCount((int)Math.Min(int.MaxValue, estimate), most, false, countAs);
    }
}
