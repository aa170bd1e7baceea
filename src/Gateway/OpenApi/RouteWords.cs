using System.Collections.Frozen;

namespace Qanat.Gateway;

/// <summary>What the document says of a route.</summary>
/// <param name="Body">The schema of its request; null: any object, or no body.</param>
internal sealed record RouteWord(string Tag, string Summary, string? Body = null, string BodyType = "application/json");

/// <summary>The routes of the models' APIs in words. A test compares them with what is mapped.</summary>
internal static class RouteWords
{
    private const string OpenAi = "OpenAI", Responses = "Responses", Batches = "Files and batches", Anthropic = "Anthropic", DashScope = "DashScope", Ollama = "Ollama";

    /// <summary>By method and path below their base.</summary>
    private static readonly FrozenDictionary<string, RouteWord> Words = new Dictionary<string, RouteWord>(StringComparer.Ordinal)
    {
        ["GET /v1/models"] = new(OpenAi, "The models served here, each with its context and its price for you. Anthropic's form for clients that send anthropic-version"),
        ["GET /v1/models/{id}"] = new(OpenAi, "One model"),
        ["POST /v1/chat/completions"] = new(OpenAi, "Answer a conversation, whole or as a stream", "ChatRequest"),
        ["POST /v1/completions"] = new(OpenAi, "Continue a text, or several", "CompletionRequest"),
        ["POST /v1/responses"] = new(Responses, "Make a response; it is stored if store is true, or if the tenant wants it and store is not false", "ResponseRequest"),
        ["POST /v1/responses/input_tokens"] = new(Responses, "Count the tokens that a request would have; nothing is charged", "ResponseRequest"),
        ["GET /v1/responses/{id}"] = new(Responses, "A response that was stored"),
        ["DELETE /v1/responses/{id}"] = new(Responses, "Delete a response"),
        ["GET /v1/responses/{id}/input_items"] = new(Responses, "The items a response was made from"),
        ["POST /v1/files"] = new(Batches, "Upload the rows of a batch", "FileUpload", "multipart/form-data"),
        ["GET /v1/files"] = new(Batches, "Your files"),
        ["GET /v1/files/{id}"] = new(Batches, "One file"),
        ["DELETE /v1/files/{id}"] = new(Batches, "Delete a file"),
        ["GET /v1/files/{id}/content"] = new(Batches, "The content of a file"),
        ["POST /v1/batches"] = new(Batches, "Have the rows of a file served in idle capacity, at the batch price", "BatchRequest"),
        ["GET /v1/batches"] = new(Batches, "Your batches"),
        ["GET /v1/batches/{id}"] = new(Batches, "One batch and how far it is"),
        ["POST /v1/batches/{id}/cancel"] = new(Batches, "End a batch; what was answered stays, and is charged"),
        ["POST /v1/messages"] = new(Anthropic, "Answer a conversation", "MessageRequest"),
        ["POST /v1/messages/count_tokens"] = new(Anthropic, "Count the tokens of a conversation; nothing is charged", "MessageRequest"),
        ["POST /api/v1/services/aigc/text-generation/generation"] = new(DashScope, "Answer a conversation; a stream with X-DashScope-SSE: enable", "NativeRequest"),
        ["GET /api/v1/tasks/{id}"] = new(DashScope, "How far a task is, and its result"),
        ["POST /api/v1/tasks/{id}/cancel"] = new(DashScope, "End a task"),
        ["POST /v1/embeddings"] = new(OpenAi, "Vectors of texts", "EmbeddingRequest"),
        ["POST /v1/rerank"] = new(OpenAi, "Documents ranked by how well they answer a query, in Jina's and Cohere's form", "RerankRequest"),
        ["POST /v1/reranks"] = new(DashScope, "The same, where Model Studio's compatible API has it", "RerankRequest"),
        ["POST /api/v1/services/embeddings/text-embedding/text-embedding"] = new(DashScope, "Vectors of texts", "NativeRequest"),
        ["POST /api/v1/services/rerank/text-rerank/text-rerank"] = new(DashScope, "Documents ranked by how well they answer a query", "NativeRequest"),
        ["POST /api/embed"] = new(Ollama, "Vectors of texts", "EmbeddingRequest"),
        ["POST /api/embeddings"] = new(Ollama, "The vector of one text", "OllamaGenerateRequest"),
        ["POST /api/chat"] = new(Ollama, "Answer a conversation, a line a piece", "OllamaChatRequest"),
        ["POST /api/generate"] = new(Ollama, "Answer or continue a text", "OllamaGenerateRequest"),
        ["GET /api/tags"] = new(Ollama, "The models served here"),
        ["GET /api/ps"] = new(Ollama, "The models that are loaded: all that are served"),
        ["POST /api/show"] = new(Ollama, "One model", "OllamaShowRequest"),
        ["GET /api/version"] = new(Ollama, "The version of this server"),
    }.ToFrozenDictionary(StringComparer.Ordinal);

    private static readonly string[] Aliases = ["/compatible-mode", "/compatible-api", "/apps/anthropic", "/anthropic"];

    public static IReadOnlyCollection<string> Routes => Words.Keys;

    /// <summary>Null: the route is not one of the models' APIs, or nobody described it.</summary>
    public static RouteWord? Of(MappedRoute route) => Words.GetValueOrDefault($"{route.Method} {Canonical(route.Path)}");

    /// <summary>The path where an API is at home.</summary>
    public static string Canonical(string path)
    {
        foreach (string alias in Aliases)
        {
            if (path.StartsWith(alias + "/", StringComparison.Ordinal)) return path[alias.Length..];
        }
        return path;
    }
}
