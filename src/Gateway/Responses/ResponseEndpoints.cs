using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>OpenAI's Responses API.</summary>
internal sealed class ResponseEndpoints(Callers callers, ResponseRequests requests, ResponseStore kept, AnswerServing answers, PromptCounter counter, GatewayOptions options, ILogger<ResponseEndpoints> log)
{
    private const int PageDefault = 20;

    public void Map(ApiRoutes routes)
    {
        foreach (string root in OpenAiEndpoints.Roots)
        {
            routes.Post(root + "/responses", Permission.Infer, CreateAsync, new(Tags.Responses, "Make a response; it is stored if store is true, or if the tenant wants it and store is not false")
            {
                Body = RequestSchemas.Response(options),
                Headers = [Field.May("x-dashscope-session-cache", Schema.OneOf("Keep the whole prompt in the cache", "enable"))],
                Streams = StreamFraming.EventsType,
                IsCharged = true,
            });
            routes.Post(root + "/responses/input_tokens", Permission.Infer, CountAsync, new(Tags.Responses, "Count the tokens that a request would have; nothing is charged") { Body = RequestSchemas.Response(options), Answer = PromptCounter.Counted });
            routes.Get(root + "/responses/{id}", Permission.Infer, ShowAsync, new(Tags.Responses, "A response that was stored"));
            routes.Delete(root + "/responses/{id}", Permission.Infer, DeleteAsync, new(Tags.Responses, "Delete a response") { Answer = AnswerSchemas.Deleted });
            routes.Get(root + "/responses/{id}/input_items", Permission.Infer, ListInputAsync, new(Tags.Responses, "The items a response was made from") { Query = Asked.Page(PageDefault, options.PageMax), Answer = AnswerSchemas.Page(Schema.AnyObject) });
        }
    }

    private async Task CreateAsync(HttpContext context)
    {
        Caller caller = callers.Require(context.Request);
        ResponseAsk ask = await ReadAsync(context, caller);
        if (ask.Store) await kept.DemandRoomAsync(caller.Tenant.Id, context.RequestAborted);
        ResponseTeller teller = new(ask);
        await answers.SendAsync(context, ask.Generation, teller, ask.Store ? answer => KeepAsync(caller, ask, teller, answer) : null);
    }

    /// <summary>Stored before its end is told, so that whoever knows its id finds it. An answer is not taken back because it could not be: its end says that it is not stored.</summary>
    private async Task KeepAsync(Caller caller, ResponseAsk ask, ResponseTeller teller, ToldAnswer answer)
    {
        string id = answer.Head.Id;
        for (int index = 0; index < ask.Input.Count; index++)
        {
            if (ask.Input[index] is JsonObject item && item["id"] is null) item["id"] = ItemIds.Of("in", id, index);
        }
        try
        {
            await kept.KeepAsync(caller, id, new KeptResponse(teller.ToNode(answer), ask.Input), CancellationToken.None);
        }
        catch (StoreException error)
        {
            ask.SayNotStored();
            log.LogWarning("Response {Response} could not be stored: {Failure}", id, error.Message);
        }
    }

    private async Task CountAsync(HttpContext context)
    {
        ResponseAsk ask = await ReadAsync(context, callers.Require(context.Request));
        await counter.SendAsync(context, ask.Generation.Calls[0], "response.input_tokens");
    }

    private async Task ShowAsync(HttpContext context)
    {
        KeptResponse found = await FindAsync(context);
        await SendAsync(context, found.Response);
    }

    private async Task DeleteAsync(HttpContext context)
    {
        Caller caller = callers.Require(context.Request);
        string id = IdOf(context);
        await FindAsync(context);
        if (!await kept.DeleteAsync(caller.Tenant.Id, id, context.RequestAborted)) throw ResponseStore.NotKept(caller.Tenant, id, null);
        await SendAsync(context, new JsonObject { ["id"] = id, ["object"] = "response.deleted", ["deleted"] = true });
    }

    /// <summary>The items a response was made from, newest first unless asked otherwise.</summary>
    private async Task ListInputAsync(HttpContext context)
    {
        KeptResponse found = await FindAsync(context);
        PageAsk page = PageAsk.Of(context.Request, PageDefault, options.PageMax);
        JsonObject[] items = [.. found.Input.Select(item => item!.AsObject())];
        if (!page.OldestFirst) Array.Reverse(items);
        await SendAsync(context, page.ListOf(items));
    }

    private async Task<ResponseAsk> ReadAsync(HttpContext context, Caller caller)
    {
        using JsonBody body = await JsonBody.ReadAsync(context.Request, options, context.RequestAborted);
        JsonFields fields = JsonFields.OfRequest(body.Root);
        ResponseAsk ask = await requests.ReadAsync(fields, caller, CachesSession(context.Request), context.RequestAborted);
        return ask with { Generation = SessionHints.Add(context.Request, fields, ask.Generation) };
    }

    /// <summary>Model Studio's switch: everything that this response is made from is to be found again by the next one.</summary>
    private static bool CachesSession(HttpRequest request) => "enable".Equals(request.Headers["x-dashscope-session-cache"], StringComparison.OrdinalIgnoreCase);

    private async Task<KeptResponse> FindAsync(HttpContext context)
    {
        Caller caller = callers.Require(context.Request);
        string id = IdOf(context);
        return await kept.FindAsync(caller, id, context.RequestAborted) ?? throw ResponseStore.NotKept(caller.Tenant, id, null);
    }

    private static string IdOf(HttpContext context) => (string)context.Request.RouteValues["id"]!;

    private static async Task SendAsync(HttpContext context, JsonObject answer)
    {
        using JsonAnswer json = new();
        answer.WriteTo(json.Writer);
        await json.SendAsync(context.Response);
    }
}
