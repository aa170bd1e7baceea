using Qanat.Books;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>The bytes a token stands for; empty for special tokens.</summary>
public delegate ReadOnlySpan<byte> TokenBytes(int token);

/// <summary>A model as the API sees it: its name, its limits, and how text becomes tokens and tokens become text.</summary>
public sealed class ServedModel
{
    public required ModelName Name { get; init; }

    /// <summary>A sentence every answer must carry, e.g. that the weights are random; null when there is none.</summary>
    public required string? Notice { get; init; }

    public required Instant ServedSince { get; init; }

    /// <summary>Tokens of prompt and answer together.</summary>
    public required int ContextLength { get; init; }

    /// <summary>Token ids are 0 to this, exclusive.</summary>
    public required int VocabularySize { get; init; }

    /// <summary>The most bytes one token stands for: a text longer than context x this cannot fit, which is known without tokenizing it.</summary>
    public required int TokenBytesMax { get; init; }

    /// <summary>What the engine behind it does at this moment.</summary>
    public required Func<EngineStatus> Engine { get; init; }

    public required Func<Conversation, int[]> RenderChat { get; init; }
    public required Func<string, int[]> Encode { get; init; }
    public required TokenBytes Bytes { get; init; }
    public required Func<int, string?> SpecialTextOf { get; init; }

    public static ServedModel From(Deployment deployment, Instant servedSince)
    {
        ArgumentNullException.ThrowIfNull(deployment);
        LoadedModel model = deployment.Model;
        BpeTokenizer tokenizer = model.Tokenizer;
        int tokenBytesMax = 1;
        for (int token = 0; token < tokenizer.Count; token++)
            tokenBytesMax = Math.Max(tokenBytesMax, Math.Max(tokenizer.Bytes(token).Length, tokenizer.SpecialTextOf(token)?.Length ?? 0));
        return new ServedModel
        {
            Name = deployment.Name,
            Notice = model.Notice,
            ServedSince = servedSince,
            ContextLength = deployment.Engine.ContextLength,
            VocabularySize = tokenizer.Count,
            TokenBytesMax = tokenBytesMax,
            Engine = () => deployment.Engine.Status,
            RenderChat = model.Chat.Render,
            Encode = text => tokenizer.Encode(text, SpecialText.AsPlainText),
            Bytes = tokenizer.Bytes,
            SpecialTextOf = tokenizer.SpecialTextOf,
        };
    }
}
