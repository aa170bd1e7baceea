using Qanat.Books;
using Qanat.Gateway;

namespace Qanat.Console;

/// <summary>What ids are called on the pages. Something whose name is gone (a cleared demo) is named by the end of its id.</summary>
public sealed class Names(DirectoryModel directory)
{
    public string Of(TenantId id) => directory.FindTenant(id)?.Name ?? $"tenant …{Show.ShortId(id.Value)}";
    public string Of(ProjectId id) => directory.FindProject(id)?.Name ?? $"project …{Show.ShortId(id.Value)}";
    public string Of(KeyId id) => directory.FindKey(id) is { } key ? $"{key.Name} ({key.Prefix})" : $"key …{Show.ShortId(id.Value)}";
    public bool IsDemo(TenantId id) => directory.FindTenant(id)?.IsDemo == true;

    /// <summary>A project with its tenant.</summary>
    public string Full(ProjectId id) => directory.FindProject(id) is { } project ? $"{Of(project.Tenant)} / {project.Name}" : Of(id);
}
