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

    /// <summary>As many tokens of each choice have told their log probabilities.</summary>
    private readonly Dictionary<int, int> tokensTold = [];

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
        WriteEvent(stream, answer, new ToldEvent(told, choice, Unfinished), bill: null, piece is ToolCallArguments part ? part.Index : piece is ToolCallStart call ? call.Index : 0);
    }

    public override void Finish(EventStream stream, ToldAnswer answer, ToldChoice choice)
    {
        TellFinish(stream, answer, bill: null);
        unfinished = choice;
    }

    public override void Settle(EventStream stream, ToldAnswer answer) => TellFinish(stream, answer, answer.Bill);

    public override void Break(EventStream stream, ToldAnswer answer, ApiException error)
    {
        Utf8JsonWriter json = stream.Begin(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"id:{++events}\nevent:error\n:HTTP_STATUS/{Errors.StatusOf(error)}\n")));
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
            foreach (ToldChoice choice in answer.Choices) WriteChoice(json, answer, new ToldEvent(choice, choice, Word(choice.End)), 0);
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
        WriteEvent(stream, answer, new ToldEvent(format.Incremental ? new ToldChoice(unfinished.Index) : unfinished, unfinished, Word(unfinished.End)), bill, 0);
        unfinished = null;
    }

    private void WriteEvent(EventStream stream, ToldAnswer answer, ToldEvent told, Bill? bill, int firstCall)
    {
        Utf8JsonWriter json = stream.Begin(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"id:{++events}\nevent:result\n:HTTP_STATUS/200\n")));
        json.WriteStartObject();
        json.WriteStartObject("output");
        if (format.AsMessage)
        {
            json.WriteStartArray("choices");
            WriteChoice(json, answer, told, format.Incremental ? firstCall : 0);
            json.WriteEndArray();
        }
        else
        {
            WriteText(json, told.Said, told.Finish);
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

    private void WriteChoice(Utf8JsonWriter json, ToldAnswer answer, ToldEvent told, int firstCall)
    {
        ToldChoice choice = told.Said;
        json.WriteStartObject();
        json.WriteNumber("index", choice.Index);
        json.WriteString("finish_reason", told.Finish);
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
        if (answer.Request.WithLogprobs) WriteLogprobs(json, answer.Request.Model, told.Choice);
        json.WriteEndObject();
    }

    /// <summary>Of all tokens so far, or of those that are new.</summary>
    private void WriteLogprobs(Utf8JsonWriter json, ServedModel model, ToldChoice choice)
    {
        int before = format.Incremental ? tokensTold.GetValueOrDefault(choice.Index) : 0;
        json.WriteStartObject("logprobs");
        LogprobsJson.WriteContent(json, model, choice.Tokens.Skip(before), choice.ToldLogprobs.Skip(before));
        json.WriteEndObject();
        tokensTold[choice.Index] = Math.Max(choice.Tokens.Count, choice.ToldLogprobs.Count);
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

    /// <param name="Said">What the event says: all of the choice so far, or what is new.</param>
    /// <param name="Choice">All of it.</param>
    private readonly record struct ToldEvent(ToldChoice Said, ToldChoice Choice, string Finish);
}
