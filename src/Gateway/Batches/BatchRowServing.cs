using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Reads and serves the request in a row, as the endpoint that it names would, at the price of batches.</summary>
internal sealed class BatchRowServing(ChatRequests chats, CompletionRequests completions, GenerationAnswer generations, EmbeddingRequests embeddings, TextReading reading)
{
    private static readonly ChatShape Chat = new();
    private static readonly CompletionShape Completion = new();

    public static ImmutableArray<string> Endpoints { get; } = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"];

    /// <exception cref="ApiException">The request is refused.</exception>
    public RowRequest Read(string endpoint, BatchRow row, Caller caller)
    {
        using JsonDocument document = JsonDocument.Parse(row.Json);
        JsonFields body = JsonFields.OfRequest(document.RootElement.GetProperty("body"));
        RowRequest request = endpoint switch
        {
            "/v1/embeddings" => EmbeddingRow.Of(embeddings.ReadOpenAi(body, caller)),
            "/v1/completions" => GenerationRow.Of(completions.Read(body, caller), Completion),
            _ => GenerationRow.Of(chats.Read(body, caller), Chat),
        };
        // The batch price knows no cache that is asked for.
        return request with { Calls = [.. request.Calls.Select(call => call with { Operation = Operation.Batch, CacheTokens = 0 })] };
    }

    /// <summary>The body of the answer.</summary>
    public async Task<JsonObject> ServeAsync(RowRequest row, CancellationToken cancel)
    {
        using MemoryStream bytes = new();
        await using (Utf8JsonWriter json = new(bytes)) await WriteAsync(json, row, cancel);
        return JsonNode.Parse(bytes.ToArray())!.AsObject();
    }

    private async Task WriteAsync(Utf8JsonWriter json, RowRequest row, CancellationToken cancel)
    {
        switch (row)
        {
            case GenerationRow generation:
                GenerationRequest request = generation.Request with { Calls = row.Calls, Stream = false };
                AnswerState answer = await generations.GatherAsync(request, generation.Shape, cancel);
                generation.Shape.WriteWhole(json, answer.Head, request, answer.Choices, answer.Bill);
                break;
            case EmbeddingRow embedding:
                TextsRead read = await reading.RunAsync(embedding.Ask.Model, row.Calls, cancel);
                json.WriteStartObject();
                ReadingEndpoints.WriteOpenAi(json, embedding.Ask, read);
                json.WriteEndObject();
                break;
            default:
                throw new InvalidOperationException($"{row.GetType().Name} is not served in batches.");
        }
    }
}

/// <summary>The request of a row: the calls to serve, and how their answer is told.</summary>
internal abstract record RowRequest(ImmutableArray<Call> Calls);

internal sealed record GenerationRow(GenerationRequest Request, AnswerShape Shape, ImmutableArray<Call> Calls) : RowRequest(Calls)
{
    public static GenerationRow Of(GenerationRequest request, AnswerShape shape) => new(request, shape, request.Calls);
}

internal sealed record EmbeddingRow(EmbeddingAsk Ask, ImmutableArray<Call> Calls) : RowRequest(Calls)
{
    public static EmbeddingRow Of(EmbeddingAsk ask) => new(ask, [.. ask.Calls]);
}
