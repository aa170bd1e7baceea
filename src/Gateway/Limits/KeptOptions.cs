using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway;

/// <summary>How much each tenant may keep here, and have under way, at most (ADR 78). Bytes are those that lie in the database. What has expired counts until room has been made of it.</summary>
public sealed record KeptOptions
{
    public int FilesMax { get; init; } = 10_000;
    public long FileBytesMax { get; init; } = 10L << 30;
    public int ResponsesMax { get; init; } = 1_000_000;
    public long ResponseBytesMax { get; init; } = 10L << 30;

    /// <summary>Tasks whose results are kept, with those that run.</summary>
    public int TasksMax { get; init; } = 10_000;
    public long TaskBytesMax { get; init; } = 1L << 30;
    public int TasksUnderWayMax { get; init; } = 500;

    /// <summary>Batches that are kept, with those that are being worked on. What they read and write counts as files.</summary>
    public int BatchesMax { get; init; } = 10_000;
    public int BatchesUnderWayMax { get; init; } = 50;

    /// <summary>Of a kind that is bounded by its bytes elsewhere, or by its number.</summary>
    internal const long Any = long.MaxValue;

    internal DocumentBounds Responses => new(ResponsesMax, ResponseBytesMax);
    internal DocumentBounds Tasks => new(TasksMax, TaskBytesMax);
}

/// <summary>Bounds that a tenant has reached, in words.</summary>
internal static class KeptRefusal
{
    /// <summary>For what the tenant can delete: to ask again does not help before it has.</summary>
    public static ApiException Full(string what, string advice) => new(400, Refusal.InvalidRequest, "storage_full", $"This tenant keeps as {what} as it may. {advice}");

    /// <summary>For what goes by itself.</summary>
    public static ApiException TooMany(string sentence) => new(429, "rate_limit_error", "too_many_kept", sentence);

    /// <summary>Whether one more would pass the bounds already: looked at before work is done for it; what holds is what the store says when it is written.</summary>
    public static async Task<bool> IsFullAsync(this IDocumentStore documents, string kind, TenantId tenant, DocumentBounds bounds, CancellationToken cancel)
    {
        DocumentSum now = await documents.SumAsync(kind, tenant, cancel);
        return !bounds.Hold(new DocumentSum(now.Documents + 1, now.ContentBytes + 1));
    }
}
