using System.Collections.Immutable;
using System.Text.Json;
using Qanat.Books;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Texts to be embedded.</summary>
/// <param name="Dimensions">Numbers of a vector; null: an upstream makes them, as they are to be.</param>
internal sealed record EmbeddingAsk(ServedModel Model, IReadOnlyList<Call> Calls, int? Dimensions, bool AsBase64)
{
    /// <summary>The embedding that was read of a text.</summary>
    public float[] VectorOf(ImmutableArray<float> values) => Dimensions is { } dimensions ? EmbeddingFormat.Finish(values.AsSpan(), dimensions) : [.. values];
}

/// <summary>Reads requests for embeddings, of every API that has them.</summary>
internal sealed class EmbeddingRequests(ServedModels models, OllamaRequests ollama, GatewayOptions options)
{
    /// <summary>No model's vectors have more numbers.</summary>
    private const int DimensionsMax = 65_536;

    /// <summary>OpenAI's: a text, tokens, or an array of either.</summary>
    public EmbeddingAsk ReadOpenAi(JsonFields fields, Caller caller)
    {
        ServedModel model = Embedding(models.Find(fields.RequiredText("model")));
        bool asBase64 = fields.Text("encoding_format") switch
        {
            null or "float" => false,
            "base64" => true,
            _ => throw Refusal.Value("encoding_format", "it must be 'float' or 'base64'."),
        };
        return Ask(model, ReadInputs(fields, "input", model), fields, "dimensions", caller, Prompts.UserTag(fields, options)) with { AsBase64 = asBase64 };
    }

    /// <summary>DashScope's: texts; queries carry their task.</summary>
    public EmbeddingAsk ReadDashScope(JsonFields fields, Caller caller)
    {
        ServedModel model = Embedding(models.Find(fields.RequiredText("model")));
        JsonFields input = fields.Object("input") ?? throw Refusal.Missing("input");
        JsonFields? parameters = fields.Object("parameters");
        if (parameters?.Text("output_type") is not (null or "dense")) throw Refusal.Unsupported("parameters.output_type", "vectors are dense.");
        bool isQuery = parameters?.Text("text_type") switch
        {
            "query" => true,
            null or "document" => false,
            _ => throw Refusal.Value("parameters.text_type", "it must be 'query' or 'document'."),
        };
        string task = parameters?.Text("instruct") ?? RerankFormat.DefaultInstruction;
        List<TextAsked> texts = [];
        foreach (string text in ContentText.Strings(input, "texts"))
        {
            ImmutableArray<int> prompt = Prompts.Checked(model, "input.texts", text.Length, () => isQuery ? model.Reading!.Query(task, text) : model.Reading!.Document(text));
            texts.Add(model.IsOutside ? TextAsked.Of(isQuery ? EmbeddingFormat.QueryText(task, text) : text) : TextAsked.Of(prompt));
        }
        CheckCount(texts.Count, "input.texts");
        return Ask(model, texts, parameters ?? input, "dimension", caller, Prompts.UserTag(parameters ?? input, options));
    }

    /// <summary>Ollama's: a text or an array of texts, as "input" or, of old, "prompt".</summary>
    public EmbeddingAsk ReadOllama(JsonFields fields, Caller caller)
    {
        ServedModel model = Embedding(ollama.Find(fields));
        return Ask(model, ReadInputs(fields, fields.Says("input") ? "input" : "prompt", model), fields, "dimensions", caller, Prompts.UserTag(fields, options));
    }

    /// <summary>An upstream is asked once for all texts; the built-in engine reads each by itself.</summary>
    private static EmbeddingAsk Ask(ServedModel model, IReadOnlyList<TextAsked> texts, JsonFields fields, string dimensions, Caller caller, string? tag)
    {
        if (model.Reading is not { } reading)
        {
            TextsAsked asked = new([.. texts]) { Dimensions = (int?)fields.Integer(dimensions, 1, DimensionsMax) };
            return new EmbeddingAsk(model, [TextReading.CallOf(caller, Operation.Embedding, model, asked, tag)], null, AsBase64: false);
        }
        IReadOnlyList<Call> calls = [.. texts.Select(text => TextReading.CallOf(caller, Operation.Embedding, model, text.Tokens, PromptReading.HiddenVector, tag))];
        return new EmbeddingAsk(model, calls, (int)(fields.Integer(dimensions, 1, reading.Dimensions) ?? reading.Dimensions), AsBase64: false);
    }

    private static ServedModel Embedding(ServedModel model) => model.Reading is not null || model.IsOutside
        ? model
        : throw new ApiException(400, Refusal.InvalidRequest, "unsupported_model", $"{model.Name} makes no embeddings: its vocabulary lacks what their prompts need.", "model");

    private List<TextAsked> ReadInputs(JsonFields fields, string param, ServedModel model)
    {
        if (!fields.TryGet(param, out JsonElement value)) throw Refusal.Missing(param);
        if (value.ValueKind == JsonValueKind.String) return [TextOf(JsonFields.TextOf(value, param), model, param)];
        if (value.ValueKind != JsonValueKind.Array) throw Refusal.Type(param, "a string, an array of strings, or an array of tokens", JsonFields.Kind(value));
        if (value.GetArrayLength() > 0 && value[0].ValueKind == JsonValueKind.Number) return [TextAsked.Of(CompletionRequests.ReadTokens(value, model, param))];
        CheckCount(value.GetArrayLength(), param);
        List<TextAsked> texts = new(value.GetArrayLength());
        foreach (JsonElement item in value.EnumerateArray())
        {
            string itemParam = FormattableString.Invariant($"{param}[{texts.Count}]");
            texts.Add(item.ValueKind == JsonValueKind.Array ? TextAsked.Of(CompletionRequests.ReadTokens(item, model, itemParam)) : TextOf(JsonFields.TextOf(item, itemParam), model, itemParam));
        }
        return texts;
    }

    private static TextAsked TextOf(string text, ServedModel model, string param)
    {
        if (text.Length == 0) throw Refusal.Value(param, "it must not be empty.");
        ImmutableArray<int> prompt = Prompts.Checked(model, param, text.Length, () => model.Reading!.Document(text));
        return model.IsOutside ? TextAsked.Of(text) : TextAsked.Of(prompt);
    }

    private void CheckCount(int count, string param)
    {
        if (count == 0) throw Refusal.Value(param, "it must not be empty.");
        if (count > options.TextsMax) throw Refusal.Value(param, FormattableString.Invariant($"at most {options.TextsMax} texts are allowed."));
    }
}
