using System.Collections.Immutable;
using System.Text.Json;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>How one of the APIs words an answer. The same events in, another JSON out.</summary>
internal abstract class AnswerShape
{
    /// <summary>Begins the ids of its answers.</summary>
    public abstract string IdPrefix { get; }

    /// <summary>Whether a choice begins with a chunk of its own.</summary>
    public abstract bool HasOpening(ChoiceText choice);

    public abstract void WriteOpening(Utf8JsonWriter json, AnswerHead head, ChoiceText choice, bool usageFollows);

    public abstract void WriteDelta(Utf8JsonWriter json, AnswerHead head, ChoiceText choice, ChunkPart part);

    /// <param name="bill">Set on the last choice's chunk when no usage chunk follows: the cost of an answer is always in its last chunk.</param>
    public abstract void WriteFinish(Utf8JsonWriter json, AnswerHead head, ChoiceText choice, Bill? bill, bool usageFollows);

    /// <summary>The chunk without choices that clients ask for with include_usage.</summary>
    public abstract void WriteUsage(Utf8JsonWriter json, AnswerHead head, Bill bill);

    /// <summary>An answer that is not streamed.</summary>
    public abstract void WriteWhole(Utf8JsonWriter json, AnswerHead head, GenerationRequest request, IReadOnlyList<ChoiceText> choices, Bill bill);

    protected static void WriteHead(Utf8JsonWriter json, AnswerHead head, string kind)
    {
        json.WriteString("id"u8, head.Id);
        json.WriteString("object"u8, kind);
        json.WriteNumber("created"u8, head.CreatedUnixSeconds);
        json.WriteString("model"u8, head.Model);
        json.WriteString("system_fingerprint"u8, head.Fingerprint);
    }

    /// <summary>A model's end of a turn is "stop"; every limit, a budget too, is "length".</summary>
    protected static string Word(AnswerEnd reason) => reason switch
    {
        AnswerEnd.Stop => "stop",
        AnswerEnd.ToolCalls => "tool_calls",
        AnswerEnd.ContentFilter => "content_filter",
        AnswerEnd.Length or AnswerEnd.Budget or AnswerEnd.Loop => "length",
        _ => throw new ArgumentOutOfRangeException(nameof(reason), reason, "An answer that was cancelled or failed has no finish_reason: it ends with an error."),
    };
}

/// <summary>A piece of a stream.</summary>
/// <param name="Model">Set when log probabilities are wanted.</param>
internal readonly record struct ChunkPart(ImmutableArray<AnswerPiece> Pieces, ImmutableArray<GeneratedToken> Tokens, ServedModel? Model, ImmutableArray<string> ToldLogprobs, bool UsageFollows);
