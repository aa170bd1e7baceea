using System.Text.Json;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Words answers as text_completion.</summary>
internal sealed class CompletionShape : AnswerShape
{
    private const string Kind = "text_completion";

    public override string IdPrefix => "cmpl-";

    /// <summary>Only an echoed prompt comes before the first token.</summary>
    public override bool HasOpening(ChoiceText choice) => choice.Echo.Length > 0;

    public override void WriteOpening(Utf8JsonWriter json, AnswerHead head, ChoiceText choice, bool usageFollows)
    {
        BeginChoice(json, head, choice, choice.Echo);
        json.WriteNull("logprobs"u8);
        json.WriteNull("finish_reason"u8);
        EndChoice(json, usageFollows);
    }

    public override void WriteDelta(Utf8JsonWriter json, AnswerHead head, ChoiceText choice, ChunkPart part)
    {
        BeginChoice(json, head, choice, string.Concat(part.Pieces.OfType<TextPiece>().Select(piece => piece.Text)));
        WriteLogprobs(json, part.Model, choice, part.Tokens);
        json.WriteNull("finish_reason"u8);
        EndChoice(json, part.UsageFollows);
    }

    public override void WriteFinish(Utf8JsonWriter json, AnswerHead head, ChoiceText choice, Bill? bill, bool usageFollows)
    {
        BeginChoice(json, head, choice, "");
        json.WriteNull("logprobs"u8);
        json.WriteString("finish_reason"u8, Word(choice.Finish));
        json.WriteEndObject();
        json.WriteEndArray();
        if (bill is not null) BillJson.WriteUsage(json, bill);
        else if (usageFollows) json.WriteNull("usage"u8);
        json.WriteEndObject();
    }

    public override void WriteUsage(Utf8JsonWriter json, AnswerHead head, Bill bill)
    {
        json.WriteStartObject();
        WriteHead(json, head, Kind);
        json.WriteStartArray("choices"u8);
        json.WriteEndArray();
        BillJson.WriteUsage(json, bill);
        json.WriteEndObject();
    }

    public override void WriteWhole(Utf8JsonWriter json, AnswerHead head, GenerationRequest request, IReadOnlyList<ChoiceText> choices, Bill bill)
    {
        json.WriteStartObject();
        WriteHead(json, head, Kind);
        json.WriteStartArray("choices"u8);
        foreach (ChoiceText choice in choices)
        {
            json.WriteStartObject();
            json.WriteNumber("index"u8, choice.Index);
            json.WriteString("text"u8, choice.Content);
            WriteLogprobs(json, request.WithLogprobs ? request.Model : null, choice, choice.Tokens);
            json.WriteString("finish_reason"u8, Word(choice.Finish));
            json.WriteEndObject();
        }
        json.WriteEndArray();
        BillJson.WriteUsage(json, bill);
        json.WriteEndObject();
    }

    private static void BeginChoice(Utf8JsonWriter json, AnswerHead head, ChoiceText choice, string text)
    {
        json.WriteStartObject();
        WriteHead(json, head, Kind);
        json.WriteStartArray("choices"u8);
        json.WriteStartObject();
        json.WriteNumber("index"u8, choice.Index);
        json.WriteString("text"u8, text);
    }

    private static void EndChoice(Utf8JsonWriter json, bool usageFollows)
    {
        json.WriteEndObject();
        json.WriteEndArray();
        if (usageFollows) json.WriteNull("usage"u8);
        json.WriteEndObject();
    }

    private static void WriteLogprobs(Utf8JsonWriter json, ServedModel? model, ChoiceText choice, IReadOnlyList<GeneratedToken> tokens)
    {
        if (model is null)
        {
            json.WriteNull("logprobs"u8);
            return;
        }
        json.WriteStartObject("logprobs"u8);
        json.WriteStartArray("tokens"u8);
        foreach (GeneratedToken token in tokens)
            json.WriteStringValue(TokenText.Distinct(TokenText.BytesOf(model, token.Token)));
        json.WriteEndArray();
        json.WriteStartArray("token_logprobs"u8);
        foreach (GeneratedToken token in tokens)
            json.WriteNumberValue(TokenText.Finite(token.Logprob));
        json.WriteEndArray();
        json.WriteStartArray("top_logprobs"u8);
        foreach (GeneratedToken token in tokens)
            WriteAlternatives(json, model, token);
        json.WriteEndArray();
        json.WriteStartArray("text_offset"u8);
        foreach (GeneratedToken token in tokens)
        {
            json.WriteNumberValue(choice.TextOffset);
            choice.TextOffset += TokenText.CharactersBegun(TokenText.BytesOf(model, token.Token));
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteAlternatives(Utf8JsonWriter json, ServedModel model, GeneratedToken token)
    {
        HashSet<string> told = new(StringComparer.Ordinal);
        json.WriteStartObject();
        foreach (TokenLogprob other in token.Top)
        {
            string text = TokenText.Distinct(TokenText.BytesOf(model, other.Token));
            if (told.Add(text)) json.WriteNumber(text, TokenText.Finite(other.Logprob));
        }
        json.WriteEndObject();
    }
}
