using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Reads and serves the request in a row, as the endpoint that it names would, at the price of batches.</summary>
internal sealed class BatchRowServing(ChatRequests chats, CompletionRequests completions, GenerationAnswer generations)
{
    private static readonly ChatShape Chat = new();
    private static readonly CompletionShape Completion = new();

    public static ImmutableArray<string> Endpoints { get; } = ["/v1/chat/completions", "/v1/completions"];

    /// <exception cref="ApiException">The request is refused.</exception>
    public RowRequest Read(string endpoint, BatchRow row, Caller caller)
    {
        using JsonDocument document = JsonDocument.Parse(row.Json);
        JsonFields body = JsonFields.OfRequest(document.RootElement.GetProperty("body"));
        bool isChat = endpoint == Endpoints[0];
        GenerationRequest request = isChat ? chats.Read(body, caller) : completions.Read(body, caller);
        ImmutableArray<Call> calls = [.. request.Calls.Select(call => call with { Operation = Operation.Batch })];
        return new RowRequest(request with { Calls = calls, Stream = false }, isChat ? Chat : Completion);
    }

    /// <summary>The body of the answer.</summary>
    public async Task<JsonObject> ServeAsync(RowRequest row, CancellationToken cancel)
    {
        AnswerState answer = await generations.GatherAsync(row.Generation, row.Shape, cancel);
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes)) row.Shape.WriteWhole(json, answer.Head, row.Generation, answer.Choices, answer.Bill);
        return JsonNode.Parse(bytes.ToArray())!.AsObject();
    }
}

internal sealed record RowRequest(GenerationRequest Generation, AnswerShape Shape);
