using System.Text.Json;
using Qanat.Books;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Tells an answer as Ollama does, a JSON document a line. A tool call is told whole, when its arguments are.</summary>
/// <param name="asChat">/api/chat tells messages, /api/generate texts.</param>
internal sealed class OllamaTeller(string model, bool asChat) : AnswerTeller
{
    private int callsTold;

    public override string IdPrefix => "";
    public override StreamFraming Framing => StreamFraming.Lines;
    public override ErrorWords Errors => ErrorWords.Ollama;

    public override void Begin(EventStream stream, ToldAnswer answer)
    {
        // The first piece is the first line.
    }

    public override void Tell(EventStream stream, ToldAnswer answer, ToldChoice choice, AnswerPiece piece)
    {
        switch (piece)
        {
            case TextPiece told: WriteLine(stream, answer, told.Text, "", []); break;
            case ReasoningPiece told: WriteLine(stream, answer, "", told.Text, []); break;
            case ToolCallStart begun: TellCalls(stream, answer, choice, begun.Index); break;
        }
    }

    public override void Finish(EventStream stream, ToldAnswer answer, ToldChoice choice) => TellCalls(stream, answer, choice, choice.ToolCalls.Count);

    public override void Settle(EventStream stream, ToldAnswer answer)
    {
        Utf8JsonWriter json = stream.Begin();
        json.WriteStartObject();
        WriteHead(json, answer);
        WriteSaid(json, "", "", []);
        WriteEnd(json, answer);
        json.WriteEndObject();
        stream.End();
    }

    public override void Break(EventStream stream, ToldAnswer answer, ApiException error)
    {
        Utf8JsonWriter json = stream.Begin();
        json.WriteStartObject();
        OllamaErrors.WriteFields(json, error);
        if (answer.Bill.IsWholeAfter(error)) WriteUsed(json, answer.Bill);
        json.WriteEndObject();
        stream.End();
    }

    public override void WriteWhole(Utf8JsonWriter json, ToldAnswer answer)
    {
        ToldChoice choice = answer.Choices[0];
        json.WriteStartObject();
        WriteHead(json, answer);
        WriteSaid(json, choice.Text, choice.Reasoning, choice.ToolCalls);
        WriteEnd(json, answer);
        json.WriteEndObject();
    }

    /// <summary>Tells the calls up to this one that are not told yet.</summary>
    private void TellCalls(EventStream stream, ToldAnswer answer, ToldChoice choice, int upTo)
    {
        if (callsTold >= upTo) return;
        WriteLine(stream, answer, "", "", [.. choice.ToolCalls.Take(upTo).Skip(callsTold)]);
        callsTold = upTo;
    }

    private void WriteLine(EventStream stream, ToldAnswer answer, string text, string reasoning, IReadOnlyList<ToldPart> calls)
    {
        Utf8JsonWriter json = stream.Begin();
        json.WriteStartObject();
        WriteHead(json, answer);
        WriteSaid(json, text, reasoning, calls);
        json.WriteBoolean("done", false);
        json.WriteEndObject();
        stream.End();
    }

    private void WriteHead(Utf8JsonWriter json, ToldAnswer answer)
    {
        json.WriteString("model", model);
        json.WriteString("created_at", DateTimeOffset.FromUnixTimeSeconds(answer.Head.CreatedUnixSeconds));
    }

    private void WriteSaid(Utf8JsonWriter json, string text, string reasoning, IReadOnlyList<ToldPart> calls)
    {
        if (!asChat)
        {
            json.WriteString("response", text);
            if (reasoning.Length > 0) json.WriteString("thinking", reasoning);
            return;
        }
        json.WriteStartObject("message");
        json.WriteString("role", "assistant");
        json.WriteString("content", text);
        if (reasoning.Length > 0) json.WriteString("thinking", reasoning);
        if (calls.Count > 0)
        {
            json.WriteStartArray("tool_calls");
            foreach (ToldPart call in calls)
            {
                json.WriteStartObject();
                json.WriteString("id", call.Id);
                json.WriteStartObject("function");
                json.WriteString("name", call.Name);
                json.WritePropertyName("arguments");
                ToolArguments.Write(json, call.Arguments);
                json.WriteEndObject();
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        json.WriteEndObject();
    }

    private static void WriteEnd(Utf8JsonWriter json, ToldAnswer answer)
    {
        json.WriteBoolean("done", true);
        // "stop" after tool calls too: clients look at the calls.
        json.WriteString("done_reason", answer.Choices[0].End is AnswerEnd.Length or AnswerEnd.Budget or AnswerEnd.Loop ? "length" : "stop");
        WriteUsed(json, answer.Bill);
    }

    private static void WriteUsed(Utf8JsonWriter json, Bill bill)
    {
        UsageRecord record = bill.Records[0];
        json.WriteNumber("total_duration", Math.Max(0, record.CompletedAt.UnixNanoseconds - record.PlacedAt.UnixNanoseconds));
        json.WriteNumber("load_duration", 0);
        json.WriteNumber("prompt_eval_count", record.Tokens.Input);
        json.WriteNumber("prompt_eval_duration", record.Device.PrefillNanoseconds);
        json.WriteNumber("eval_count", record.Tokens.Output);
        json.WriteNumber("eval_duration", record.Device.DecodeNanoseconds);
        BillJson.WriteQanat(json, bill);
    }
}
