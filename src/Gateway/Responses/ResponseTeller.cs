using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Books;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Tells an answer as a response: items of thoughts, text and calls, each with its own events.</summary>
internal sealed class ResponseTeller(ResponseAsk ask) : AnswerTeller
{
    private readonly ResponseJson words = new(ask);
    private int sequence;
    private int open = -1;

    public override string IdPrefix => ItemIds.ResponsePrefix;
    public override StreamFraming Framing => StreamFraming.Events;
    public override ErrorWords Errors => ErrorWords.OpenAi;

    public override void Begin(EventStream stream, ToldAnswer answer)
    {
        TellResponse(stream, answer, "response.created", ResponseStatus.InProgress, null);
        TellResponse(stream, answer, "response.in_progress", ResponseStatus.InProgress, null);
    }

    public override void Tell(EventStream stream, ToldAnswer answer, ToldChoice choice, AnswerPiece piece)
    {
        // Calls may be told side by side; every other piece belongs to the last part.
        int index = piece is ToolCallArguments arguments ? IndexOf(choice, arguments.Index) : choice.Parts.Count - 1;
        if (index > open)
        {
            CloseItem(stream, answer, choice);
            open = index;
            OpenItem(stream, answer, choice);
        }
        ToldPart part = choice.Parts[index];
        switch (piece)
        {
            case TextPiece told: TellDelta(stream, answer, "response.output_text.delta", index, told.Text, part); break;
            case ReasoningPiece told: TellDelta(stream, answer, ask.SummarizesReasoning ? "response.reasoning_summary_text.delta" : "response.reasoning_text.delta", index, told.Text, part); break;
            case ToolCallArguments told: TellDelta(stream, answer, "response.function_call_arguments.delta", index, told.Fragment, part); break;
        }
    }

    public override void Finish(EventStream stream, ToldAnswer answer, ToldChoice choice) => CloseItem(stream, answer, choice);

    public override void Settle(EventStream stream, ToldAnswer answer)
    {
        bool complete = answer.Choices[0].End is AnswerEnd.Stop or AnswerEnd.ToolCalls;
        TellResponse(stream, answer, complete ? "response.completed" : "response.incomplete", complete ? ResponseStatus.Completed : ResponseStatus.Incomplete, null);
        stream.WriteDone();
    }

    public override void Break(EventStream stream, ToldAnswer answer, ApiException error)
    {
        TellResponse(stream, answer, "response.failed", ResponseStatus.Failed, error);
        Utf8JsonWriter json = Begin(stream, "error");
        json.WriteString("code", error.Code);
        json.WriteString("message", error.Message);
        json.WriteString("param", error.Param);
        End(stream, json);
    }

    public override void WriteWhole(Utf8JsonWriter json, ToldAnswer answer)
    {
        bool complete = answer.Choices[0].End is AnswerEnd.Stop or AnswerEnd.ToolCalls;
        words.WriteResponse(json, answer, complete ? ResponseStatus.Completed : ResponseStatus.Incomplete, null);
    }

    /// <summary>The response as it is kept.</summary>
    public JsonObject ToNode(ToldAnswer answer)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes)) WriteWhole(json, answer);
        return JsonNode.Parse(bytes.ToArray())!.AsObject();
    }

    private void OpenItem(EventStream stream, ToldAnswer answer, ToldChoice choice)
    {
        ToldPart part = choice.Parts[open];
        Utf8JsonWriter json = Begin(stream, "response.output_item.added");
        json.WriteNumber("output_index", open);
        json.WritePropertyName("item");
        words.WriteItem(json, answer.Head.Id, open, part, ItemStatus.InProgress);
        End(stream, json);
        if (part.Kind == PartKind.ToolCall) return;
        TellPart(stream, answer, part, "added", "");
    }

    private void CloseItem(EventStream stream, ToldAnswer answer, ToldChoice choice)
    {
        if (open < 0 || open >= choice.Parts.Count) return;
        ToldPart part = choice.Parts[open];
        string kind = part.Kind switch
        {
            PartKind.ToolCall => "response.function_call_arguments.done",
            PartKind.Text => "response.output_text.done",
            _ => ask.SummarizesReasoning ? "response.reasoning_summary_text.done" : "response.reasoning_text.done",
        };
        Utf8JsonWriter json = Begin(stream, kind);
        WritePlace(json, answer, part, open);
        if (part.Kind == PartKind.ToolCall)
        {
            json.WriteString("name", part.Name);
            json.WriteString("arguments", part.Arguments);
        }
        else
        {
            json.WriteString("text", part.Text);
            if (part.Kind == PartKind.Text) WriteNoLogprobs(json);
        }
        End(stream, json);
        if (part.Kind != PartKind.ToolCall) TellPart(stream, answer, part, "done", part.Text);
        json = Begin(stream, "response.output_item.done");
        json.WriteNumber("output_index", open);
        json.WritePropertyName("item");
        words.WriteItem(json, answer.Head.Id, open, part, ItemStatus.Completed);
        End(stream, json);
        open = Math.Max(open, choice.Parts.Count - 1);
    }

    private void TellPart(EventStream stream, ToldAnswer answer, ToldPart part, string what, string text)
    {
        bool summary = part.Kind == PartKind.Reasoning && ask.SummarizesReasoning;
        Utf8JsonWriter json = Begin(stream, (summary ? "response.reasoning_summary_part." : "response.content_part.") + what);
        WritePlace(json, answer, part, open);
        json.WritePropertyName("part");
        words.WritePart(json, part.Kind, text);
        End(stream, json);
    }

    private void TellDelta(EventStream stream, ToldAnswer answer, string kind, int index, string delta, ToldPart part)
    {
        if (delta.Length == 0) return;
        Utf8JsonWriter json = Begin(stream, kind);
        WritePlace(json, answer, part, index);
        json.WriteString("delta", delta);
        if (part.Kind == PartKind.Text) WriteNoLogprobs(json);
        End(stream, json);
    }

    private void WritePlace(Utf8JsonWriter json, ToldAnswer answer, ToldPart part, int index)
    {
        json.WriteString("item_id", ItemIds.Of(ResponseJson.KindOf(part.Kind), answer.Head.Id, index));
        json.WriteNumber("output_index", index);
        if (part.Kind == PartKind.ToolCall) return;
        json.WriteNumber(part.Kind == PartKind.Reasoning && ask.SummarizesReasoning ? "summary_index" : "content_index", 0);
    }

    private void TellResponse(EventStream stream, ToldAnswer answer, string kind, ResponseStatus status, ApiException? error)
    {
        Utf8JsonWriter json = Begin(stream, kind);
        json.WritePropertyName("response");
        words.WriteResponse(json, answer, status, error);
        End(stream, json);
    }

    private Utf8JsonWriter Begin(EventStream stream, string kind)
    {
        Utf8JsonWriter json = stream.Begin(Encoding.ASCII.GetBytes($"event: {kind}\n"));
        json.WriteStartObject();
        json.WriteString("type", kind);
        json.WriteNumber("sequence_number", sequence++);
        return json;
    }

    private static void End(EventStream stream, Utf8JsonWriter json)
    {
        json.WriteEndObject();
        stream.End();
    }

    private static void WriteNoLogprobs(Utf8JsonWriter json)
    {
        json.WriteStartArray("logprobs");
        json.WriteEndArray();
    }

    private static int IndexOf(ToldChoice choice, int call)
    {
        ToldPart part = choice.ToolCalls[call];
        for (int index = choice.Parts.Count - 1; index >= 0; index--)
        {
            if (ReferenceEquals(choice.Parts[index], part)) return index;
        }
        throw new InvalidOperationException("Arguments of a call that has not begun.");
    }
}
