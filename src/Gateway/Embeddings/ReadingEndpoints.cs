using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Embeddings and rankings, in the words of every API that has them.</summary>
internal sealed class ReadingEndpoints(Callers callers, EmbeddingRequests embeddings, RerankRequests rankings, TextReading reading, GatewayOptions options)
{
    public void Map(ApiRoutes routes)
    {
        foreach (string root in OpenAiEndpoints.Roots)
        {
            routes.Post(root + "/embeddings", Permission.Infer, context => EmbedAsync(context, embeddings.ReadOpenAi, WriteOpenAi), new(Tags.OpenAi, "Vectors of texts") { Body = RequestSchemas.Embedding(options), Answer = AnswerSchemas.Embedding, IsCharged = true });
        }
        routes.Post("/v1/rerank", Permission.Infer, context => RankAsync(context, rankings.Read, WriteRanking), new(Tags.OpenAi, "Documents ranked by how well they answer a query, in Jina's and Cohere's form") { Body = RequestSchemas.Rerank(options), Answer = AnswerSchemas.Ranking, IsCharged = true });
        routes.Post("/compatible-api/v1/reranks", Permission.Infer, context => RankAsync(context, rankings.Read, WriteRanking), new(Tags.OpenAi, "The same, where Model Studio's compatible API has it") { Body = RequestSchemas.Rerank(options), Answer = AnswerSchemas.Ranking, IsCharged = true });
        routes.Post("/api/v1/services/embeddings/text-embedding/text-embedding", Permission.Infer, context => EmbedAsync(context, embeddings.ReadDashScope, WriteDashScope), new(Tags.DashScope, "Vectors of texts") { Body = RequestSchemas.NativeEmbedding(options), IsCharged = true });
        routes.Post("/api/v1/services/rerank/text-rerank/text-rerank", Permission.Infer, context => RankAsync(context, rankings.ReadDashScope, WriteDashScopeRanking), new(Tags.DashScope, "Documents ranked by how well they answer a query") { Body = RequestSchemas.NativeRerank(options), IsCharged = true });
        routes.Post("/api/embed", Permission.Infer, context => EmbedAsync(context, embeddings.ReadOllama, WriteOllama), new(Tags.Ollama, "Vectors of texts") { Body = RequestSchemas.OllamaEmbed(options), IsCharged = true });
        routes.Post("/api/embeddings", Permission.Infer, context => EmbedAsync(context, embeddings.ReadOllama, WriteOldOllama), new(Tags.Ollama, "The vector of one text") { Body = RequestSchemas.OllamaEmbed(options), IsCharged = true });
    }

    private Task EmbedAsync(HttpContext context, Func<JsonFields, Caller, EmbeddingAsk> read, Action<Utf8JsonWriter, EmbeddingAsk, TextsRead> write) =>
        AnswerAsync(context, read, ask => reading.RunAsync(ask.Model, ask.Calls, context.RequestAborted), write);

    private Task RankAsync(HttpContext context, Func<JsonFields, Caller, RerankAsk> read, Action<Utf8JsonWriter, RerankAsk, TextsRead> write) =>
        AnswerAsync(context, read, ask => reading.RunAsync(ask.Model, ask.Calls, context.RequestAborted), write);

    private async Task AnswerAsync<T>(HttpContext context, Func<JsonFields, Caller, T> read, Func<T, Task<TextsRead>> serve, Action<Utf8JsonWriter, T, TextsRead> write)
    {
        Caller caller = callers.Require(context.Request);
        T ask;
        using (JsonBody body = await JsonBody.ReadAsync(context.Request, options, context.RequestAborted))
            ask = read(JsonFields.OfRequest(body.Root), caller);
        TextsRead answer = await serve(ask);
        BillHeaders.SetStart(context.Response, answer.Bill);
        BillHeaders.SetEnd(context.Response, answer.Bill);
        using JsonAnswer json = new();
        json.Writer.WriteStartObject();
        write(json.Writer, ask, answer);
        json.Writer.WriteEndObject();
        await json.SendAsync(context.Response);
    }

    internal static void WriteOpenAi(Utf8JsonWriter json, EmbeddingAsk ask, TextsRead answer)
    {
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        for (int index = 0; index < answer.Values.Count; index++)
        {
            float[] vector = ask.VectorOf(answer.Values[index]);
            json.WriteStartObject();
            json.WriteString("object", "embedding");
            json.WriteNumber("index", index);
            // Little-endian singles, as every machine that runs this has them.
            if (ask.AsBase64) json.WriteBase64String("embedding", MemoryMarshal.AsBytes(vector.AsSpan()));
            else WriteVector(json, "embedding", vector);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteString("model", ask.Model.Name.Value);
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", answer.Bill.Tokens.Input);
        json.WriteNumber("total_tokens", answer.Bill.Tokens.Input);
        BillJson.WriteQanat(json, answer.Bill);
        json.WriteEndObject();
    }

    private static void WriteDashScope(Utf8JsonWriter json, EmbeddingAsk ask, TextsRead answer)
    {
        json.WriteStartObject("output");
        json.WriteStartArray("embeddings");
        for (int index = 0; index < answer.Values.Count; index++)
        {
            json.WriteStartObject();
            json.WriteNumber("text_index", index);
            WriteVector(json, "embedding", ask.VectorOf(answer.Values[index]));
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
        WriteTotal(json, answer);
        json.WriteString("request_id", answer.Bill.Records[0].Id.Value);
    }

    private static void WriteOllama(Utf8JsonWriter json, EmbeddingAsk ask, TextsRead answer)
    {
        json.WriteString("model", ask.Model.Name.Value);
        json.WriteStartArray("embeddings");
        foreach (var values in answer.Values) WriteNumbers(json, ask.VectorOf(values));
        json.WriteEndArray();
        json.WriteNumber("total_duration", answer.Bill.DeviceNanoseconds);
        json.WriteNumber("load_duration", 0);
        json.WriteNumber("prompt_eval_count", answer.Bill.Tokens.Input);
        BillJson.WriteQanat(json, answer.Bill);
    }

    private static void WriteOldOllama(Utf8JsonWriter json, EmbeddingAsk ask, TextsRead answer)
    {
        WriteVector(json, "embedding", ask.VectorOf(answer.Values[0]));
        BillJson.WriteQanat(json, answer.Bill);
    }

    private static void WriteRanking(Utf8JsonWriter json, RerankAsk ask, TextsRead answer)
    {
        json.WriteString("id", answer.Bill.Records[0].Id.Value);
        json.WriteString("object", "list");
        json.WriteString("model", ask.Model.Name.Value);
        WriteResults(json, ask, answer);
        WriteTotal(json, answer);
    }

    private static void WriteDashScopeRanking(Utf8JsonWriter json, RerankAsk ask, TextsRead answer)
    {
        json.WriteStartObject("output");
        WriteResults(json, ask, answer);
        json.WriteEndObject();
        WriteTotal(json, answer);
        json.WriteString("request_id", answer.Bill.Records[0].Id.Value);
    }

    /// <summary>Best first; of equals the first.</summary>
    private static void WriteResults(Utf8JsonWriter json, RerankAsk ask, TextsRead answer)
    {
        json.WriteStartArray("results");
        foreach ((int index, double score) in answer.Values.Select((logits, index) => (index, score: ask.ScoreOf(logits))).OrderByDescending(each => each.score).ThenBy(each => each.index).Take(ask.Top))
        {
            json.WriteStartObject();
            json.WriteNumber("index", index);
            json.WriteNumber("relevance_score", score);
            if (ask.ReturnsDocuments)
            {
                json.WriteStartObject("document");
                json.WriteString("text", ask.Documents[index]);
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    private static void WriteTotal(Utf8JsonWriter json, TextsRead answer)
    {
        json.WriteStartObject("usage");
        json.WriteNumber("input_tokens", answer.Bill.Tokens.Input);
        json.WriteNumber("total_tokens", answer.Bill.Tokens.Input);
        BillJson.WriteQanat(json, answer.Bill);
        json.WriteEndObject();
    }

    private static void WriteVector(Utf8JsonWriter json, string name, float[] vector)
    {
        json.WritePropertyName(name);
        WriteNumbers(json, vector);
    }

    private static void WriteNumbers(Utf8JsonWriter json, float[] vector)
    {
        json.WriteStartArray();
        foreach (float value in vector) json.WriteNumberValue(value);
        json.WriteEndArray();
    }
}
