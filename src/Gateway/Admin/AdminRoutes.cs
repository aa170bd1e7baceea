using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace Qanat.Gateway;

/// <summary>Maps the routes of the admin API. What answers one is given the request, and the fields of its body where it has one, and gives JSON; the words say which fields and parameters are read.</summary>
internal sealed class AdminRoutes(ApiRoutes routes, Callers callers, GatewayOptions options)
{
    public void Get(string path, Permission needs, Func<AdminRequest, JsonObject> answer, RouteWords words) => Get(path, needs, request => Task.FromResult(answer(request)), words);
    public void Get(string path, Permission needs, Func<AdminRequest, Task<JsonObject>> answer, RouteWords words) => routes.Get(path, needs, Bodiless(answer), words);
    public void Delete(string path, Permission needs, Func<AdminRequest, Task<JsonObject>> answer, RouteWords words) => routes.Delete(path, needs, Bodiless(answer), words);

    public void Post(string path, Permission needs, Func<AdminRequest, JsonFields, JsonObject> answer, RouteWords words) => Post(path, needs, (request, fields) => Task.FromResult(answer(request, fields)), words);
    public void Post(string path, Permission needs, Func<AdminRequest, JsonFields, Task<JsonObject>> answer, RouteWords words) => routes.Post(path, needs, WithBody(answer), words with { Body = words.Body ?? Schema.AnyObject });
    public void Put(string path, Permission needs, Func<AdminRequest, JsonFields, Task<JsonObject>> answer, RouteWords words) => routes.Put(path, needs, WithBody(answer), words with { Body = words.Body ?? Schema.AnyObject });

    /// <summary>What answers with a file writes it itself.</summary>
    public void GetFile(string path, Permission needs, Func<HttpContext, AdminRequest, Task> answer, RouteWords words) => routes.Get(path, needs, context => answer(context, RequestOf(context)), words);

    /// <summary>What reads another body than an object reads it itself.</summary>
    public void PostRaw(string path, Permission needs, RequestDelegate serve, RouteWords words) => routes.Post(path, needs, serve, words);

    private RequestDelegate Bodiless(Func<AdminRequest, Task<JsonObject>> answer) => async context => await SendAsync(context, await answer(RequestOf(context)));

    private RequestDelegate WithBody(Func<AdminRequest, JsonFields, Task<JsonObject>> answer) => async context =>
    {
        using JsonBody body = await JsonBody.ReadAsync(context.Request, options, context.RequestAborted);
        await SendAsync(context, await answer(RequestOf(context), JsonFields.OfRequest(body.Root)));
    };

    private AdminRequest RequestOf(HttpContext context) => new(context, callers.Require(context.Request));

    private static async Task SendAsync(HttpContext context, JsonObject answer)
    {
        using JsonAnswer json = new();
        answer.WriteTo(json.Writer);
        await json.SendAsync(context.Response);
    }
}
