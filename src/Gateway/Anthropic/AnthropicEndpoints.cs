using Microsoft.AspNetCore.Http;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Anthropic's API, at its own paths and at those where Model Studio and others serve it.</summary>
internal sealed class AnthropicEndpoints(Callers callers, ServedModels models, MessageRequests messages, AnswerServing answers, PromptCounter counter, GatewayOptions options)
{
    private static readonly string[] Bases = ["/v1", "/anthropic/v1", "/apps/anthropic/v1"];

    /// <summary>Errors of these requests are worded as Anthropic's; paths that others share are told apart by the header its clients send.</summary>
    public static bool Owns(HttpRequest request)
    {
        bool atOwnPath = request.Path.StartsWithSegments("/anthropic", StringComparison.OrdinalIgnoreCase) || request.Path.StartsWithSegments("/apps/anthropic", StringComparison.OrdinalIgnoreCase)
            || request.Path.StartsWithSegments("/v1/messages", StringComparison.OrdinalIgnoreCase);
        return atOwnPath || IsSpoken(request);
    }

    /// <summary>The header by which a client says that it speaks Anthropic's API, where a path is not its own.</summary>
    internal static Field Version { get; } = Field.May("anthropic-version", Schema.Text("Any: the client speaks Anthropic's API"));

    /// <summary>The client speaks Anthropic's API.</summary>
    public static bool IsSpoken(HttpRequest request) => request.Headers.ContainsKey("anthropic-version");

    public void Map(ApiRoutes routes)
    {
        foreach (string root in Bases)
        {
            routes.Post(root + "/messages", Permission.Infer, SendAsync, new(Tags.Anthropic, "Answer a conversation") { Body = RequestSchemas.Message(options), Headers = [Version], Streams = StreamFraming.EventsType, IsCharged = true });
            routes.Post(root + "/messages/count_tokens", Permission.Infer, CountAsync, new(Tags.Anthropic, "Count the tokens of a conversation; nothing is charged") { Body = RequestSchemas.MessageToCount, Answer = PromptCounter.Counted });
        }
        foreach (string root in Bases.Skip(1))
        {
            routes.Get(root + "/models", Permission.Infer, ListModelsAsync, new(Tags.Anthropic, "The models served here"));
            routes.Get(root + "/models/{**id}", Permission.Infer, ShowModelAsync, new(Tags.Anthropic, "One model"));
        }
    }

    public async Task ListModelsAsync(HttpContext context)
    {
        IReadOnlyList<ServedModel> all = models.For(callers.Require(context.Request));
        using JsonAnswer json = new();
        json.Writer.WriteStartObject();
        json.Writer.WriteStartArray("data");
        foreach (ServedModel model in all) Write(json, model);
        json.Writer.WriteEndArray();
        json.Writer.WriteBoolean("has_more", false);
        json.Writer.WriteString("first_id", all.Count > 0 ? all[0].Name.Value : null);
        json.Writer.WriteString("last_id", all.Count > 0 ? all[^1].Name.Value : null);
        json.Writer.WriteEndObject();
        await json.SendAsync(context.Response);
    }

    public async Task ShowModelAsync(HttpContext context)
    {
        Caller caller = callers.Require(context.Request);
        using JsonAnswer json = new();
        Write(json, models.FindFor(caller, (string)context.Request.RouteValues["id"]!));
        await json.SendAsync(context.Response);
    }

    private async Task SendAsync(HttpContext context)
    {
        Caller caller = callers.Require(context.Request);
        GenerationRequest request;
        using (JsonBody body = await JsonBody.ReadAsync(context.Request, options, context.RequestAborted))
            request = SessionHints.Add(context.Request, JsonFields.OfRequest(body.Root), messages.Read(JsonFields.OfRequest(body.Root), caller));
        await answers.SendAsync(context, request, new MessageTeller());
    }

    private async Task CountAsync(HttpContext context)
    {
        Caller caller = callers.Require(context.Request);
        Call call;
        using (JsonBody body = await JsonBody.ReadAsync(context.Request, options, context.RequestAborted))
            call = messages.ReadToCount(JsonFields.OfRequest(body.Root), caller);
        await counter.SendAsync(context, call, kind: null);
    }

    private static void Write(JsonAnswer json, ServedModel model)
    {
        json.Writer.WriteStartObject();
        json.Writer.WriteString("type", "model");
        json.Writer.WriteString("id", model.Name.Value);
        json.Writer.WriteString("display_name", model.Name.Value);
        json.Writer.WriteString("created_at", model.ServedSince.ToDateTimeOffset());
        json.Writer.WriteNumber("max_input_tokens", model.ContextLength);
        json.Writer.WriteEndObject();
    }
}
