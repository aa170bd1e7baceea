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
        json.WriteStartObject("delta");
        json.WriteString("role", "assistant");
        json.WriteString("content", "");
        json.WriteEndObject();
        json.WriteNull("logprobs");
        json.WriteNull("finish_reason");
        EndChoice(json, usageFollows);
    }

    public override void WriteDelta(Utf8JsonWriter json, AnswerHead head, ChoiceText choice, ChunkPart part)
    {
        BeginChoice(json, head, choice);
        json.WriteStartObject("delta");
        // Nearly all of a stream is this.
        if (part.Pieces is [TextPiece only]) json.WriteString("content", only.Text);
        else WriteSaid(json, part);
        json.WriteEndObject();
        WriteLogprobs(json, part.Model, part.Tokens, part.ToldLogprobs);
        json.WriteNull("finish_reason");
        EndChoice(json, part.UsageFollows);
    }

    private static void WriteSaid(Utf8JsonWriter json, ChunkPart part)
    {
        string reasoning = string.Concat(part.Pieces.OfType<ReasoningPiece>().Select(piece => piece.Text));
        string content = string.Concat(part.Pieces.OfType<TextPiece>().Select(piece => piece.Text));
        bool callsTools = part.Pieces.Any(piece => piece is ToolCallStart or ToolCallArguments);
        if (reasoning.Length > 0) json.WriteString("reasoning_content", reasoning);
        if (content.Length > 0 || (reasoning.Length == 0 && !callsTools)) json.WriteString("content", content);
        if (callsTools) ToolCallsJson.WriteDelta(json, part.Pieces);
    }

    public override void WriteFinish(Utf8JsonWriter json, AnswerHead head, ChoiceText choice, Bill? bill, bool usageFollows)
    {
        BeginChoice(json, head, choice);
        json.WriteStartObject("delta");
        json.WriteEndObject();
        json.WriteNull("logprobs");
        json.WriteString("finish_reason", Word(choice.Finish));
        json.WriteEndObject();
        json.WriteEndArray();
        if (bill is not null) BillJson.WriteUsage(json, bill);
        else if (usageFollows) json.WriteNull("usage");
        json.WriteEndObject();
    }

    public override void WriteUsage(Utf8JsonWriter json, AnswerHead head, Bill bill)
    {
        json.WriteStartObject();
        WriteHead(json, head, Chunk);
        json.WriteStartArray("choices");
        json.WriteEndArray();
        BillJson.WriteUsage(json, bill);
        json.WriteEndObject();
    }

    public override void WriteWhole(Utf8JsonWriter json, AnswerHead head, GenerationRequest request, IReadOnlyList<ChoiceText> choices, Bill bill)
    {
        json.WriteStartObject();
        WriteHead(json, head, "chat.completion");
        json.WriteStartArray("choices");
        foreach (ChoiceText choice in choices)
        {
            json.WriteStartObject();
            json.WriteNumber("index", choice.Index);
            json.WriteStartObject("message");
            json.WriteString("role", "assistant");
            // OpenAI's answers that only call tools have no content at all, and clients tell them by that.
            if (choice.ToolCalls.Count > 0 && choice.Content.Length == 0) json.WriteNull("content");
            else json.WriteString("content", choice.Content);
            if (choice.ToolCalls.Count > 0) ToolCallsJson.Write(json, choice.ToolCalls);
            if (choice.Reasoning.Length > 0) json.WriteString("reasoning_content", choice.Reasoning);
            json.WriteNull("refusal");
            json.WriteEndObject();
            WriteLogprobs(json, request.WithLogprobs ? request.Model : null, choice.Tokens, choice.ToldLogprobs);
            json.WriteString("finish_reason", Word(choice.Finish));
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
        json.WriteStartArray("choices");
        json.WriteStartObject();
        json.WriteNumber("index", choice.Index);
    }

    private static void EndChoice(Utf8JsonWriter json, bool usageFollows)
    {
        json.WriteEndObject();
        json.WriteEndArray();
        if (usageFollows) json.WriteNull("usage");
        json.WriteEndObject();
    }

    private static void WriteLogprobs(Utf8JsonWriter json, ServedModel? model, IReadOnlyList<GeneratedToken> tokens, IReadOnlyList<string> told)
    {
        if (model is null)
        {
            json.WriteNull("logprobs");
            return;
        }
        json.WriteStartObject("logprobs");
        json.WriteStartArray("content");
        foreach (string entry in told) json.WriteRawValue(entry);
        foreach (GeneratedToken token in tokens)
        {
            json.WriteStartObject();
            WriteToken(json, model, token.Token, token.Logprob);
            json.WriteStartArray("top_logprobs");
            foreach (TokenLogprob other in token.Top)
            {
                json.WriteStartObject();
                WriteToken(json, model, other.Token, other.Logprob);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteNull("refusal");
        json.WriteEndObject();
    }

    private static void WriteToken(Utf8JsonWriter json, ServedModel model, int token, float logprob)
    {
        ReadOnlySpan<byte> bytes = TokenText.BytesOf(model, token);
        json.WriteString("token", TokenText.Of(bytes));
        json.WriteNumber("logprob", TokenText.Finite(logprob));
        json.WriteStartArray("bytes");
        foreach (byte value in bytes)
            json.WriteNumberValue(value);
        json.WriteEndArray();
    }
}
