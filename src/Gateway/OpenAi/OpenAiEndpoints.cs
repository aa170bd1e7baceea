using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>OpenAI's API.</summary>
internal sealed class OpenAiEndpoints(Callers callers, AnthropicEndpoints anthropic, ModelList models, ChatRequests chats, CompletionRequests completions, GenerationAnswer answer, GatewayOptions options)
{
    /// <summary>The second is where Model Studio serves OpenAI's API.</summary>
    public static readonly string[] Roots = ["/v1", "/compatible-mode/v1"];

    private static readonly ChatShape Chat = new();
    private static readonly CompletionShape Completion = new();

    public void Map(ApiRoutes routes)
    {
        foreach (string root in Roots)
        {
            routes.Get(root + "/models", Permission.Infer, context => AnthropicEndpoints.IsSpoken(context.Request) ? anthropic.ListModelsAsync(context) : ListModelsAsync(context), new(Tags.OpenAi, "The models served here, each with its context and its price for you; Anthropic's form for clients that send anthropic-version") { Headers = [AnthropicEndpoints.Version], Answer = AnswerSchemas.Models });
            // Names of models may contain slashes.
            routes.Get(root + "/models/{**id}", Permission.Infer, context => AnthropicEndpoints.IsSpoken(context.Request) ? anthropic.ShowModelAsync(context) : ShowModelAsync(context), new(Tags.OpenAi, "One model") { Headers = [AnthropicEndpoints.Version], Answer = AnswerSchemas.Model });
            routes.Post(root + "/chat/completions", Permission.Infer, context => GenerateAsync(context, chats.Read, Chat), new(Tags.OpenAi, "Answer a conversation, whole or as a stream")
            {
                Body = RequestSchemas.Chat(options),
                Answer = AnswerSchemas.Chat,
                Streams = StreamFraming.EventsType,
                IsCharged = true,
            });
            routes.Post(root + "/completions", Permission.Infer, context => GenerateAsync(context, completions.Read, Completion), new(Tags.OpenAi, "Continue a text, or several")
            {
                Body = RequestSchemas.Completion(options),
                Answer = AnswerSchemas.Completion,
                Streams = StreamFraming.EventsType,
                IsCharged = true,
            });
        }
    }

    private async Task ListModelsAsync(HttpContext context)
    {
        Caller caller = callers.Require(context.Request);
        using JsonAnswer json = new();
        models.WriteAll(json.Writer, caller);
        await json.SendAsync(context.Response);
    }

    private async Task ShowModelAsync(HttpContext context)
    {
        Caller caller = callers.Require(context.Request);
        using JsonAnswer json = new();
        models.WriteOne(json.Writer, (string)context.Request.RouteValues["id"]!, caller);
        await json.SendAsync(context.Response);
    }

    private async Task GenerateAsync(HttpContext context, Func<JsonFields, Caller, GenerationRequest> read, AnswerShape shape)
    {
        Caller caller = callers.Require(context.Request);
        GenerationRequest request;
        using (JsonBody body = await JsonBody.ReadAsync(context.Request, options, context.RequestAborted))
        {
            JsonFields fields = JsonFields.OfRequest(body.Root);
            request = SessionHints.Add(context.Request, fields, read(fields, caller));
        }
        await answer.SendAsync(context, request, shape);
    }
}
