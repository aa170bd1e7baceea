using System.Text.Json;
using Qanat.Books;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Tells an answer as an Anthropic message: blocks of thinking, text and tool use, one after the other.</summary>
internal sealed class MessageTeller : AnswerTeller
{
    /// <summary>Clients send thoughts back only with a signature. This one says that nobody signed them: on the way in none is asked for, and no engine that asks is shown them.</summary>
    public const string Unsigned = "unsigned";

    private int block = -1;
    private BlockKind open;

    private enum BlockKind { None, Thinking, Text, Tool }

    public override string IdPrefix => "msg_";
    public override StreamFraming Framing => StreamFraming.EventsWithPing;
    public override ErrorWords Errors => ErrorWords.Anthropic;
    public override bool TellsUnspoken => true;

    public override void Begin(EventStream stream, ToldAnswer answer)
    {
        Utf8JsonWriter json = stream.Begin("event: message_start\n"u8);
        json.WriteStartObject();
        json.WriteString("type", "message_start");
        json.WriteStartObject("message");
        WriteHead(json, answer);
        json.WriteStartArray("content");
        json.WriteEndArray();
        json.WriteNull("stop_reason");
        json.WriteNull("stop_sequence");
        json.WriteStartObject("usage");
        WriteTokens(json, new TokenCounts(answer.PromptTokens, 0, 0, 0, 0));
        json.WriteEndObject();
        json.WriteEndObject();
        json.WriteEndObject();
        stream.End();
    }

    public override void Tell(EventStream stream, ToldAnswer answer, ToldChoice choice, AnswerPiece piece)
    {
        switch (piece)
        {
            case ReasoningPiece told:
                OpenBlock(stream, BlockKind.Thinking, null);
                WriteDelta(stream, "thinking_delta", "thinking", told.Text);
                break;
            case TextPiece told:
                OpenBlock(stream, BlockKind.Text, null);
                WriteDelta(stream, "text_delta", "text", told.Text);
                break;
            case ToolCallStart begun:
                CloseBlock(stream);
                OpenBlock(stream, BlockKind.Tool, begun);
                break;
            case ToolCallArguments told:
                WriteDelta(stream, "input_json_delta", "partial_json", told.Fragment);
                break;
            case ThoughtSignature told when open == BlockKind.Thinking:
                CloseBlock(stream, told.Text);
                break;
            case ForeignBlock told:
                CloseBlock(stream);
                WriteForeign(stream, told.Json);
                break;
        }
    }

    public override void Finish(EventStream stream, ToldAnswer answer, ToldChoice choice) => CloseBlock(stream);

    public override void Settle(EventStream stream, ToldAnswer answer)
    {
        Utf8JsonWriter json = stream.Begin("event: message_delta\n"u8);
        json.WriteStartObject();
        json.WriteString("type", "message_delta");
        json.WriteStartObject("delta");
        WriteStop(json, answer.Choices[0]);
        json.WriteEndObject();
        WriteUsage(json, answer.Bill);
        json.WriteEndObject();
        stream.End();
        json = stream.Begin("event: message_stop\n"u8);
        json.WriteStartObject();
        json.WriteString("type", "message_stop");
        json.WriteEndObject();
        stream.End();
    }

    public override void Break(EventStream stream, ToldAnswer answer, ApiException error)
    {
        Utf8JsonWriter json = stream.Begin("event: error\n"u8);
        json.WriteStartObject();
        AnthropicErrors.WriteFields(json, error);
        if (answer.Bill.IsWholeAfter(error)) WriteUsage(json, answer.Bill);
        json.WriteEndObject();
        stream.End();
    }

    public override void WriteWhole(Utf8JsonWriter json, ToldAnswer answer)
    {
        ToldChoice choice = answer.Choices[0];
        json.WriteStartObject();
        WriteHead(json, answer);
        json.WriteStartArray("content");
        foreach (ToldPart part in choice.Blocks)
        {
            switch (part.Kind)
            {
                case PartKind.Reasoning: WriteBlock(json, "thinking", "thinking", part.Text, part.Signature ?? Unsigned); break;
                case PartKind.Text: WriteBlock(json, "text", "text", part.Text, null); break;
                case PartKind.Foreign: json.WriteRawValue(part.Text); break;
                default: WriteToolUse(json, part); break;
            }
        }
        json.WriteEndArray();
        WriteStop(json, choice);
        WriteUsage(json, answer.Bill);
        json.WriteEndObject();
    }

    private void OpenBlock(EventStream stream, BlockKind kind, ToolCallStart? tool)
    {
        if (open == kind && tool is null) return;
        CloseBlock(stream);
        open = kind;
        block++;
        Utf8JsonWriter json = stream.Begin("event: content_block_start\n"u8);
        json.WriteStartObject();
        json.WriteString("type", "content_block_start");
        json.WriteNumber("index", block);
        json.WritePropertyName("content_block");
        if (tool is null)
        {
            if (kind == BlockKind.Thinking) WriteBlock(json, "thinking", "thinking", "", "");
            else WriteBlock(json, "text", "text", "", null);
        }
        else
        {
            json.WriteStartObject();
            json.WriteString("type", "tool_use");
            json.WriteString("id", tool.Id);
            json.WriteString("name", tool.Name);
            json.WriteStartObject("input");
            json.WriteEndObject();
            json.WriteEndObject();
        }
        json.WriteEndObject();
        stream.End();
    }

    /// <summary>A block that comes whole: its start holds all of it.</summary>
    private void WriteForeign(EventStream stream, string block)
    {
        Utf8JsonWriter json = stream.Begin("event: content_block_start\n"u8);
        json.WriteStartObject();
        json.WriteString("type", "content_block_start");
        json.WriteNumber("index", ++this.block);
        json.WritePropertyName("content_block");
        json.WriteRawValue(block);
        json.WriteEndObject();
        stream.End();
        WriteBlockStop(stream);
    }

    /// <param name="signature">Of a thought.</param>
    private void CloseBlock(EventStream stream, string signature = Unsigned)
    {
        if (open == BlockKind.None) return;
        if (open == BlockKind.Thinking) WriteDelta(stream, "signature_delta", "signature", signature);
        open = BlockKind.None;
        WriteBlockStop(stream);
    }

    private void WriteBlockStop(EventStream stream)
    {
        Utf8JsonWriter json = stream.Begin("event: content_block_stop\n"u8);
        json.WriteStartObject();
        json.WriteString("type", "content_block_stop");
        json.WriteNumber("index", block);
        json.WriteEndObject();
        stream.End();
    }

    private void WriteDelta(EventStream stream, string type, string field, string text)
    {
        Utf8JsonWriter json = stream.Begin("event: content_block_delta\n"u8);
        json.WriteStartObject();
        json.WriteString("type", "content_block_delta");
        json.WriteNumber("index", block);
        json.WriteStartObject("delta");
        json.WriteString("type", type);
        json.WriteString(field, text);
        json.WriteEndObject();
        json.WriteEndObject();
        stream.End();
    }

    private static void WriteBlock(Utf8JsonWriter json, string type, string field, string text, string? signature)
    {
        json.WriteStartObject();
        json.WriteString("type", type);
        json.WriteString(field, text);
        if (signature is not null) json.WriteString("signature", signature);
        json.WriteEndObject();
    }

    private static void WriteToolUse(Utf8JsonWriter json, ToldPart call)
    {
        json.WriteStartObject();
        json.WriteString("type", "tool_use");
        json.WriteString("id", call.Id);
        json.WriteString("name", call.Name);
        json.WritePropertyName("input");
        ToolArguments.Write(json, call.Arguments);
        json.WriteEndObject();
    }

    private static void WriteHead(Utf8JsonWriter json, ToldAnswer answer)
    {
        json.WriteString("id", answer.Head.Id);
        json.WriteString("type", "message");
        json.WriteString("role", "assistant");
        json.WriteString("model", answer.Head.Model);
    }

    /// <summary>An answer that a budget ended, or that repeated itself, was cut as one is that reached its limit.</summary>
    private static void WriteStop(Utf8JsonWriter json, ToldChoice choice)
    {
        json.WriteString("stop_reason", choice.End switch
        {
            AnswerEnd.Stop => choice.StoppedBy is null ? "end_turn" : "stop_sequence",
            AnswerEnd.ToolCalls => "tool_use",
            AnswerEnd.ContentFilter => "refusal",
            _ => "max_tokens",
        });
        json.WriteString("stop_sequence", choice.End == AnswerEnd.Stop ? choice.StoppedBy : null);
    }

    private static void WriteUsage(Utf8JsonWriter json, Bill bill)
    {
        json.WriteStartObject("usage");
        WriteTokens(json, bill.Tokens);
        BillJson.WriteQanat(json, bill);
        json.WriteEndObject();
    }

    /// <summary>Here input_tokens are those that no cache had: the three input counts sum to the prompt.</summary>
    private static void WriteTokens(Utf8JsonWriter json, TokenCounts tokens)
    {
        json.WriteNumber("input_tokens", tokens.Input - tokens.CacheRead - tokens.CacheWrite);
        json.WriteNumber("cache_creation_input_tokens", tokens.CacheWrite);
        json.WriteStartObject("cache_creation");
        json.WriteNumber("ephemeral_5m_input_tokens", tokens.CacheWrite);
        json.WriteNumber("ephemeral_1h_input_tokens", 0);
        json.WriteEndObject();
        json.WriteNumber("cache_read_input_tokens", tokens.CacheRead);
        json.WriteNumber("output_tokens", tokens.Output);
    }
}
