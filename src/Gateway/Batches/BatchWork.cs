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
/// <param name="place">Among those that the tenant has under way: left with the batch's end.</param>
internal sealed class BatchWork(BatchTools tools, TenantId tenant, BatchState batch, IDisposable place, CancellationToken shutdown)
{
    private const int RowErrorsShownMax = 100;
    private const int RowsBetweenSaves = 16;

    /// <summary>How often a pause of which nobody says how long it is gets twice as long.</summary>
    private const int WaitDoublingsMax = 6;
    private readonly Lock gate = new();
    private readonly CancellationTokenSource cancelled = CancellationTokenSource.CreateLinkedTokenSource(shutdown);
    private Exception? broken;
    private int sinceSave;

    public TenantId Tenant => tenant;
    public BatchState Batch => batch;

    /// <summary>Somebody cancelled it while it was worked on.</summary>
    public bool IsCancelled => cancelled.IsCancellationRequested && !shutdown.IsCancellationRequested;

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
            Enter(BatchStatus.Cancelling);
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
        catch (ApiException refused)
        {
            // No further row can be served: those that were are delivered, as they may be charged.
            lock (gate) batch.Stored["errors"] = BatchRows.ErrorsJson([new BatchRowError(null, refused.Code, refused.Message, refused.Param)]);
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
            Enter(BatchStatus.Failed);
        }
        await SaveAsync();
    }

    private long Now => tools.Clock.GetUtcNow().ToUnixTimeSeconds();
    private bool HasExpired => Now >= batch.ExpiresUnixSeconds;

    private void Enter(BatchStatus status)
    {
        batch.Enter(status, Now);
        // Before anybody knows of it: they may begin another.
        if (batch.HasEnded) place.Dispose();
    }

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
            if (batch.Status == BatchStatus.Validating) Enter(errors.Count > 0 ? BatchStatus.Failed : BatchStatus.InProgress);
        }
        await SaveAsync();
    }

    private async Task ServeRowsAsync()
    {
        lock (gate) batch.Completed = batch.Failed = 0;
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
                // Those that wait for something else than a place count too.
                while (running.Count >= tools.Options.BatchRowsInFlightMax) running.Remove(await Task.WhenAny(running));
                running.Add(ServeInPlaceAsync(row, await tools.Places.TakeAsync(model, cancelled.Token), kept));
                running.RemoveWhere(task => task.IsCompletedSuccessfully);
            }
        }
        finally
        {
            await Task.WhenAll(running);
        }
        if (broken is not null) throw broken;
    }

    private async Task ServeInPlaceAsync(BatchRow row, BatchPlaces.Place place, KeptRow? before)
    {
        try
        {
            await ServeAsync(row, place, before);
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
            place.Dispose();
        }
    }

    private async Task ServeAsync(BatchRow row, BatchPlaces.Place place, KeptRow? before)
    {
        // Of attempts that charged something, or of which it is not known, also those of a process that died: call after call, attempt after attempt.
        List<Guid> asked = [.. before?.Requests ?? []];
        ChargedBefore charged = ChargedBefore.Nothing;
        JsonObject result = new() { ["id"] = FormattableString.Invariant($"batch_req_{batch.Id["batch_".Length..]}_{row.Line}"), ["custom_id"] = row.CustomId };
        bool ok = true;
        DocumentVersion? begun = null;
        for (int attempt = 1, waits = 0; ;)
        {
            int askedBefore = asked.Count;
            Caller caller = Caller();
            try
            {
                RowRequest request = tools.Rows.Read(batch.Endpoint, row, caller);
                charged = ChargedBefore.Of(await ChargesAsync(asked), request.Calls.Length);
                request = WithIds(request, charged);
                asked.AddRange(request.Calls.Select(call => call.Id!.Value.Value));
                begun = await tools.Batches.BeginRowAsync(tenant, batch.Id, row.Line, asked, cancelled.Token);
                JsonObject body = await tools.Rows.ServeAsync(request, cancelled.Token);
                result["response"] = new JsonObject { ["status_code"] = 200, ["request_id"] = request.Calls[0].Id!.Value.Value.ToString("D"), ["body"] = body };
                break;
            }
            catch (ApiException error) when (IsForTheMoment(error) && !HasExpired)
            {
                // No attempt: nothing is wrong with the row or the engine, and it has time.
                TimeSpan pause = error.RetryAfter ?? tools.Options.RetryAfterFailure * (1 << Math.Min(waits++, WaitDoublingsMax));
                await ForgetAsync(asked, askedBefore);
                await place.PauseAsync(pause, cancelled.Token);
            }
            catch (ApiException error) when (error.Status >= 500 && attempt < tools.Options.BatchAttemptsMax)
            {
                // What failed is not charged; what was charged beside it is not charged again.
                attempt++;
                await ForgetAsync(asked, askedBefore);
                await place.PauseAsync(error.RetryAfter ?? tools.Options.RetryAfterFailure, cancelled.Token);
            }
            catch (ApiException error) when (!IsForTheMoment(error))
            {
                result["response"] = new JsonObject { ["status_code"] = error.Status, ["request_id"] = null, ["body"] = ErrorJson(error) };
                ok = false;
                break;
            }
            catch (ApiException)
            {
                // It waited as long as its batch had time: it was not reached.
                return;
            }
        }
        result["error"] = null;
        // Of several prompts some may have been answered before another failed.
        Money? lost = ok ? charged.Sum : BatchUsage.SumOf(await ChargesAsync(asked));
        if (!ok && lost is { } paid) result["x_qanat"] = new JsonObject { ["charge"] = paid.ToDecimalText(), ["currency"] = paid.Currency.Code };
        await tools.Batches.EndRowAsync(tenant, batch.Id, row.Line, begun, new KeptEnd(ok, result, lost), CancellationToken.None);
        if (Count(ok)) await SaveAsync();
    }

    /// <summary>What will be otherwise in a while: the caller's own rates and what others hold, a tenant that is stopped, a process that is about to end.</summary>
    private static bool IsForTheMoment(ApiException error) => error.Status == 429 || error.Code is TenantStops.Code or DrainState.Code;

    /// <summary>Of an attempt that charged nothing, nothing need be remembered.</summary>
    private async Task ForgetAsync(List<Guid> asked, int from)
    {
        if (!(await ChargesAsync(asked.GetRange(from, asked.Count - from))).Any(charge => charge is not null)) asked.RemoveRange(from, asked.Count - from);
    }

    /// <summary>What each request was charged, in the order they were made; null: nothing. None of them runs any more: a call of a batch has ended only when it is settled.</summary>
    private async Task<Money?[]> ChargesAsync(IReadOnlyList<Guid> asked)
    {
        Money?[] charges = new Money?[asked.Count];
        for (int index = 0; index < asked.Count; index++)
        {
            foreach (UsageRecord record in await tools.Books.ReadUsageAsync(new UsageQuery(Period.All, Id: new RequestId(asked[index])), shutdown))
                if (record.Charge is { IsZero: false } charge) charges[index] = charge;
        }
        return charges;
    }

    /// <summary>A request whose answer was charged and lost is served again without charge.</summary>
    private RowRequest WithIds(RowRequest request, ChargedBefore charged) => request with
    {
        Calls = [.. request.Calls.Select((call, index) => call with { Id = RequestId.New(tools.Clock), IsWaived = index < charged.Which.Length && charged.Which[index] })],
    };

    /// <summary>Requests that were charged, though their answers are lost.</summary>
    /// <param name="Which">By call.</param>
    /// <param name="Sum">Null: nothing was.</param>
    private sealed record ChargedBefore(ImmutableArray<bool> Which, Money? Sum)
    {
        public static readonly ChargedBefore Nothing = new([], null);

        /// <param name="charges">Call after call, attempt after attempt.</param>
        public static ChargedBefore Of(Money?[] charges, int calls)
        {
            // Another engine reads the texts of a row in other pieces: which are paid for is not known then, and none is charged again.
            bool isCutAlike = charges.Length % calls == 0;
            bool[] which = new bool[calls];
            for (int index = 0; index < charges.Length; index++)
            {
                if (charges[index] is null) continue;
                if (isCutAlike) which[index % calls] = true;
                else Array.Fill(which, true);
            }
            return new ChargedBefore([.. which], BatchUsage.SumOf(charges));
        }
    }

    /// <summary>The rows that are done, in the order of the input: answers in one file, errors in another. Rows that were not reached before the batch expired or could not go on are errors; of a cancelled batch they are left out.</summary>
    private async Task WriteResultsAsync()
    {
        bool wasCancelled = batch.Status == BatchStatus.Cancelling;
        lock (gate)
        {
            if (!wasCancelled) Enter(BatchStatus.Finalizing);
            batch.Completed = batch.Failed = 0;
        }
        await SaveAsync();
        await using FileStore.FileWriter output = tools.Files.Begin(tenant, batch.Project, batch.Id + "_output.jsonl", "batch_output");
        await using FileStore.FileWriter errors = tools.Files.Begin(tenant, batch.Project, batch.Id + "_error.jsonl", "batch_output");
        List<int> lines = [];
        BatchUsage usage = new();
        bool allReached = true;
        await foreach ((int number, ReadOnlyMemory<byte> line) in LinesAsync())
        {
            KeptRow? kept = await tools.Batches.FindRowAsync(tenant, batch.Id, number, shutdown);
            lines.Add(number);
            // Of a row that was not done something may be charged: it was cancelled, or the process died, between two of its prompts.
            if (kept is { Ok: null }) usage.Add(BatchUsage.SumOf(await ChargesAsync(kept.Requests)));
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
            Enter(wasCancelled ? BatchStatus.Cancelled : allReached ? BatchStatus.Completed : Stopped is null ? BatchStatus.Expired : BatchStatus.Failed);
        }
        await SaveAsync();
        await tools.Batches.DeleteRowsAsync(tenant, batch.Id, lines, CancellationToken.None);
    }

    private JsonObject Unreached(int number, ReadOnlyMemory<byte> line) => new()
    {
        ["id"] = FormattableString.Invariant($"batch_req_{batch.Id["batch_".Length..]}_{number}"),
        ["custom_id"] = BatchRows.TryRead(number, line, batch.Endpoint, out _)?.CustomId,
        ["response"] = null,
        ["error"] = new JsonObject { ["code"] = (string?)Stopped?["code"] ?? "batch_expired", ["message"] = (string?)Stopped?["message"] ?? "The batch expired before this row was served." },
    };

    /// <summary>Why no further row could be served; null: nothing stopped it.</summary>
    private JsonNode? Stopped => batch.Stored["errors"]?["data"]?[0];

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

    /// <summary>The key that asked for the batch, with its limits, as it stands now. One that has expired since, as it does when it is rotated, still serves what it asked for.</summary>
    /// <exception cref="ApiException">It is revoked or gone.</exception>
    private Caller Caller()
    {
        DirectoryModel directory = tools.Directory.Current;
        ApiKey? key = directory.FindKey(new KeyId(batch.Key));
        if (key is null || key.RevokedAt is not null) throw new ApiException(401, Refusal.InvalidRequest, "invalid_api_key", "The key that asked for this batch was revoked.");
        return new Caller(directory.Tenant(key.Tenant), directory.Project(key.Project), key);
    }
}
