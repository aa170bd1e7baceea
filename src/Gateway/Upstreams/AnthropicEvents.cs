using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Books;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Reads events and whole answers of Anthropic's API.</summary>
internal sealed class AnthropicEvents : IAnswerEvents
{
    private readonly Dictionary<int, int> toolOf = [];
    private readonly SortedDictionary<int, UnspokenBlock> unspoken = [];
    private long input, cacheRead, cacheWrite;
    private bool finished, done;

    public void Take(ReadOnlySpan<byte> data, List<UpstreamEvent> events) => Read(data, root =>
    {
        switch (OpenAiEvents.TextOf(root, "type"))
        {
            case "message_start" when root.TryGetProperty("message", out JsonElement message) && message.TryGetProperty("usage", out JsonElement usage):
                ReadInput(usage);
                break;
            case "content_block_start" when root.TryGetProperty("content_block", out JsonElement block):
                Begin(IndexOf(root), block, events, whole: false);
                break;
            case "content_block_delta" when root.TryGetProperty("delta", out JsonElement delta):
                Add(IndexOf(root), delta, events);
                break;
            case "content_block_stop":
                TellUnspoken(events, IndexOf(root));
                break;
            case "message_delta":
                TellUnspoken(events, int.MaxValue);
                if (root.TryGetProperty("usage", out JsonElement total))
                {
                    // Some know what they read only at the end.
                    if (OpenAiEvents.Count(total, "input_tokens") > 0) ReadInput(total);
                    events.Add(Usage(total));
                }
                if (root.TryGetProperty("delta", out JsonElement end)) Finish(end, events);
                break;
            case "message_stop":
                Complete(events);
                break;
            case "error":
                throw new UpstreamException(UpstreamFailure.Cut, $"It told an error midway{ErrorNames.Of(root)}.");
            default:
                break;
        }
    });

    public void TakeWhole(ReadOnlySpan<byte> body, List<UpstreamEvent> events) => Read(body, root =>
    {
        if (root.TryGetProperty("content", out JsonElement content) && content.ValueKind == JsonValueKind.Array)
        {
            int index = 0;
            foreach (JsonElement block in content.EnumerateArray()) Begin(index++, block, events, whole: true);
            TellUnspoken(events, int.MaxValue);
        }
        if (root.TryGetProperty("usage", out JsonElement usage))
        {
            ReadInput(usage);
            events.Add(Usage(usage));
        }
        Finish(root, events);
        Complete(events);
    });

    public void End(List<UpstreamEvent> events)
    {
        if (!done) Complete(events);
    }

    private void Begin(int index, JsonElement block, List<UpstreamEvent> events, bool whole)
    {
        // Some do not say where a block ends.
        TellUnspoken(events, index - 1);
        switch (OpenAiEvents.TextOf(block, "type"))
        {
            case "text" when OpenAiEvents.TextOf(block, "text") is { Length: > 0 } text:
                Tell(events, new TextPiece(text));
                break;
            case "thinking":
                unspoken[index] = UnspokenBlock.OfThought();
                unspoken[index].Seal.Append(OpenAiEvents.TextOf(block, "signature"));
                TellThought(index, OpenAiEvents.TextOf(block, "thinking"), events);
                break;
            case "tool_use":
                toolOf[index] = toolOf.Count;
                Tell(events, new ToolCallStart(toolOf[index], OpenAiEvents.TextOf(block, "id") ?? "", OpenAiEvents.TextOf(block, "name") ?? ""));
                if (whole && block.TryGetProperty("input", out JsonElement arguments)) Tell(events, new ToolCallArguments(toolOf[index], arguments.GetRawText()));
                break;
            case null or "text":
                break;
            default:
                unspoken[index] = new UnspokenBlock(block.GetRawText());
                break;
        }
    }

    private void TellThought(int index, string? thought, List<UpstreamEvent> events)
    {
        if (string.IsNullOrEmpty(thought)) return;
        if (unspoken.TryGetValue(index, out UnspokenBlock? block)) block.IsTold = true;
        Tell(events, new ReasoningPiece(thought));
    }

    /// <summary>Tells what is complete of the blocks up to this one.</summary>
    private void TellUnspoken(List<UpstreamEvent> events, int last)
    {
        while (unspoken.Count > 0 && unspoken.First() is var (index, block) && index <= last)
        {
            unspoken.Remove(index);
            if (block.ToPiece() is { } piece) Tell(events, piece);
        }
    }

    private void Add(int index, JsonElement delta, List<UpstreamEvent> events)
    {
        switch (OpenAiEvents.TextOf(delta, "type"))
        {
            case "text_delta": Tell(events, new TextPiece(OpenAiEvents.TextOf(delta, "text") ?? "")); break;
            case "thinking_delta": TellThought(index, OpenAiEvents.TextOf(delta, "thinking"), events); break;
            case "signature_delta" when unspoken.TryGetValue(index, out UnspokenBlock? thought): thought.Seal.Append(OpenAiEvents.TextOf(delta, "signature")); break;
            case "input_json_delta" when unspoken.TryGetValue(index, out UnspokenBlock? block): block.Input.Append(OpenAiEvents.TextOf(delta, "partial_json")); break;
            case "input_json_delta" when toolOf.TryGetValue(index, out int tool): Tell(events, new ToolCallArguments(tool, OpenAiEvents.TextOf(delta, "partial_json") ?? "")); break;
            default: break;
        }
    }

    private void Finish(JsonElement end, List<UpstreamEvent> events)
    {
        if (finished || OpenAiEvents.TextOf(end, "stop_reason") is not { } reason) return;
        finished = true;
        events.Add(new UpstreamFinish(0, reason switch
        {
            "max_tokens" or "model_context_window_exceeded" => AnswerEnd.Length,
            "tool_use" => AnswerEnd.ToolCalls,
            "refusal" => AnswerEnd.ContentFilter,
            _ => AnswerEnd.Stop,
        }, OpenAiEvents.TextOf(end, "stop_sequence")));
    }

    private void Complete(List<UpstreamEvent> events)
    {
        if (!finished) throw new UpstreamException(UpstreamFailure.Cut, "The answer ended without a stop_reason.");
        done = true;
        events.Add(new UpstreamDone());
    }

    /// <summary>Its input count is without what was read from or written to the cache; ours is the whole prompt.</summary>
    private void ReadInput(JsonElement usage)
    {
        cacheRead = OpenAiEvents.Count(usage, "cache_read_input_tokens");
        cacheWrite = OpenAiEvents.Count(usage, "cache_creation_input_tokens");
        input = OpenAiEvents.Count(usage, "input_tokens") + cacheRead + cacheWrite;
    }

    private UpstreamUsage Usage(JsonElement usage) => new(new TokenCounts(input, cacheRead, cacheWrite, OpenAiEvents.Count(usage, "output_tokens"), 0));

    private static void Tell(List<UpstreamEvent> events, AnswerPiece piece) => events.Add(new UpstreamPieces(0, [piece], 0));

    private static int IndexOf(JsonElement root) => root.TryGetProperty("index", out JsonElement index) ? index.GetInt32() : 0;

    private static void Read(ReadOnlySpan<byte> data, Action<JsonElement> take)
    {
        try
        {
            Utf8JsonReader reader = new(data);
            using JsonDocument document = JsonDocument.ParseValue(ref reader);
            take(document.RootElement);
        }
        catch (Exception wrong) when (wrong is JsonException or InvalidOperationException or FormatException)
        {
            throw new UpstreamException(UpstreamFailure.Cut, "What it sent is not an answer of Anthropic's API: " + wrong.Message, inner: wrong);
        }
    }

    /// <summary>A block of which something is told at its end only: the seal of a thought, or all of a kind that nobody here knows.</summary>
    /// <param name="json">As it began; null: it is a thought.</param>
    private sealed class UnspokenBlock(string? json)
    {
        public static UnspokenBlock OfThought() => new(null);

        public StringBuilder Seal { get; } = new();
        public StringBuilder Input { get; } = new();

        /// <summary>Its words were told.</summary>
        public bool IsTold { get; set; }

        /// <summary>Null: there is nothing more to tell.</summary>
        public UnspokenPiece? ToPiece()
        {
            if (json is null)
            {
                if (Seal.Length == 0) return null;
                if (IsTold) return new ThoughtSignature(Seal.ToString());
                // The words were kept back; the seal holds them.
                return new ForeignBlock(new JsonObject { ["type"] = "thinking", ["thinking"] = "", ["signature"] = Seal.ToString() }.ToJsonString());
            }
            if (Input.Length == 0) return new ForeignBlock(json);
            JsonObject whole = JsonNode.Parse(json)!.AsObject();
            whole["input"] = JsonNode.Parse(Input.ToString());
            return new ForeignBlock(whole.ToJsonString());
        }
    }
}
