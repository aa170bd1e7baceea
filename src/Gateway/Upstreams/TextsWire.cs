using System.Collections.Immutable;
using System.Runtime.InteropServices;
using System.Text.Json;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Embeddings as OpenAI's API has them, and rankings as vLLM, SGLang, llama-server and Model Studio do (Jina's and Cohere's form).</summary>
internal static class TextsWire
{
    public const string Embeddings = "embeddings";
    public const string Rerank = "rerank";

    /// <summary>Beside the compatible mode, not below it.</summary>
    public const string ModelStudioRerank = "../../compatible-api/v1/reranks";

    public static void Write(Utf8JsonWriter json, TextsAsked asked, UpstreamModel model)
    {
        json.WriteStartObject();
        json.WriteString("model", model.Theirs);
        if (asked.Query is { } query)
        {
            json.WriteString("query", query);
            WriteTexts(json, "documents", asked);
            if (asked.Instruction is { } instruction) json.WriteString("instruct", instruction);
        }
        else
        {
            WriteTexts(json, "input", asked);
            if (asked.Dimensions is { } dimensions) json.WriteNumber("dimensions", dimensions);
            json.WriteString("encoding_format", "float");
        }
        json.WriteEndObject();
    }

    private static void WriteTexts(Utf8JsonWriter json, string name, TextsAsked asked)
    {
        json.WriteStartArray(name);
        foreach (TextAsked each in asked.Texts)
        {
            if (each.Text is { } text)
            {
                json.WriteStringValue(text);
                continue;
            }
            json.WriteStartArray();
            foreach (int token in each.Tokens) json.WriteNumberValue(token);
            json.WriteEndArray();
        }
        json.WriteEndArray();
    }
}

/// <summary>Reads an answer of vectors or scores: one for every text, whatever their order.</summary>
internal sealed class TextsEvents(TextsAsked asked) : IAnswerEvents
{
    public void Take(ReadOnlySpan<byte> data, List<UpstreamEvent> events) => throw Nonsense("a stream");

    public void End(List<UpstreamEvent> events) => throw Nonsense("an end without an answer");

    public void TakeWhole(ReadOnlySpan<byte> body, List<UpstreamEvent> events)
    {
        try
        {
            Utf8JsonReader reader = new(body);
            using JsonDocument document = JsonDocument.ParseValue(ref reader);
            JsonElement root = document.RootElement;
            ImmutableArray<float>[] values = new ImmutableArray<float>[asked.Texts.Length];
            bool ranks = asked.Query is not null;
            int position = 0;
            foreach (JsonElement each in root.GetProperty(ranks ? "results" : "data").EnumerateArray())
            {
                int index = each.TryGetProperty("index", out JsonElement at) ? at.GetInt32() : position;
                position++;
                if (index < 0 || index >= values.Length || !values[index].IsDefault) throw Nonsense("an index that was not asked for");
                values[index] = ranks ? [each.GetProperty("relevance_score").GetSingle()] : VectorOf(each.GetProperty("embedding"));
            }
            if (Array.Exists(values, each => each.IsDefaultOrEmpty)) throw Nonsense("fewer than were asked for");
            for (int text = 0; text < values.Length; text++) events.Add(new UpstreamRead(text, values[text]));
            if (root.TryGetProperty("usage", out JsonElement usage) && usage.ValueKind == JsonValueKind.Object) events.Add(new UpstreamUsage(ReadUsage(usage)));
            events.Add(new UpstreamFinish(0, AnswerEnd.Stop));
            events.Add(new UpstreamDone());
        }
        catch (Exception wrong) when (wrong is JsonException or InvalidOperationException or FormatException or KeyNotFoundException)
        {
            throw Nonsense(wrong.Message, wrong);
        }
    }

    /// <summary>Numbers, or the same as base64 of little-endian singles for servers that do not heed the format that was asked for.</summary>
    private static ImmutableArray<float> VectorOf(JsonElement vector)
    {
        if (vector.ValueKind == JsonValueKind.String) return [.. MemoryMarshal.Cast<byte, float>(vector.GetBytesFromBase64())];
        ImmutableArray<float>.Builder numbers = ImmutableArray.CreateBuilder<float>(vector.GetArrayLength());
        foreach (JsonElement number in vector.EnumerateArray()) numbers.Add(number.GetSingle());
        return numbers.MoveToImmutable();
    }

    /// <summary>Whatever was read is input: servers say so as prompt, input or total.</summary>
    private static TokenCounts ReadUsage(JsonElement usage)
    {
        long input = Math.Max(OpenAiEvents.Count(usage, "prompt_tokens"), OpenAiEvents.Count(usage, "input_tokens"));
        return new TokenCounts(input > 0 ? input : OpenAiEvents.Count(usage, "total_tokens"), 0, 0, 0, 0);
    }

    private static UpstreamException Nonsense(string what, Exception? inner = null) => new(UpstreamFailure.Cut, "What it sent is no answer of vectors or scores: " + what, inner: inner);
}
