using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

internal enum BatchStatus { Validating, Failed, InProgress, Finalizing, Completed, Expired, Cancelling, Cancelled }

/// <summary>A batch as it is kept and shown. Whose key asked for it is kept with it: rows are served as that key's requests.</summary>
internal sealed class BatchState(JsonObject stored)
{
    private static readonly string[] Hidden = ["key", Owned.Project];
    public static readonly string[] Words = ["validating", "failed", "in_progress", "finalizing", "completed", "expired", "cancelling", "cancelled"];

    public JsonObject Stored { get; } = stored;
    public string Id => (string)Stored["id"]!;
    public string Endpoint => (string)Stored["endpoint"]!;
    public string InputFile => (string)Stored["input_file_id"]!;
    public Guid Key => Guid.Parse((string)Stored["key"]!);
    public ProjectId? Project => Owned.ProjectIn(Stored);
    public long ExpiresUnixSeconds => (long)Stored["expires_at"]!;
    public BatchStatus Status => (BatchStatus)Array.IndexOf(Words, (string)Stored["status"]!);
    public bool HasEnded => Status is BatchStatus.Completed or BatchStatus.Failed or BatchStatus.Expired or BatchStatus.Cancelled;
    public long Total { get => Count("total"); set => Counts["total"] = value; }
    public long Completed { get => Count("completed"); set => Counts["completed"] = value; }
    public long Failed { get => Count("failed"); set => Counts["failed"] = value; }

    public static BatchState New(string id, string endpoint, string inputFile, Caller caller, JsonObject? metadata, BatchTimes times) => new(new JsonObject
    {
        ["id"] = id,
        ["object"] = "batch",
        ["endpoint"] = endpoint,
        ["model"] = null,
        ["errors"] = null,
        ["input_file_id"] = inputFile,
        ["completion_window"] = times.Window,
        ["status"] = Words[(int)BatchStatus.Validating],
        ["output_file_id"] = null,
        ["error_file_id"] = null,
        ["created_at"] = times.CreatedUnixSeconds,
        ["in_progress_at"] = null,
        ["expires_at"] = times.ExpiresUnixSeconds,
        ["finalizing_at"] = null,
        ["completed_at"] = null,
        ["failed_at"] = null,
        ["expired_at"] = null,
        ["cancelling_at"] = null,
        ["cancelled_at"] = null,
        ["request_counts"] = new JsonObject { ["total"] = 0L, ["completed"] = 0L, ["failed"] = 0L },
        ["usage"] = null,
        ["metadata"] = metadata,
        ["key"] = caller.Key.Id.Value.ToString("D"),
        [Owned.Project] = caller.Project.Id.ToString(),
    });

    public void Enter(BatchStatus status, long nowUnixSeconds)
    {
        string word = Words[(int)status];
        Stored["status"] = word;
        if (Stored.ContainsKey(word + "_at")) Stored[word + "_at"] = nowUnixSeconds;
    }

    /// <summary>As clients see it.</summary>
    public JsonObject ToJson()
    {
        JsonObject shown = Stored.DeepClone().AsObject();
        foreach (string name in Hidden) shown.Remove(name);
        return shown;
    }

    private JsonObject Counts => Stored["request_counts"]!.AsObject();
    private long Count(string name) => (long)Counts[name]!;
}

internal sealed record BatchTimes(string Window, long CreatedUnixSeconds, long ExpiresUnixSeconds);
