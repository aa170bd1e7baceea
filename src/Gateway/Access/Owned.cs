using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Documents that are one project's.</summary>
internal static class Owned
{
    /// <summary>The member that names it.</summary>
    public const string Project = "project";

    /// <summary>The project that a stored document names; null: it is older than projects are written down.</summary>
    public static ProjectId? ProjectIn(JsonNode stored) => (string?)stored[Project] is { } project ? new ProjectId(Guid.Parse(project)) : null;
}
