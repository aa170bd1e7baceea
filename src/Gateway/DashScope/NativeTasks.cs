using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway;

/// <summary>Generations that are asked for now and fetched later (X-DashScope-Async). Their results are kept for a day. A task that the end of the process cut off has failed, and is not charged beyond what it used.</summary>
internal sealed class NativeTasks(IDocumentStore documents, AnswerServing answers, GatewayOptions options, TenantStops stops, TimeProvider clock, ILogger<NativeTasks> log) : IHostedService, IDisposable
{
    private const string Kind = "task";
    private readonly ConcurrentDictionary<string, RunningTask> running = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource stopping = new();
    private readonly TenantPlaces underWay = new(options.Kept.TasksUnderWayMax);

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await stopping.CancelAsync();
        await Task.WhenAll(running.Values.Select(each => each.Work)).WaitAsync(cancellationToken);
    }

    /// <summary>Begins it, and says what it is called.</summary>
    /// <exception cref="ApiException">403: the tenant is stopped. 429: it has as many under way, or keeps as many results, as it may.</exception>
    public async Task<JsonObject> BeginAsync(Caller caller, NativeRequest request)
    {
        TenantId tenant = caller.Tenant.Id;
        stops.Demand(tenant);
        IDisposable place = underWay.TryTake(tenant) ?? throw KeptRefusal.TooMany(FormattableString.Invariant(
            $"This tenant has {options.Kept.TasksUnderWayMax} tasks under way, as many as it may. Wait until one has ended, or cancel one (POST /api/v1/tasks/ID/cancel)."));
        try
        {
            return await BeginAsync(caller, request, place);
        }
        catch
        {
            place.Dispose();
            throw;
        }
    }

    private async Task<JsonObject> BeginAsync(Caller caller, NativeRequest request, IDisposable place)
    {
        string id = RequestId.New(clock).Value.ToString("D");
        JsonObject task = new() { ["task_id"] = id, ["task_status"] = "PENDING", ["submit_time"] = Now };
        await AddAsync(KeyOf(caller.Tenant.Id, id), new JsonObject { ["output"] = task.DeepClone(), [Owned.Project] = caller.Project.Id.ToString() });
        CancellationTokenSource ending = CancellationTokenSource.CreateLinkedTokenSource(stopping.Token);
        TaskCompletionSource begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
        running[id] = new RunningTask(ending, Task.Run(async () =>
        {
            await begun.Task;
            await RunAsync(caller, task, request, place, ending.Token);
        }));
        begun.SetResult();
        return new JsonObject { ["output"] = new JsonObject { ["task_id"] = id, ["task_status"] = "PENDING" } };
    }

    /// <exception cref="ApiException">404: there is no such task that this caller reaches.</exception>
    public async Task<JsonObject> FindAsync(Caller caller, string id, CancellationToken cancel)
    {
        // Before it is read: one that ends meanwhile has said how, before it counts as running no more.
        bool wasRunning = running.ContainsKey(id);
        StoredDocument? found = await documents.FindAsync(KeyOf(caller.Tenant.Id, id), cancel);
        if (found is null || JsonNode.Parse(found.Content.Span)!.AsObject() is not { } content || !caller.Reaches(Owned.ProjectIn(content)))
            throw new ApiException(404, Refusal.InvalidRequest, "task_not_found", $"There is no task '{id[..Math.Min(80, id.Length)]}': it expired, or belongs to another project or tenant.", "task_id");
        content.Remove(Owned.Project);
        bool cutOff = (string?)content["output"]!["task_status"] is "PENDING" or "RUNNING" && !wasRunning;
        if (cutOff) Fail(content["output"]!.AsObject(), "InternalError", "The server ended before the task did. Ask again.");
        return content;
    }

    /// <exception cref="ApiException">404 as above; 409: it has ended already.</exception>
    public async Task CancelAsync(Caller caller, string id, CancellationToken cancel)
    {
        await FindAsync(caller, id, cancel);
        if (!running.TryGetValue(id, out RunningTask? task)) throw new ApiException(409, Refusal.InvalidRequest, "task_ended", "The task has ended already.");
        await task.Ending.CancelAsync();
        await task.Work.WaitAsync(cancel);
    }

    public void Dispose() => stopping.Dispose();

    private string Now => clock.GetUtcNow().ToString("yyyy-MM-dd HH:mm:ss.fff", CultureInfo.InvariantCulture);

    private async Task RunAsync(Caller caller, JsonObject task, NativeRequest request, IDisposable place, CancellationToken cancel)
    {
        string id = (string)task["task_id"]!;
        JsonObject result = new() { ["output"] = task, [Owned.Project] = caller.Project.Id.ToString() };
        try
        {
            task["task_status"] = "RUNNING";
            task["scheduled_time"] = Now;
            await SaveAsync(caller.Tenant.Id, id, result);
            NativeTeller teller = new(request.Format);
            ToldAnswer answer = await answers.GatherAsync(request.Generation with { Stream = false }, teller, cancel);
            result["usage"] = Told(json => NativeTeller.WriteUsage(json, answer, answer.Bill))["usage"]!.DeepClone();
            foreach ((string name, JsonNode? value) in Told(json => teller.WriteOutput(json, answer))) task[name] = value?.DeepClone();
            task["task_status"] = "SUCCEEDED";
            task["end_time"] = Now;
        }
        catch (OperationCanceledException)
        {
            task["task_status"] = "CANCELED";
            task["end_time"] = Now;
        }
        catch (ApiException error)
        {
            Fail(task, DashScopeErrors.CodeOf(error), error.Message);
        }
        catch (Exception error)
        {
            log.LogError(error, "Task {Task} failed", id);
            Fail(task, "InternalError", ErrorBoundary.Word(error).Message);
        }
        finally
        {
            // Before its end is told: whoever knows of it may begin another.
            place.Dispose();
            await SaveAsync(caller.Tenant.Id, id, result);
            running.TryRemove(id, out _);
        }
    }

    private void Fail(JsonObject task, string code, string message)
    {
        task["task_status"] = "FAILED";
        task["code"] = code;
        task["message"] = message;
        task["end_time"] = Now;
    }

    private async Task AddAsync(DocumentKey key, JsonObject content)
    {
        try
        {
            await documents.TryAddAsync(new NewDocument(key, Instant.Now(clock), Bytes(content), Instant.From(clock.GetUtcNow() + options.TasksKept), options.Kept.Tasks));
        }
        catch (DocumentsFullException)
        {
            throw KeptRefusal.TooMany(FormattableString.Invariant(
                $"This tenant has as many results of tasks as are kept for it ({options.Kept.TasksMax}, {options.Kept.TaskBytesMax >> 20} MB). Each goes by itself {options.TasksKept.TotalHours:0.#} hours after its task was asked for."));
        }
    }

    private async Task SaveAsync(TenantId tenant, string id, JsonObject content)
    {
        DocumentKey key = KeyOf(tenant, id);
        if (await documents.FindAsync(key) is { } found) await documents.TryReplaceAsync(key, found.Version, Bytes(content), found.ExpiresAt);
    }

    private static JsonObject Told(Action<Utf8JsonWriter> write)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }
        return JsonNode.Parse(bytes.ToArray())!.AsObject();
    }

    private static DocumentKey KeyOf(TenantId tenant, string id) => new(Kind, tenant, id);
    private static byte[] Bytes(JsonObject json) => JsonSerializer.SerializeToUtf8Bytes(json, GatewayJson.Default.JsonObject);

    private sealed record RunningTask(CancellationTokenSource Ending, Task Work);
}
