using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway;

/// <summary>What a batch works with.</summary>
internal sealed record BatchTools(BatchStore Batches, FileStore Files, BatchRowServing Rows, DirectoryState Directory, ServedModels Models, IBookStore Books, BatchPlaces Places, GatewayOptions Options,
    TimeProvider Clock, ILogger<BatchRunner> Log);

/// <summary>One batch from its validation to its result files. Wherever it is stopped, running it again goes on from there.</summary>
internal sealed class BatchWork(BatchTools tools, TenantId tenant, BatchState batch, CancellationToken shutdown)
{
    private const int RowErrorsShownMax = 100;
    private const int RowsBetweenSaves = 16;
    private readonly Lock gate = new();
    private readonly CancellationTokenSource cancelled = CancellationTokenSource.CreateLinkedTokenSource(shutdown);
    private Exception? broken;
    private int sinceSave;

    public BatchState Batch => batch;

    /// <summary>As it is at this moment.</summary>
    public JsonObject Show()
    {
        lock (gate) return batch.ToJson();
    }

    public async Task CancelAsync()
    {
        lock (gate)
        {
            if (batch.HasEnded || batch.Status is BatchStatus.Cancelling or BatchStatus.Finalizing) return;
            batch.Enter(BatchStatus.Cancelling, Now);
        }
        await SaveAsync();
        await cancelled.CancelAsync();
    }

    public async Task RunAsync()
    {
        if (batch.Status == BatchStatus.Validating) await ValidateAsync();
        if (batch.HasEnded) return;
        try
        {
            if (batch.Status == BatchStatus.InProgress) await ServeRowsAsync();
        }
        catch (OperationCanceledException) when (!shutdown.IsCancellationRequested)
        {
            // Cancelled: what was served stays.
        }
        shutdown.ThrowIfCancellationRequested();
        await WriteResultsAsync();
    }

    /// <summary>Ends it with one error for all of it.</summary>
    public async Task FailAsync(BatchRowError error)
    {
        lock (gate)
        {
            batch.Stored["errors"] = BatchRows.ErrorsJson([error]);
            batch.Enter(BatchStatus.Failed, Now);
        }
        await SaveAsync();
    }

    private long Now => tools.Clock.GetUtcNow().ToUnixTimeSeconds();
    private bool HasExpired => Now >= batch.ExpiresUnixSeconds;

    private async Task ValidateAsync()
    {
        List<BatchRowError> errors = [];
        HashSet<string> names = new(StringComparer.Ordinal);
        string? model = null;
        long rows = 0;
        try
        {
            await foreach ((int number, ReadOnlyMemory<byte> line) in LinesAsync())
            {
                rows++;
                if (rows > tools.Options.BatchRowsMax) throw new ApiException(400, Refusal.InvalidRequest, "too_many_rows", FormattableString.Invariant($"A batch may have at most {tools.Options.BatchRowsMax} rows."));
                BatchRow? row = BatchRows.TryRead(number, line, batch.Endpoint, out BatchRowError? error);
                if (row is not null && !names.Add(row.CustomId)) error = new BatchRowError(number, "duplicate_custom_id", $"Another row has the custom_id '{row.CustomId}' already.", "custom_id");
                if (row is not null && model is not null && row.Model != model) error ??= new BatchRowError(number, "mismatched_model", $"All rows must name the same model; the first names '{model}'.", "body.model");
                model ??= row?.Model;
                if (error is not null && errors.Count < RowErrorsShownMax) errors.Add(error);
            }
            if (rows == 0) errors.Add(new BatchRowError(null, "empty_file", "The file has no rows.", "input_file_id"));
            if (model is not null) tools.Models.Find(model);
        }
        catch (ApiException refused)
        {
            errors.Add(new BatchRowError(null, refused.Code, refused.Message, refused.Param));
        }
        lock (gate)
        {
            batch.Stored["model"] = model;
            if (errors.Count > 0) batch.Stored["errors"] = BatchRows.ErrorsJson(errors);
            else batch.Total = rows;
            if (batch.Status == BatchStatus.Validating) batch.Enter(errors.Count > 0 ? BatchStatus.Failed : BatchStatus.InProgress, Now);
        }
        await SaveAsync();
    }

    private async Task ServeRowsAsync()
    {
        lock (gate) batch.Completed = batch.Failed = 0;
        Caller caller = Caller();
        ServedModel model = tools.Models.Find((string)batch.Stored["model"]!);
        HashSet<Task> running = [];
        try
        {
            await foreach ((int number, ReadOnlyMemory<byte> line) in LinesAsync())
            {
                if (HasExpired || broken is not null) break;
                KeptRow? kept = await tools.Batches.FindRowAsync(tenant, batch.Id, number, cancelled.Token);
                if (kept?.Ok is { } ok)
                {
                    Count(ok);
                    continue;
                }
                BatchRow row = BatchRows.TryRead(number, line, batch.Endpoint, out _) ?? throw new InvalidOperationException("A row that was valid is not any more.");
                await tools.Places.WaitAsync(model, cancelled.Token);
                running.Add(ServeInPlaceAsync(row, model, caller, kept));
                running.RemoveWhere(task => task.IsCompletedSuccessfully);
            }
        }
        finally
        {
            await Task.WhenAll(running);
        }
        if (broken is not null) throw broken;
    }

    private async Task ServeInPlaceAsync(BatchRow row, ServedModel model, Caller caller, KeptRow? before)
    {
        try
        {
            await ServeAsync(row, caller, before);
        }
        catch (OperationCanceledException)
        {
            // Nothing of it is kept: it is not done.
        }
        catch (Exception error)
        {
            broken = error;
        }
        finally
        {
            tools.Places.Leave(model);
        }
    }

    private async Task ServeAsync(BatchRow row, Caller caller, KeptRow? before)
    {
        // Of all attempts, also those of a process that died: call after call, attempt after attempt.
        List<Guid> asked = [.. before?.Requests ?? []];
        ChargedBefore charged = ChargedBefore.Nothing;
        JsonObject result = new() { ["id"] = FormattableString.Invariant($"batch_req_{batch.Id["batch_".Length..]}_{row.Line}"), ["custom_id"] = row.CustomId };
        bool ok = true;
        DocumentVersion? begun = null;
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                RowRequest request = tools.Rows.Read(batch.Endpoint, row, caller);
                charged = await ChargedAsync(asked, request.Calls.Length);
                request = WithIds(request, charged);
                asked.AddRange(request.Calls.Select(call => call.Id!.Value.Value));
                begun = await tools.Batches.BeginRowAsync(tenant, batch.Id, row.Line, asked, cancelled.Token);
                JsonObject body = await tools.Rows.ServeAsync(request, cancelled.Token);
                result["response"] = new JsonObject { ["status_code"] = 200, ["request_id"] = request.Calls[0].Id!.Value.Value.ToString("D"), ["body"] = body };
                break;
            }
            catch (ApiException error) when (error.Status is 429 or >= 500 && attempt < tools.Options.BatchAttemptsMax)
            {
                // What failed is not charged; what was charged beside it is not charged again.
                await Task.Delay(error.RetryAfter ?? tools.Options.RetryAfterFailure, tools.Clock, cancelled.Token);
            }
            catch (ApiException error)
            {
                result["response"] = new JsonObject { ["status_code"] = error.Status, ["request_id"] = null, ["body"] = ErrorJson(error) };
                ok = false;
                break;
            }
        }
        result["error"] = null;
        await tools.Batches.EndRowAsync(tenant, batch.Id, row.Line, begun, new KeptEnd(ok, result, charged.Sum), CancellationToken.None);
        if (Count(ok)) await SaveAsync();
    }

    /// <summary>Of the requests that the row made before: which were charged, though their answers are lost.</summary>
    private async Task<ChargedBefore> ChargedAsync(List<Guid> asked, int calls)
    {
        if (asked.Count == 0) return ChargedBefore.Nothing;
        bool[] which = new bool[calls];
        Money? sum = null;
        for (int index = 0; index < asked.Count; index++)
        {
            foreach (UsageRecord record in await tools.Books.ReadUsageAsync(new UsageQuery(Period.All, Id: new RequestId(asked[index])), cancelled.Token))
            {
                if (record.Charge is not { IsZero: false } charge) continue;
                which[index % calls] = true;
                sum = sum is { } so ? so + charge : charge;
            }
        }
        return new ChargedBefore([.. which], sum);
    }

    /// <summary>A request whose answer was charged and lost is served again without charge.</summary>
    private RowRequest WithIds(RowRequest request, ChargedBefore charged) => request with
    {
        Calls = [.. request.Calls.Select((call, index) => call with { Id = RequestId.New(tools.Clock), IsWaived = index < charged.Which.Length && charged.Which[index] })],
    };

    /// <param name="Which">By call.</param>
    /// <param name="Sum">Null: nothing was.</param>
    private sealed record ChargedBefore(ImmutableArray<bool> Which, Money? Sum)
    {
        public static readonly ChargedBefore Nothing = new([], null);
    }

    /// <summary>The rows that are done, in the order of the input: answers in one file, errors in another. Rows that were not reached before the batch expired are errors; of a cancelled batch they are left out.</summary>
    private async Task WriteResultsAsync()
    {
        bool wasCancelled = batch.Status == BatchStatus.Cancelling;
        lock (gate)
        {
            if (!wasCancelled) batch.Enter(BatchStatus.Finalizing, Now);
            batch.Completed = batch.Failed = 0;
        }
        await SaveAsync();
        await using FileStore.FileWriter output = tools.Files.Begin(tenant, batch.Id + "_output.jsonl", "batch_output");
        await using FileStore.FileWriter errors = tools.Files.Begin(tenant, batch.Id + "_error.jsonl", "batch_output");
        List<int> lines = [];
        BatchUsage usage = new();
        bool allReached = true;
        await foreach ((int number, ReadOnlyMemory<byte> line) in LinesAsync())
        {
            KeptRow? kept = await tools.Batches.FindRowAsync(tenant, batch.Id, number, shutdown);
            lines.Add(number);
            if (kept?.Ok is null && wasCancelled) continue;
            bool ok = kept?.Ok ?? false;
            allReached &= kept?.Ok is not null;
            JsonObject result = kept?.Result ?? Unreached(number, line);
            await (ok ? output : errors).WriteAsync(Line(result), shutdown);
            usage.Add(result, kept?.ChargedBefore);
            Count(ok);
        }
        FileRecord? outputFile = batch.Completed > 0 ? await output.FinishAsync(shutdown) : null;
        FileRecord? errorFile = batch.Failed > 0 ? await errors.FinishAsync(shutdown) : null;
        lock (gate)
        {
            batch.Stored["output_file_id"] = outputFile?.Id;
            batch.Stored["error_file_id"] = errorFile?.Id;
            batch.Stored["usage"] = usage.ToJson();
            batch.Enter(wasCancelled ? BatchStatus.Cancelled : allReached ? BatchStatus.Completed : BatchStatus.Expired, Now);
        }
        await SaveAsync();
        await tools.Batches.DeleteRowsAsync(tenant, batch.Id, lines, CancellationToken.None);
    }

    private JsonObject Unreached(int number, ReadOnlyMemory<byte> line) => new()
    {
        ["id"] = FormattableString.Invariant($"batch_req_{batch.Id["batch_".Length..]}_{number}"),
        ["custom_id"] = BatchRows.TryRead(number, line, batch.Endpoint, out _)?.CustomId,
        ["response"] = null,
        ["error"] = new JsonObject { ["code"] = "batch_expired", ["message"] = "The batch expired before this row was served." },
    };

    private static byte[] Line(JsonObject result)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes, JsonAnswer.Options)) result.WriteTo(json);
        bytes.WriteByte((byte)'\n');
        return bytes.ToArray();
    }

    private static JsonNode ErrorJson(ApiException error)
    {
        using MemoryStream bytes = new();
        using (Utf8JsonWriter json = new(bytes)) ErrorBody.Write(json, error);
        return JsonNode.Parse(bytes.ToArray())!;
    }

    /// <summary>Counts a row that is done; true when it is time to save.</summary>
    private bool Count(bool ok)
    {
        lock (gate)
        {
            if (ok) batch.Completed++;
            else batch.Failed++;
            return ++sinceSave % RowsBetweenSaves == 0;
        }
    }

    private Task SaveAsync()
    {
        BatchState snapshot;
        lock (gate) snapshot = new BatchState(batch.Stored.DeepClone().AsObject());
        return tools.Batches.SaveAsync(tenant, snapshot, CancellationToken.None);
    }

    private async IAsyncEnumerable<(int Number, ReadOnlyMemory<byte> Bytes)> LinesAsync()
    {
        FileRecord file = await tools.Files.FindAsync(tenant, batch.InputFile, shutdown) ?? throw FileEndpoints.NotFound(batch.InputFile);
        await foreach ((int number, ReadOnlyMemory<byte> bytes) in BatchRows.LinesAsync(tools.Files.ReadAsync(tenant, file, shutdown), tools.Options.BatchRowBytesMax))
            yield return (number, bytes);
    }

    /// <exception cref="ApiException">The key that asked for the batch is revoked or gone.</exception>
    private Caller Caller()
    {
        DirectoryModel directory = tools.Directory.Current;
        ApiKey? key = directory.FindKey(new KeyId(batch.Key));
        if (key is null || key.RevokedAt is not null) throw new ApiException(401, Refusal.InvalidRequest, "invalid_api_key", "The key that asked for this batch was revoked.");
        return new Caller(directory.Tenant(key.Tenant), directory.Project(key.Project), key);
    }
}
