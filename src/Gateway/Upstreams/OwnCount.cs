using System.Collections.Immutable;
using System.Text;
using Qanat.Books;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Our own count of a call that an upstream serves, against which its usage is checked: token for token where the model's tokenizer is known here, else an estimate with bounds.</summary>
internal sealed class OwnCount
{
    /// <summary>A piece of a stream up to this size is one token, as engines send them; more of it is counted by its size.</summary>
    private const int PieceBytes = 16;
    private const int BytesPerToken = 4;

    /// <summary>What a chat format puts around a message, at most.</summary>
    private const int MessageTokensMax = 32;

    /// <summary>What a ranking's prompt puts around a query and a document, at most.</summary>
    private const int RankingTokensMax = 256;

    /// <summary>Usage within this factor of the estimate is plausible.</summary>
    private const int Factor = 4;

    private readonly Func<string, int>? tokenize;
    private readonly StringBuilder[]? texts;
    private readonly long inputMost;
    private readonly bool inputIsExact;
    private long output, reasoning, outputBytes;

    public OwnCount(Call call, LoadedModel? countAs)
    {
        ArgumentNullException.ThrowIfNull(call);
        (Input, inputMost, inputIsExact) = InputOf(call, countAs);
        if (countAs is null) return;
        tokenize = text => countAs.Tokenizer.Encode(text, SpecialText.AsPlainText).Length;
        texts = [.. Enumerable.Range(0, call.Choices).Select(_ => new StringBuilder())];
    }

    /// <summary>Tokens of the prompt, as well as can be said before anyone read it.</summary>
    public int Input { get; }

    /// <summary>Input is what the model will read, token for token.</summary>
    public bool IsExact => inputIsExact;

    public TokenCounts Counts => new(Input, 0, 0, output, reasoning);

    public void Add(UpstreamPieces told)
    {
        if (told.Pieces is [ThoughtSignature signature])
        {
            // It holds the thought, of which the text may be the short form: nobody counts it, and what it holds is charged.
            outputBytes += signature.Text.Length;
            return;
        }
        int bytes = 0, thought = 0;
        foreach (AnswerPiece piece in told.Pieces)
        {
            string text = piece switch
            {
                TextPiece said => said.Text,
                ReasoningPiece reason => reason.Text,
                ToolCallStart start => start.Name,
                ToolCallArguments arguments => arguments.Fragment,
                ForeignBlock block => block.Json,
                _ => "",
            };
            int size = Encoding.UTF8.GetByteCount(text);
            bytes += size;
            if (piece is ReasoningPiece) thought += size;
            texts?[told.Choice].Append(text);
        }
        outputBytes += bytes;
        int tokens = told.Tokens > 0 ? told.Tokens : bytes <= PieceBytes ? 1 : (bytes + BytesPerToken - 1) / BytesPerToken;
        output += tokens;
        if (thought > 0) reasoning += bytes == thought ? tokens : (long)tokens * thought / bytes;
    }

    /// <summary>How the usage that an upstream told stands to this count.</summary>
    /// <param name="choices">Each may have an end token that is in no text.</param>
    public UsageCheckState Check(TokenCounts told, int choices)
    {
        if (tokenize is not null && inputIsExact)
        {
            long counted = texts!.Sum(text => (long)tokenize(text.ToString()));
            output = counted;
            bool agrees = told.Input == Input && told.Output >= counted && told.Output <= counted + choices;
            // Marks around thoughts and tool calls are tokens that no text shows.
            return agrees ? UsageCheckState.Agrees : reasoning > 0 && told.Input == Input && Near(told.Output, counted) ? UsageCheckState.Plausible : UsageCheckState.Differs;
        }
        bool plausible = told.Input <= inputMost && told.Input >= Input / Factor && (inputIsExact ? told.Input == Input : true)
            && told.Output >= output / Factor && told.Output <= Math.Max(outputBytes, output) + (long)choices * MessageTokensMax;
        return plausible ? UsageCheckState.Plausible : UsageCheckState.Differs;
    }

    private static bool Near(long told, long counted) => told >= counted && told <= counted + MessageTokensMax + counted / Factor;

    private static (int Input, long Most, bool IsExact) InputOf(Call call, LoadedModel? countAs)
    {
        if (!call.Prompt.IsDefaultOrEmpty) return (call.Prompt.Length, call.Prompt.Length, true);
        if (call.Texts is { } texts) return InputOf(texts);
        if (countAs is not null)
        {
            int exact = call.Conversation is { } chat ? countAs.Chat.Render(chat).Length : countAs.Tokenizer.Encode(call.PromptText ?? "", SpecialText.AsPlainText).Length;
            return (exact, exact, true);
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
        return (estimate, bytes + unspoken + (marks + Factor) * MessageTokensMax, false);
    }

    /// <summary>A ranking reads the query with every document, and what its prompt puts around them.</summary>
    private static (int Input, long Most, bool IsExact) InputOf(TextsAsked asked)
    {
        long query = Encoding.UTF8.GetByteCount(asked.Query ?? ""), estimate = 0, most = 0;
        foreach (TextAsked text in asked.Texts)
        {
            long bytes = text.Text is { } said ? query + Encoding.UTF8.GetByteCount(said) : 0, tokens = text.Text is null ? text.Tokens.Length : 0;
            estimate += tokens + (bytes + BytesPerToken - 1) / BytesPerToken + 1;
            most += tokens + bytes + (asked.Query is null ? MessageTokensMax : RankingTokensMax);
        }
        return ((int)Math.Min(int.MaxValue, estimate), most, false);
    }
}
