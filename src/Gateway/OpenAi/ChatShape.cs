using System.Text.Json;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Words answers as chat.completion and chat.completion.chunk.</summary>
internal sealed class ChatShape : AnswerShape
{
    private const string Chunk = "chat.completion.chunk";

    public override string IdPrefix => "chatcmpl-";

    public override bool HasOpening(ChoiceText choice) => true;

    public override void WriteOpening(Utf8JsonWriter json, AnswerHead head, ChoiceText choice, bool usageFollows)
    {
        BeginChoice(json, head, choice);
        json.WriteStartObject("delta"u8);
        json.WriteString("role"u8, "assistant");
        json.WriteString("content"u8, "");
        json.WriteEndObject();
        json.WriteNull("logprobs"u8);
        json.WriteNull("finish_reason"u8);
        EndChoice(json, usageFollows);
    }

    public override void WriteDelta(Utf8JsonWriter json, AnswerHead head, ChoiceText choice, ChunkPart part)
    {
        BeginChoice(json, head, choice);
        json.WriteStartObject("delta"u8);
        // Nearly all of a stream is this.
        if (part.Pieces is [TextPiece only]) json.WriteString("content"u8, only.Text);
        else WriteSaid(json, part);
        json.WriteEndObject();
        WriteLogprobs(json, part.Model, part.Tokens, part.ToldLogprobs);
        json.WriteNull("finish_reason"u8);
        EndChoice(json, part.UsageFollows);
    }

    private static void WriteSaid(Utf8JsonWriter json, ChunkPart part)
    {
        string reasoning = string.Concat(part.Pieces.OfType<ReasoningPiece>().Select(piece => piece.Text));
        string content = string.Concat(part.Pieces.OfType<TextPiece>().Select(piece => piece.Text));
        bool callsTools = part.Pieces.Any(piece => piece is ToolCallStart or ToolCallArguments);
        if (reasoning.Length > 0) json.WriteString("reasoning_content"u8, reasoning);
        if (content.Length > 0 || (reasoning.Length == 0 && !callsTools)) json.WriteString("content"u8, content);
        if (callsTools) ToolCallsJson.WriteDelta(json, part.Pieces);
    }

    public override void WriteFinish(Utf8JsonWriter json, AnswerHead head, ChoiceText choice, Bill? bill, bool usageFollows)
    {
        BeginChoice(json, head, choice);
        json.WriteStartObject("delta"u8);
        json.WriteEndObject();
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
        WriteHead(json, head, Chunk);
        json.WriteStartArray("choices"u8);
        json.WriteEndArray();
        BillJson.WriteUsage(json, bill);
        json.WriteEndObject();
    }

    public override void WriteWhole(Utf8JsonWriter json, AnswerHead head, GenerationRequest request, IReadOnlyList<ChoiceText> choices, Bill bill)
    {
        json.WriteStartObject();
        WriteHead(json, head, "chat.completion");
        json.WriteStartArray("choices"u8);
        foreach (ChoiceText choice in choices)
        {
            json.WriteStartObject();
            json.WriteNumber("index"u8, choice.Index);
            json.WriteStartObject("message"u8);
            json.WriteString("role"u8, "assistant");
            // OpenAI's answers that only call tools have no content at all, and clients tell them by that.
            if (choice.ToolCalls.Count > 0 && choice.Content.Length == 0) json.WriteNull("content"u8);
            else json.WriteString("content"u8, choice.Content);
            if (choice.ToolCalls.Count > 0) ToolCallsJson.Write(json, choice.ToolCalls);
            if (choice.Reasoning.Length > 0) json.WriteString("reasoning_content"u8, choice.Reasoning);
            json.WriteNull("refusal"u8);
            json.WriteEndObject();
            WriteLogprobs(json, request.WithLogprobs ? request.Model : null, choice.Tokens, choice.ToldLogprobs);
            json.WriteString("finish_reason"u8, Word(choice.Finish));
            json.WriteEndObject();
        }
        json.WriteEndArray();
        BillJson.WriteUsage(json, bill);
        json.WriteEndObject();
    }

    private static void BeginChoice(Utf8JsonWriter json, AnswerHead head, ChoiceText choice)
    {
        json.WriteStartObject();
        WriteHead(json, head, Chunk);
        json.WriteStartArray("choices"u8);
        json.WriteStartObject();
        json.WriteNumber("index"u8, choice.Index);
    }

    private static void EndChoice(Utf8JsonWriter json, bool usageFollows)
    {
        json.WriteEndObject();
        json.WriteEndArray();
        if (usageFollows) json.WriteNull("usage"u8);
        json.WriteEndObject();
    }

    private static void WriteLogprobs(Utf8JsonWriter json, ServedModel? model, IReadOnlyList<GeneratedToken> tokens, IReadOnlyList<string> told)
    {
        if (model is null)
        {
            json.WriteNull("logprobs"u8);
            return;
        }
        json.WriteStartObject("logprobs"u8);
        LogprobsJson.WriteContent(json, model, tokens, told);
        json.WriteNull("refusal"u8);
        json.WriteEndObject();
    }
}
