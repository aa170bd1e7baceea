using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>Ollama's API, below /api as the admin API is: their paths do not meet. Models are not pulled or deleted through it.</summary>
internal sealed class OllamaEndpoints(Callers callers, ServedModels models, OllamaRequests requests, AnswerServing answers, GatewayOptions options)
{
    private static readonly string[] Paths = ["/api/chat", "/api/generate", "/api/tags", "/api/show", "/api/ps", "/api/version", "/api/embed", "/api/embeddings"];

    /// <summary>Where Ollama's clients would change what is served, which nobody can through this API.</summary>
    private static readonly string[] Changes = ["/api/pull", "/api/push", "/api/create", "/api/copy", "/api/delete", "/api/blobs"];

    /// <summary>Errors of these paths are worded as Ollama's.</summary>
    public static bool Owns(PathString path) => Array.Exists(Paths, each => path.Equals(each, StringComparison.Ordinal)) || ChangesModels(path);

    public static bool ChangesModels(PathString path) => Array.Exists(Changes, each => path.StartsWithSegments(each, StringComparison.Ordinal));

    public void Map(ApiRoutes routes)
    {
        routes.Post("/api/chat", Permission.Infer, context => GenerateAsync(context, requests.ReadChat, asChat: true), new(Tags.Ollama, "Answer a conversation, a line a piece") { Body = RequestSchemas.OllamaChat(options), Streams = StreamFraming.LinesType, IsCharged = true });
        routes.Post("/api/generate", Permission.Infer, context => GenerateAsync(context, requests.ReadGenerate, asChat: false), new(Tags.Ollama, "Answer or continue a text") { Body = RequestSchemas.OllamaGenerate(options), Streams = StreamFraming.LinesType, IsCharged = true });
        routes.Get("/api/tags", Permission.Infer, context => ListAsync(context, running: false), new(Tags.Ollama, "The models served here"));
        routes.Get("/api/ps", Permission.Infer, context => ListAsync(context, running: true), new(Tags.Ollama, "The models that are loaded: all that are served"));
        routes.Post("/api/show", Permission.Infer, ShowAsync, new(Tags.Ollama, "One model") { Body = RequestSchemas.OllamaModel });
        routes.Get("/api/version", Permission.Infer, VersionAsync, new(Tags.Ollama, "The version of this server") { Answer = Schema.Object(Field.Needed("version", Schema.Text())) });
    }

    private async Task GenerateAsync(HttpContext context, Func<JsonFields, Caller, GenerationRequest?> read, bool asChat)
    {
        Caller caller = callers.Require(context.Request);
        GenerationRequest? request;
        string model;
        using (JsonBody body = await JsonBody.ReadAsync(context.Request, options, context.RequestAborted))
        {
            JsonFields fields = JsonFields.OfRequest(body.Root);
            request = read(fields, caller) is { } asked ? SessionHints.Add(context.Request, fields, asked) : null;
            model = fields.Text("model") ?? fields.RequiredText("name");
        }
        if (request is null) await LoadedAsync(context, model, asChat);
        else await answers.SendAsync(context, request, new OllamaTeller(model, asChat));
    }

    /// <summary>What is served is loaded: nothing is computed, and nothing charged.</summary>
    private async Task LoadedAsync(HttpContext context, string model, bool asChat)
    {
        using JsonAnswer json = new();
        json.Writer.WriteStartObject();
        json.Writer.WriteString("model", model);
        json.Writer.WriteString("created_at", requests.Find(model).ServedSince.ToDateTimeOffset());
        if (asChat)
        {
            json.Writer.WriteStartObject("message");
            json.Writer.WriteString("role", "assistant");
            json.Writer.WriteString("content", "");
            json.Writer.WriteEndObject();
        }
        else
        {
            json.Writer.WriteString("response", "");
        }
        json.Writer.WriteBoolean("done", true);
        json.Writer.WriteString("done_reason", "load");
        json.Writer.WriteEndObject();
        await json.SendAsync(context.Response);
    }

    private async Task ListAsync(HttpContext context, bool running)
    {
        IReadOnlyList<ServedModel> all = models.For(callers.Require(context.Request));
        using JsonAnswer json = new();
        json.Writer.WriteStartObject();
        json.Writer.WriteStartArray("models");
        foreach (ServedModel model in all)
        {
            json.Writer.WriteStartObject();
            json.Writer.WriteString("name", model.Name.Value);
            json.Writer.WriteString("model", model.Name.Value);
            if (running) json.Writer.WriteString("expires_at", DateTimeOffset.MaxValue.AddSeconds(-1));
            else json.Writer.WriteString("modified_at", model.ServedSince.ToDateTimeOffset());
            json.Writer.WriteNumber("size", 0);
            if (running) json.Writer.WriteNumber("size_vram", 0);
            json.Writer.WriteString("digest", Digest(model));
            WriteDetails(json.Writer);
            if (running) json.Writer.WriteNumber("context_length", model.ContextLength);
            json.Writer.WriteEndObject();
        }
        json.Writer.WriteEndArray();
        json.Writer.WriteEndObject();
        await json.SendAsync(context.Response);
    }

    private async Task ShowAsync(HttpContext context)
    {
        Caller caller = callers.Require(context.Request);
        ServedModel model;
        using (JsonBody body = await JsonBody.ReadAsync(context.Request, options, context.RequestAborted))
            model = requests.FindFor(caller, JsonFields.OfRequest(body.Root));
        using JsonAnswer json = new();
        json.Writer.WriteStartObject();
        json.Writer.WriteString("modelfile", "");
        json.Writer.WriteString("parameters", "");
        json.Writer.WriteString("template", "");
        WriteDetails(json.Writer);
        json.Writer.WriteStartObject("model_info");
        json.Writer.WriteString("general.architecture", "qwen");
        json.Writer.WriteString("general.basename", model.Name.Value);
        json.Writer.WriteNumber("qwen.context_length", model.ContextLength);
        json.Writer.WriteNumber("tokenizer.ggml.tokens.count", model.VocabularySize);
        json.Writer.WriteEndObject();
        json.Writer.WriteStartArray("capabilities");
        foreach (string ability in (string[])(model.Generates ? ["completion", "tools", "thinking"] : ["embedding"])) json.Writer.WriteStringValue(ability);
        json.Writer.WriteEndArray();
        json.Writer.WriteString("modified_at", model.ServedSince.ToDateTimeOffset());
        json.Writer.WriteEndObject();
        await json.SendAsync(context.Response);
    }

    private static async Task VersionAsync(HttpContext context)
    {
        using JsonAnswer json = new();
        json.Writer.WriteStartObject();
        json.Writer.WriteString("version", QanatVersion.Text);
        json.Writer.WriteEndObject();
        await json.SendAsync(context.Response);
    }

    private static void WriteDetails(Utf8JsonWriter json)
    {
        json.WriteStartObject("details");
        json.WriteString("parent_model", "");
        json.WriteString("format", "gguf");
        json.WriteString("family", "qwen");
        json.WriteStartArray("families");
        json.WriteStringValue("qwen");
        json.WriteEndArray();
        json.WriteString("parameter_size", "");
        json.WriteString("quantization_level", "");
        json.WriteEndObject();
    }

    /// <summary>Names a model as long as it is served.</summary>
    private static string Digest(ServedModel model) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{model.Name.Value}@{model.ServedSince.UnixNanoseconds}")));
}
