using System.Collections.Immutable;
using System.Text.Json;
using Qanat.Books;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Texts to be embedded.</summary>
/// <param name="Dimensions">Null: as many as the model has.</param>
internal sealed record EmbeddingAsk(ServedModel Model, IReadOnlyList<Call> Calls, int Dimensions, bool AsBase64);

/// <summary>Reads requests for embeddings, of every API that has them.</summary>
internal sealed class EmbeddingRequests(ServedModels models, OllamaRequests ollama, GatewayOptions options)
{
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
        string? tag = Prompts.UserTag(fields, options);
        IReadOnlyList<Call> calls = [.. ReadInputs(fields, "input", model).Select(prompt => TextReading.CallOf(caller, Operation.Embedding, model, prompt, PromptReading.HiddenVector, tag))];
        return new EmbeddingAsk(model, calls, ReadDimensions(fields, "dimensions", model), asBase64);
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
        List<Call> calls = [];
        foreach (string text in ContentText.Strings(input, "texts"))
        {
            ImmutableArray<int> prompt = Prompts.Checked(model, "input.texts", text.Length, () => isQuery ? model.Reading!.Query(task, text) : model.Reading!.Document(text));
            calls.Add(TextReading.CallOf(caller, Operation.Embedding, model, prompt, PromptReading.HiddenVector, null));
        }
        CheckCount(calls.Count, "input.texts");
        return new EmbeddingAsk(model, calls, parameters is { } wishes ? ReadDimensions(wishes, "dimension", model) : model.Reading!.Dimensions, AsBase64: false);
    }

    /// <summary>Ollama's: a text or an array of texts, as "input" or, of old, "prompt".</summary>
    public EmbeddingAsk ReadOllama(JsonFields fields, Caller caller)
    {
        ServedModel model = Embedding(ollama.Find(fields));
        IReadOnlyList<Call> calls = [.. ReadInputs(fields, fields.Says("input") ? "input" : "prompt", model).Select(prompt => TextReading.CallOf(caller, Operation.Embedding, model, prompt, PromptReading.HiddenVector, null))];
        return new EmbeddingAsk(model, calls, ReadDimensions(fields, "dimensions", model), AsBase64: false);
    }

    private static ServedModel Embedding(ServedModel model) => model.Reading is not null
        ? model
        : throw new ApiException(400, Refusal.InvalidRequest, "unsupported_model", $"{model.Name} makes no embeddings here: it is served by an engine that is not asked for them.", "model");

    private static int ReadDimensions(JsonFields fields, string name, ServedModel model) => (int)(fields.Integer(name, 1, model.Reading!.Dimensions) ?? model.Reading!.Dimensions);

    private List<ImmutableArray<int>> ReadInputs(JsonFields fields, string param, ServedModel model)
    {
        if (!fields.TryGet(param, out JsonElement value)) throw Refusal.Missing(param);
        if (value.ValueKind == JsonValueKind.String) return [PromptOf(JsonFields.TextOf(value, param), model, param)];
        if (value.ValueKind != JsonValueKind.Array) throw Refusal.Type(param, "a string, an array of strings, or an array of tokens", JsonFields.Kind(value));
        if (value.GetArrayLength() > 0 && value[0].ValueKind == JsonValueKind.Number) return [CompletionRequests.ReadTokens(value, model, param)];
        CheckCount(value.GetArrayLength(), param);
        List<ImmutableArray<int>> prompts = new(value.GetArrayLength());
        foreach (JsonElement item in value.EnumerateArray())
        {
            string itemParam = FormattableString.Invariant($"{param}[{prompts.Count}]");
            prompts.Add(item.ValueKind == JsonValueKind.Array ? CompletionRequests.ReadTokens(item, model, itemParam) : PromptOf(JsonFields.TextOf(item, itemParam), model, itemParam));
        }
        return prompts;
    }

    private static ImmutableArray<int> PromptOf(string text, ServedModel model, string param) => text.Length > 0
        ? Prompts.Checked(model, param, text.Length, () => model.Reading!.Document(text))
        : throw Refusal.Value(param, "it must not be empty.");

    private void CheckCount(int count, string param)
    {
        if (count == 0) throw Refusal.Value(param, "it must not be empty.");
        if (count > options.TextsMax) throw Refusal.Value(param, FormattableString.Invariant($"at most {options.TextsMax} texts are allowed."));
    }
}
