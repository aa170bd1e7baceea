using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>OpenAI's batches.</summary>
internal sealed class BatchEndpoints(Callers callers, BatchStore batches, BatchRunner runner, FileStore files, TenantStops stops, GatewayOptions options, TimeProvider clock)
{
    private const int PageDefault = 20;

    public void Map(ApiRoutes routes)
    {
        foreach (string root in OpenAiEndpoints.Roots)
        {
            routes.Post(root + "/batches", Permission.Infer, CreateAsync, new(Tags.Batches, "Have the rows of a file served in idle capacity, at the batch price") { Body = RequestSchemas.Batch, Answer = AnswerSchemas.Batch });
            routes.Get(root + "/batches", Permission.Infer, ListAsync, new(Tags.Batches, "The batches of your project") { Query = Asked.Page(PageDefault, options.PageMax), Answer = AnswerSchemas.Page(AnswerSchemas.Batch) });
            routes.Get(root + "/batches/{id}", Permission.Infer, ShowAsync, new(Tags.Batches, "One batch and how far it is") { Answer = AnswerSchemas.Batch });
            routes.Post(root + "/batches/{id}/cancel", Permission.Infer, CancelAsync, new(Tags.Batches, "End a batch; what was answered stays, and is charged") { Answer = AnswerSchemas.Batch });
        }
    }

    private async Task CreateAsync(HttpContext context)
    {
        Caller caller = callers.Require(context.Request);
        stops.Demand(caller.Tenant.Id);
        BatchState batch;
        using (JsonBody body = await JsonBody.ReadAsync(context.Request, options, context.RequestAborted))
            batch = Read(JsonFields.OfRequest(body.Root), caller);
        DemandScope(caller, context.Request.Path.Value ?? "", batch.Endpoint);
        if (await files.FindAsync(caller, batch.InputFile, context.RequestAborted) is null)
            throw FileEndpoints.NotFound(batch.InputFile, "input_file_id");
        JsonObject shown = batch.ToJson();
        await runner.BeginAsync(caller.Tenant.Id, batch);
        await SendAsync(context, shown);
    }

    /// <summary>A key asks for no more in a batch than it may ask for by itself.</summary>
    /// <exception cref="ApiException">403: it is bound to other endpoints.</exception>
    private static void DemandScope(Caller caller, string path, string endpoint)
    {
        string beside = string.Concat(path.AsSpan(0, path.LastIndexOf('/')), endpoint.AsSpan(OpenAiEndpoints.Roots[0].Length));
        if (caller.Terms.AllowsPath(endpoint) || caller.Terms.AllowsPath(beside)) return;
        throw new ApiException(403, "permission_error", "endpoint_not_allowed", $"This key may not call {endpoint}. It may call: {string.Join(", ", caller.Terms.Endpoints)}.", "endpoint");
    }

    private BatchState Read(JsonFields fields, Caller caller)
    {
        string endpoint = fields.RequiredText("endpoint");
        if (!BatchRowServing.Endpoints.Contains(endpoint)) throw Refusal.Value("endpoint", $"it must be {string.Join(" or ", BatchRowServing.Endpoints.Select(each => $"'{each}'"))}.");
        string window = fields.Text("completion_window") ?? "24h";
        TimeSpan time = ReadWindow(window);
        JsonObject? metadata = fields.Object("metadata") is { } given ? RepeatableJson.Of(given.Raw, "metadata")!.AsObject() : null;
        DateTimeOffset now = clock.GetUtcNow();
        return BatchState.New("batch_" + RequestId.New(clock).Value.ToString("N"), endpoint, fields.RequiredText("input_file_id"), caller, metadata,
            new BatchTimes(window, now.ToUnixTimeSeconds(), (now + time).ToUnixTimeSeconds()));
    }

    /// <summary>"24h" to "336h", or "1d" to "14d".</summary>
    private static TimeSpan ReadWindow(string window)
    {
        const int hoursMin = 24, hoursMax = 14 * 24;
        bool isNumber = int.TryParse(window.AsSpan(0, Math.Max(0, window.Length - 1)), System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out int number);
        int hours = window.EndsWith('h') ? number : window.EndsWith('d') ? Math.Min(number, hoursMax) * 24 : 0;
        return isNumber && hours is >= hoursMin and <= hoursMax ? TimeSpan.FromHours(hours) : throw Refusal.Value("completion_window", "it must be from '24h' to '336h'.");
    }

    private async Task ListAsync(HttpContext context)
    {
        Caller caller = callers.Require(context.Request);
        PageAsk page = PageAsk.Of(context.Request, PageDefault, options.PageMax);
        List<JsonObject> all = [];
        foreach ((TenantId tenant, BatchState batch) in await batches.ListAsync(caller.Tenant.Id, context.RequestAborted))
            if (caller.Reaches(batch.Project)) all.Add(await runner.LatestAsync(tenant, batch, context.RequestAborted));
        if (!page.OldestFirst) all.Reverse();
        await SendAsync(context, page.ListOf(all));
    }

    private async Task ShowAsync(HttpContext context) => await SendAsync(context, await FindAsync(context));

    private async Task CancelAsync(HttpContext context)
    {
        BatchState batch = new(await FindAsync(context));
        if (batch.HasEnded) throw new ApiException(409, Refusal.InvalidRequest, "batch_ended", "The batch has ended already.");
        await runner.CancelAsync(batch.Id);
        await SendAsync(context, await FindAsync(context));
    }

    /// <summary>As it is shown: at its end a batch is shown a moment before it is stored.</summary>
    private async Task<JsonObject> FindAsync(HttpContext context)
    {
        Caller caller = callers.Require(context.Request);
        string id = (string)context.Request.RouteValues["id"]!;
        return await batches.FindAsync(caller.Tenant.Id, id, context.RequestAborted) is { } found && caller.Reaches(found.Project)
            ? await runner.LatestAsync(caller.Tenant.Id, found, context.RequestAborted)
            : throw new ApiException(404, Refusal.InvalidRequest, "batch_not_found", $"There is no batch '{id[..Math.Min(80, id.Length)]}', or it belongs to another project or tenant.", "id");
    }

    private static async Task SendAsync(HttpContext context, JsonObject answer)
    {
        using JsonAnswer json = new();
        answer.WriteTo(json.Writer);
        await json.SendAsync(context.Response);
    }
}
