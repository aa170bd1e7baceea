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
    private const int BytesPerToken = PromptCount.BytesPerToken;
    private const int MessageTokensMax = PromptCount.MessageTokensMax;

    /// <summary>Usage within this factor of the estimate is plausible.</summary>
    private const int Factor = PromptCount.Factor;

    private readonly Func<string, int>? tokenize;
    private readonly StringBuilder[]? texts;
    private readonly PromptCount prompt;
    private long output, reasoning, outputBytes;

    public OwnCount(Call call, LoadedModel? countAs)
    {
        ArgumentNullException.ThrowIfNull(call);
        prompt = call.Tokens?.Counted is { } known && known.By == countAs ? known : PromptCount.Of(call, countAs);
        if (countAs is null) return;
        tokenize = text => countAs.Tokenizer.Encode(text, SpecialText.AsPlainText).Length;
        texts = [.. Enumerable.Range(0, call.Choices).Select(_ => new StringBuilder())];
    }

    /// <summary>Tokens of the prompt, as well as can be said before anyone read it.</summary>
    public int Input => prompt.Input;

    /// <summary>Input is what the model will read, token for token.</summary>
    public bool IsExact => prompt.IsExact;

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
        if (tokenize is not null && prompt.IsExact)
        {
            long counted = texts!.Sum(text => (long)tokenize(text.ToString()));
            output = counted;
            bool agrees = told.Input == Input && told.Output >= counted && told.Output <= counted + choices;
            // Marks around thoughts and tool calls are tokens that no text shows.
            return agrees ? UsageCheckState.Agrees : reasoning > 0 && told.Input == Input && Near(told.Output, counted) ? UsageCheckState.Plausible : UsageCheckState.Differs;
        }
        bool plausible = told.Input <= prompt.Most && told.Input >= Input / Factor && (prompt.IsExact ? told.Input == Input : true)
            && told.Output >= output / Factor && told.Output <= Math.Max(outputBytes, output) + (long)choices * MessageTokensMax;
        return plausible ? UsageCheckState.Plausible : UsageCheckState.Differs;
    }

    private static bool Near(long told, long counted) => told >= counted && told <= counted + MessageTokensMax + counted / Factor;
}
