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

    /// <summary>Served by engines outside this process: nobody here knows its tokens.</summary>
    public bool IsOutside { get; init; }

    /// <summary>What the engine behind it does at this moment.</summary>
    public required Func<EngineStatus> Engine { get; init; }

    /// <summary>How its tokens are drawn where a caller says nothing.</summary>
    public SamplingDefaults Sampling { get; init; } = SamplingDefaults.None;

    public required Func<Conversation, int[]> RenderChat { get; init; }
    public required Func<string, int[]> Encode { get; init; }
    public required TokenBytes Bytes { get; init; }
    public required Func<int, string?> SpecialTextOf { get; init; }

    /// <summary>False: it only reads.</summary>
    public bool Generates { get; init; } = true;

    /// <summary>How it is asked for vectors and scores; null: it is not.</summary>
    public ReadModel? Reading { get; init; }

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
            Sampling = model.Sampling,
            RenderChat = model.Chat.Render,
            Encode = text => tokenizer.Encode(text, SpecialText.AsPlainText),
            Bytes = tokenizer.Bytes,
            SpecialTextOf = tokenizer.SpecialTextOf,
            Generates = model.Generates,
            Reading = ReadModelOf(model),
        };
    }

    /// <summary>Every vocabulary of the family has what the prompts need; one that has not is not asked.</summary>
    private static ReadModel? ReadModelOf(LoadedModel model)
    {
        try
        {
            EmbeddingFormat texts = new(model.Tokenizer);
            RerankFormat ranking = new(model.Tokenizer);
            return new ReadModel(model.Network.Shape.Hidden, texts.Document, texts.Query, ranking.Yes, ranking.No, ranking.Prompt) { Head = model.Ranking };
        }
        catch (ArgumentException)
        {
            return null;
        }
    }

    /// <summary>A model that upstreams serve: its text goes to them as it is.</summary>
    public static ServedModel From(UpstreamSet set, Instant servedSince)
    {
        ArgumentNullException.ThrowIfNull(set);
        return Outside(set.Name, set.ContextLength, servedSince, () => set.Targets.Sum(target => target.State.Running));
    }

    /// <summary>A model that only others stand in for: whoever serves it reads the text its own way.</summary>
    /// <param name="contextLength">Theirs.</param>
    internal static ServedModel StoodInFor(ModelName name, int contextLength, Instant servedSince) => Outside(name, contextLength, servedSince, static () => 0);

    private static ServedModel Outside(ModelName name, int contextLength, Instant servedSince, Func<int> running) => new()
    {
        Name = name,
        Notice = null,
        ServedSince = servedSince,
        ContextLength = contextLength,
        VocabularySize = int.MaxValue,
        TokenBytesMax = OutsideTokenBytesMax,
        IsOutside = true,
        Engine = () => new EngineStatus(0, running(), 0, 0, 0, 0, 0, 0, 0, "upstream"),
        RenderChat = _ => [],
        Encode = _ => [],
        Bytes = _ => default,
        SpecialTextOf = _ => null,
    };

    /// <summary>No tokenizer has tokens of more bytes: runs of white space are the longest.</summary>
    private const int OutsideTokenBytesMax = 256;
}
