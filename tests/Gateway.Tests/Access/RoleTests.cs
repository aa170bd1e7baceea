using Qanat.Books;

namespace Qanat.Gateway.Tests;

public sealed class RoleTests
{
    /// <summary>The page people read and the table the server obeys are the same.</summary>
    [Fact]
    public void The_documented_table_is_the_table_in_force()
    {
        string[] rows = [.. Enum.GetValues<Permission>().Select(permission =>
            $"| `{AdminJson.Text(permission)}` | {string.Join(" | ", Roles.All.Select(role => Roles.Allows(role, Reach.Cloud, permission) ? Roles.Allows(role, Reach.Tenant, permission) ? "yes" : "cloud" : ""))} |".Replace("|  |", "| |", StringComparison.Ordinal).Replace("|  |", "| |", StringComparison.Ordinal))];
        string page = File.ReadAllText(Path.Combine(Repository(), "docs", "access.md"));
        Assert.All(rows, row => Assert.Contains(row, page, StringComparison.Ordinal));
    }

    [Fact]
    public void An_owner_of_the_cloud_may_everything_and_covers_everyone()
    {
        Assert.All(Enum.GetValues<Permission>(), permission => Assert.True(Roles.Allows(KeyRole.Owner, Reach.Cloud, permission)));
        Assert.All(Roles.All, role => Assert.True(Roles.Covers(KeyRole.Owner, Reach.Cloud, role, Reach.Cloud)));
    }

    [Fact]
    public void Every_role_has_a_row_and_covers_itself_within_its_tenant()
    {
        Assert.Equal(Enum.GetValues<KeyRole>().Order(), Roles.All.Order());
        Assert.All(Roles.All, role => Assert.True(Roles.Covers(role, Reach.Cloud, role, Reach.Tenant)));
        Assert.All(Roles.All, role => Assert.False(Roles.Covers(KeyRole.Owner, Reach.Tenant, role, Reach.Cloud)));
    }

    [Fact]
    public void Keys_from_before_there_were_terms_reach_what_they_reached()
    {
        ApiKey old = new(new KeyId(Guid.Empty), new TenantId(Guid.Empty), new ProjectId(Guid.Empty), "old", "sk-...", [], KeyRole.Owner, new Instant(0), null, null);
        Assert.Equal(Reach.Cloud, KeyTerms.Of(old).Reach);
        Assert.Equal(Reach.Tenant, KeyTerms.Of(old with { Role = KeyRole.Inference }).Reach);
        Assert.Equal(new KeyTerms { Reach = Reach.Tenant }, KeyTerms.Of(old with { Settings = new KeyTerms { Reach = Reach.Tenant }.ToSettings() }));
    }

    private static string Repository()
    {
        string folder = AppContext.BaseDirectory;
        while (!File.Exists(Path.Combine(folder, "Qanat.slnx"))) folder = Path.GetDirectoryName(folder)!;
        return folder;
    }
}
