using System.Globalization;
using System.Text;
using System.Text.Json;
using Qanat.Books;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>How a native answer is told.</summary>
/// <param name="AsMessage">"result_format": "message" gives choices with messages, "text" one text.</param>
/// <param name="Incremental">Whether a stream's events carry what is new, or all so far.</param>
internal sealed record NativeFormat(bool AsMessage, bool Incremental);

/// <summary>Tells an answer as DashScope's native API does: every event has the usage so far, and a finish_reason that is the text "null" until the end.</summary>
internal sealed class NativeTeller(NativeFormat format) : AnswerTeller
{
    private const string Unfinished = "null";
    private ToldChoice? unfinished;
    private int events;

    public override string IdPrefix => "";
    public override StreamFraming Framing => StreamFraming.Events;
    public override ErrorWords Errors => ErrorWords.DashScope;

    public override void Begin(EventStream stream, ToldAnswer answer)
    {
        // The first piece is the first event.
    }

    public override void Tell(EventStream stream, ToldAnswer answer, ToldChoice choice, AnswerPiece piece)
    {
        // All so far already contains a call's arguments up to here; what is new is the piece alone.
        ToldChoice told = choice;
        if (format.Incremental)
        {
            told = new ToldChoice(choice.Index);
            if (piece is ToolCallArguments arguments) told = OnlyArguments(choice, arguments);
            else told.Add(piece is ToolCallStart start ? start with { Index = 0 } : piece);
        }
        WriteEvent(stream, answer, told, Unfinished, bill: null, piece is ToolCallArguments part ? part.Index : piece is ToolCallStart call ? call.Index : 0);
    }

    public override void Finish(EventStream stream, ToldAnswer answer, ToldChoice choice)
    {
        TellFinish(stream, answer, bill: null);
        unfinished = choice;
    }

    public override void Settle(EventStream stream, ToldAnswer answer) => TellFinish(stream, answer, answer.Bill);

    public override void Break(EventStream stream, ToldAnswer answer, ApiException error)
    {
        Utf8JsonWriter json = stream.Begin(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"id:{++events}\nevent:error\n:HTTP_STATUS/{error.Status}\n")));
        json.WriteStartObject();
        DashScopeErrors.WriteFields(json, error);
        json.WriteString("request_id", answer.Head.Id);
        if (answer.Bill.IsWholeAfter(error)) WriteUsage(json, answer, answer.Bill);
        json.WriteEndObject();
        stream.End();
    }

    public override void WriteWhole(Utf8JsonWriter json, ToldAnswer answer)
    {
        json.WriteStartObject();
        WriteAnswer(json, answer);
        json.WriteEndObject();
    }

    /// <summary>The fields of a whole answer, for a task's result too.</summary>
    public void WriteAnswer(Utf8JsonWriter json, ToldAnswer answer)
    {
        json.WriteString("request_id", answer.Head.Id);
        json.WriteStartObject("output");
        WriteOutput(json, answer);
        json.WriteEndObject();
        WriteUsage(json, answer, answer.Bill);
    }

    public void WriteOutput(Utf8JsonWriter json, ToldAnswer answer)
    {
        if (format.AsMessage)
        {
            json.WriteStartArray("choices");
            foreach (ToldChoice choice in answer.Choices) WriteChoice(json, choice, Word(choice.End), 0);
            json.WriteEndArray();
        }
        else
        {
            WriteText(json, answer.Choices[0], Word(answer.Choices[0].End));
        }
    }

    public static void WriteUsage(Utf8JsonWriter json, ToldAnswer answer, Bill? bill)
    {
        TokenCounts tokens = bill?.Tokens ?? new TokenCounts(answer.PromptTokens, 0, 0, answer.OutputTokens, 0);
        json.WriteStartObject("usage");
        json.WriteNumber("input_tokens", tokens.Input);
        json.WriteNumber("output_tokens", tokens.Output);
        json.WriteNumber("total_tokens", tokens.Input + tokens.Output);
        if (bill is not null)
        {
            json.WriteStartObject("prompt_tokens_details");
            BillJson.WriteCached(json, bill);
            json.WriteEndObject();
            json.WriteStartObject("output_tokens_details");
            json.WriteNumber("reasoning_tokens", tokens.Reasoning);
            json.WriteEndObject();
            BillJson.WriteQanat(json, bill);
        }
        json.WriteEndObject();
    }

    private void TellFinish(EventStream stream, ToldAnswer answer, Bill? bill)
    {
        if (unfinished is null) return;
        WriteEvent(stream, answer, format.Incremental ? new ToldChoice(unfinished.Index) : unfinished, Word(unfinished.End), bill, 0);
        unfinished = null;
    }

    private void WriteEvent(EventStream stream, ToldAnswer answer, ToldChoice told, string finish, Bill? bill, int firstCall)
    {
        Utf8JsonWriter json = stream.Begin(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"id:{++events}\nevent:result\n:HTTP_STATUS/200\n")));
        json.WriteStartObject();
        json.WriteStartObject("output");
        if (format.AsMessage)
        {
            json.WriteStartArray("choices");
            WriteChoice(json, told, finish, format.Incremental ? firstCall : 0);
            json.WriteEndArray();
        }
        else
        {
            WriteText(json, told, finish);
        }
        json.WriteEndObject();
        WriteUsage(json, answer, bill);
        json.WriteString("request_id", answer.Head.Id);
        json.WriteEndObject();
        stream.End();
    }

    private static void WriteText(Utf8JsonWriter json, ToldChoice choice, string finish)
    {
        json.WriteString("text", choice.Text);
        if (choice.Reasoning.Length > 0) json.WriteString("reasoning_content", choice.Reasoning);
        json.WriteString("finish_reason", finish);
    }

    private static void WriteChoice(Utf8JsonWriter json, ToldChoice choice, string finish, int firstCall)
    {
        json.WriteStartObject();
        json.WriteNumber("index", choice.Index);
        json.WriteString("finish_reason", finish);
        json.WriteStartObject("message");
        json.WriteString("role", "assistant");
        json.WriteString("content", choice.Text);
        if (choice.Reasoning.Length > 0) json.WriteString("reasoning_content", choice.Reasoning);
        if (choice.ToolCalls.Count > 0)
        {
            json.WriteStartArray("tool_calls");
            int index = firstCall;
            foreach (ToldPart call in choice.ToolCalls) ToolCallJson.Write(json, index++, call);
            json.WriteEndArray();
        }
        json.WriteEndObject();
        json.WriteEndObject();
    }

    /// <summary>New arguments of a call that was named before: shown without its name and id, as a delta is.</summary>
    private static ToldChoice OnlyArguments(ToldChoice choice, ToolCallArguments arguments)
    {
        ToldChoice told = new(choice.Index);
        told.Add(new ToolCallStart(0, "", ""));
        told.Add(new ToolCallArguments(0, arguments.Fragment));
        return told;
    }

    private static string Word(AnswerEnd end) => end switch
    {
        AnswerEnd.Stop => "stop",
        AnswerEnd.ToolCalls => "tool_calls",
        AnswerEnd.ContentFilter => "content_filter",
        _ => "length",
    };
}
