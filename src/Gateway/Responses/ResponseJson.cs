using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

internal enum ResponseStatus { InProgress, Completed, Incomplete, Failed }

internal enum ItemStatus { InProgress, Completed, Incomplete }

/// <summary>Words a response and its items.</summary>
internal sealed class ResponseJson(ResponseAsk ask)
{
    public static string KindOf(PartKind kind) => kind switch
    {
        PartKind.Reasoning => "rs",
        PartKind.Text => "msg",
        _ => "fc",
    };

    /// <summary>Its output and its usage are there when it has ended.</summary>
    public void WriteResponse(Utf8JsonWriter json, ToldAnswer answer, ResponseStatus status, ApiException? error)
    {
        bool ended = status is ResponseStatus.Completed or ResponseStatus.Incomplete;
        json.WriteStartObject();
        json.WriteString("id", answer.Head.Id);
        json.WriteString("object", "response");
        json.WriteNumber("created_at", answer.Head.CreatedUnixSeconds);
        if (ended) json.WriteNumber("completed_at", answer.Bill.Records[^1].CompletedAt.ToDateTimeOffset().ToUnixTimeSeconds());
        else json.WriteNull("completed_at");
        json.WriteString("status", status switch
        {
            ResponseStatus.InProgress => "in_progress",
            ResponseStatus.Completed => "completed",
            ResponseStatus.Incomplete => "incomplete",
            _ => "failed",
        });
        WriteError(json, error);
        WriteWhyIncomplete(json, status, answer.Choices[0].End);
        json.WriteString("model", answer.Head.Model);
        foreach ((string name, JsonNode? value) in ask.Echo)
        {
            json.WritePropertyName(name);
            if (value is null) json.WriteNullValue();
            else value.WriteTo(json);
        }
        json.WriteStartArray("output");
        if (status != ResponseStatus.InProgress) WriteItems(json, answer, status);
        json.WriteEndArray();
        if (ended || error is not null && answer.Bill.IsWholeAfter(error)) WriteUsage(json, answer.Bill);
        else json.WriteNull("usage");
        json.WriteEndObject();
    }

    public void WriteItem(Utf8JsonWriter json, string responseId, int index, ToldPart part, ItemStatus status)
    {
        bool begun = status == ItemStatus.InProgress;
        json.WriteStartObject();
        json.WriteString("id", ItemIds.Of(KindOf(part.Kind), responseId, index));
        json.WriteString("status", begun ? "in_progress" : status == ItemStatus.Completed ? "completed" : "incomplete");
        switch (part.Kind)
        {
            case PartKind.Reasoning: WriteReasoning(json, begun ? "" : part.Text); break;
            case PartKind.Text: WriteMessage(json, begun ? "" : part.Text); break;
            default: WriteCall(json, part, begun ? "" : part.Arguments); break;
        }
        json.WriteEndObject();
    }

    public void WritePart(Utf8JsonWriter json, PartKind kind, string text)
    {
        json.WriteStartObject();
        json.WriteString("type", kind == PartKind.Text ? "output_text" : ask.SummarizesReasoning ? "summary_text" : "reasoning_text");
        json.WriteString("text", text);
        if (kind == PartKind.Text)
        {
            json.WriteStartArray("annotations");
            json.WriteEndArray();
            json.WriteStartArray("logprobs");
            json.WriteEndArray();
        }
        json.WriteEndObject();
    }

    private void WriteItems(Utf8JsonWriter json, ToldAnswer answer, ResponseStatus status)
    {
        IReadOnlyList<ToldPart> parts = answer.Choices[0].Parts;
        for (int index = 0; index < parts.Count; index++)
        {
            bool cut = status != ResponseStatus.Completed && index == parts.Count - 1;
            WriteItem(json, answer.Head.Id, index, parts[index], cut ? ItemStatus.Incomplete : ItemStatus.Completed);
        }
    }

    private void WriteReasoning(Utf8JsonWriter json, string text)
    {
        json.WriteString("type", "reasoning");
        WriteTexts(json, "summary", PartKind.Reasoning, ask.SummarizesReasoning ? text : "");
        WriteTexts(json, "content", PartKind.Reasoning, ask.SummarizesReasoning ? "" : text);
        if (ask.EncodesReasoning) json.WriteString("encrypted_content", text.Length > 0 ? EncodedReasoning.Of(text) : null);
    }

    private void WriteMessage(Utf8JsonWriter json, string text)
    {
        json.WriteString("type", "message");
        json.WriteString("role", "assistant");
        WriteTexts(json, "content", PartKind.Text, text);
    }

    private void WriteTexts(Utf8JsonWriter json, string name, PartKind kind, string text)
    {
        json.WriteStartArray(name);
        if (text.Length > 0) WritePart(json, kind, text);
        json.WriteEndArray();
    }

    private static void WriteCall(Utf8JsonWriter json, ToldPart part, string arguments)
    {
        json.WriteString("type", "function_call");
        json.WriteString("call_id", part.Id);
        json.WriteString("name", part.Name);
        json.WriteString("arguments", arguments);
    }

    private static void WriteError(Utf8JsonWriter json, ApiException? error)
    {
        if (error is null)
        {
            json.WriteNull("error");
            return;
        }
        json.WriteStartObject("error");
        json.WriteString("code", error.Code);
        json.WriteString("message", error.Message);
        json.WriteEndObject();
    }

    private static void WriteWhyIncomplete(Utf8JsonWriter json, ResponseStatus status, AnswerEnd end)
    {
        if (status != ResponseStatus.Incomplete)
        {
            json.WriteNull("incomplete_details");
            return;
        }
        json.WriteStartObject("incomplete_details");
        json.WriteString("reason", end == AnswerEnd.ContentFilter ? "content_filter" : "max_output_tokens");
        json.WriteEndObject();
    }

    private static void WriteUsage(Utf8JsonWriter json, Bill bill)
    {
        TokenCounts tokens = bill.Tokens;
        json.WriteStartObject("usage");
        json.WriteNumber("input_tokens", tokens.Input);
        json.WriteStartObject("input_tokens_details");
        BillJson.WriteCached(json, bill);
        json.WriteEndObject();
        json.WriteNumber("output_tokens", tokens.Output);
        json.WriteStartObject("output_tokens_details");
        json.WriteNumber("reasoning_tokens", tokens.Reasoning);
        json.WriteEndObject();
        json.WriteNumber("total_tokens", tokens.Input + tokens.Output);
        BillJson.WriteQanat(json, bill);
        json.WriteEndObject();
    }
}
