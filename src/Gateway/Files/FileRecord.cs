using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>A file of a tenant: its content lies beside it in parts.</summary>
/// <param name="Project">Whose keys reach it; null: it is older than this is written down.</param>
/// <param name="Purpose">"batch" of what clients send; "batch_output" of what batches write.</param>
internal sealed record FileRecord(string Id, ProjectId? Project, string Name, string Purpose, long Bytes, int Parts, long CreatedUnixSeconds, long ExpiresUnixSeconds)
{
    public JsonObject ToJson() => new()
    {
        ["id"] = Id,
        ["object"] = "file",
        ["bytes"] = Bytes,
        ["created_at"] = CreatedUnixSeconds,
        ["expires_at"] = ExpiresUnixSeconds,
        ["filename"] = Name,
        ["purpose"] = Purpose,
        ["status"] = "processed",
        ["status_details"] = null,
    };

    public JsonObject ToStored()
    {
        JsonObject stored = ToJson();
        stored["parts"] = Parts;
        stored[Owned.Project] = Project?.ToString();
        return stored;
    }

    public static FileRecord FromStored(JsonNode stored) => new((string)stored["id"]!, Owned.ProjectIn(stored), (string)stored["filename"]!, (string)stored["purpose"]!, (long)stored["bytes"]!, (int)stored["parts"]!,
        (long)stored["created_at"]!, (long)stored["expires_at"]!);
}
