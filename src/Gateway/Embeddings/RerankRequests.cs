using System.Collections.Immutable;
using System.Text.Json;
using Qanat.Books;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>Documents to be ranked by how well they answer a query.</summary>
internal sealed record RerankAsk(ServedModel Model, IReadOnlyList<Call> Calls, IReadOnlyList<string> Documents, int Top, bool ReturnsDocuments)
{
    /// <summary>The score that was read of a document: an upstream's own, or made of what was read here.</summary>
    public double ScoreOf(ImmutableArray<float> values) => Calls[0].Texts is null ? Model.Reading!.ScoreOf(values) : values[0];
}

/// <summary>Reads requests to rank documents: in Jina's and Cohere's form ({"query","documents"}), and in DashScope's.</summary>
internal sealed class RerankRequests(ServedModels models, GatewayOptions options)
{
    public RerankAsk Read(JsonFields fields, Caller caller) => Read(fields, fields, fields, caller);

    public RerankAsk ReadDashScope(JsonFields fields, Caller caller)
    {
        JsonFields input = fields.Object("input") ?? throw Refusal.Missing("input");
        return Read(fields, input, fields.Object("parameters") ?? input, caller);
    }

    private RerankAsk Read(JsonFields fields, JsonFields input, JsonFields wishes, Caller caller)
    {
        ServedModel model = models.Find(fields.RequiredText("model"));
        if (model.Reading is null && !model.IsOutside)
            throw new ApiException(400, Refusal.InvalidRequest, "unsupported_model", $"{model.Name} ranks nothing: its vocabulary lacks what the prompts need.", "model");
        string query = input.RequiredText("query");
        List<string> documents = ReadDocuments(input);
        string? instruction = wishes.Text("instruct") ?? wishes.Text("instruction");
        return new RerankAsk(model, [.. CallsOf(new Asker(caller, Prompts.UserTag(wishes, options)), model, query, documents, instruction, input.PathOf("documents"))], documents,
            (int)(wishes.Integer("top_n", 1, int.MaxValue) ?? documents.Count), wishes.Flag("return_documents") ?? false);
    }

    private static IEnumerable<Call> CallsOf(Asker asker, ServedModel model, string query, List<string> documents, string? instruction, string param)
    {
        if (model.Reading is not { } words)
        {
            foreach (string document in documents) Prompts.Checked(model, param, (long)query.Length + document.Length, () => []);
            return [TextReading.CallOf(asker.Caller, Operation.Rerank, model, new TextsAsked([.. documents.Select(TextAsked.Of)], query) { Instruction = instruction }, asker.User)];
        }
        PromptReading reading = words.Judgement;
        return documents.Select(document => TextReading.CallOf(asker.Caller, Operation.Rerank, model,
            Prompts.Checked(model, param, (long)query.Length + document.Length, () => words.Ranking(instruction ?? RerankFormat.DefaultInstruction, query, document)), reading, asker.User));
    }

    /// <param name="User">For whom of the caller's own; null: it did not say.</param>
    private readonly record struct Asker(Caller Caller, string? User);

    /// <summary>Texts, or objects with a text.</summary>
    private List<string> ReadDocuments(JsonFields input)
    {
        string param = input.PathOf("documents");
        if (!input.TryGet("documents", out JsonElement value)) throw Refusal.Missing(param);
        if (value.ValueKind != JsonValueKind.Array) throw Refusal.Type(param, "an array of texts", JsonFields.Kind(value));
        if (value.GetArrayLength() == 0) throw Refusal.Value(param, "it must not be empty.");
        if (value.GetArrayLength() > options.TextsMax) throw Refusal.Value(param, FormattableString.Invariant($"at most {options.TextsMax} documents are allowed."));
        List<string> documents = new(value.GetArrayLength());
        foreach (JsonElement item in value.EnumerateArray())
        {
            string itemParam = FormattableString.Invariant($"{param}[{documents.Count}]");
            documents.Add(item.ValueKind == JsonValueKind.Object ? new JsonFields(item, itemParam).RequiredText("text") : JsonFields.TextOf(item, itemParam));
        }
        return documents;
    }
}
