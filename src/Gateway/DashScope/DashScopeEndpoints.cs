using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>DashScope's native API.</summary>
internal sealed class DashScopeEndpoints(Callers callers, NativeRequests requests, NativeTasks tasks, AnswerServing answers, GatewayOptions options)
{
    private const string Root = "/api/v1";

    /// <summary>Errors below this path are worded as DashScope's. The admin API is a level higher.</summary>
    public static bool Owns(PathString path) => path.StartsWithSegments(Root, StringComparison.OrdinalIgnoreCase);

    public void Map(ApiRoutes routes)
    {
        routes.Post(Root + "/services/aigc/text-generation/generation", Permission.Infer, GenerateAsync, new(Tags.DashScope, "Answer a conversation, whole, as a stream, or as a task")
        {
            Body = RequestSchemas.Native(options),
            Headers = [Field.May("X-DashScope-SSE", Schema.OneOf("Tell the answer while it is made", "enable")), Field.May("X-DashScope-Async", Schema.OneOf("Begin a task, and answer with its id", "enable"))],
            Streams = StreamFraming.EventsType,
            IsCharged = true,
        });
        routes.Get(Root + "/tasks/{id}", Permission.Infer, ShowTaskAsync, new(Tags.DashScope, "How far a task is, and its result"));
        routes.Post(Root + "/tasks/{id}/cancel", Permission.Infer, CancelTaskAsync, new(Tags.DashScope, "End a task"));
    }

    private async Task GenerateAsync(HttpContext context)
    {
        Caller caller = callers.Require(context.Request);
        NativeRequest request;
        using (JsonBody body = await JsonBody.ReadAsync(context.Request, options, context.RequestAborted))
        {
            JsonFields fields = JsonFields.OfRequest(body.Root);
            request = requests.Read(fields, caller, context.Request);
            request = request with { Generation = SessionHints.Add(context.Request, fields, request.Generation) };
        }
        if ("enable".Equals(context.Request.Headers["X-DashScope-Async"], StringComparison.OrdinalIgnoreCase)) await SendAsync(context, await tasks.BeginAsync(caller, request));
        else await answers.SendAsync(context, request.Generation, new NativeTeller(request.Format));
    }

    private async Task ShowTaskAsync(HttpContext context) =>
        await SendAsync(context, await tasks.FindAsync(callers.Require(context.Request), IdOf(context), context.RequestAborted));

    private async Task CancelTaskAsync(HttpContext context)
    {
        await tasks.CancelAsync(callers.Require(context.Request), IdOf(context), context.RequestAborted);
        await SendAsync(context, []);
    }

    private static string IdOf(HttpContext context) => (string)context.Request.RouteValues["id"]!;

    private static async Task SendAsync(HttpContext context, JsonObject answer)
    {
        answer["request_id"] = context.TraceIdentifier;
        using JsonAnswer json = new();
        answer.WriteTo(json.Writer);
        await json.SendAsync(context.Response);
    }
}
