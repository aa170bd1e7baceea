using Qanat.Gateway;
using Qanat.Store;

namespace Qanat.Cli.Tests;

/// <summary>Limits as they are set at the command line.</summary>
public sealed class LimitCommandTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("qanat-limits-").FullName;

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public async Task Limits_of_models_users_and_projects_are_set_one_by_one()
    {
        await AskAsync("tenant", "create", "acme");
        await AskAsync("tenant", "limits", "acme", "--model", "big", "--rpm", "5", "--daily", "3 EUR", "--monthly", "40 EUR");
        await AskAsync("tenant", "limits", "acme", "--model", "small", "--tpm", "1000");
        await AskAsync("tenant", "limits", "acme", "--model", "BIG", "--rpm", "none", "--concurrent", "2");
        await AskAsync("tenant", "limits", "acme", "--each-user", "--rpm", "9", "--daily", "0.5");
        await AskAsync("tenant", "limits", "acme", "--rpm", "100");
        TenantTerms terms = TenantTerms.Of((await ReadAsync()).FindTenant("acme")!);
        Assert.Equal(new PartTerms { Concurrent = 2, DailyBudget = "3 EUR", MonthlyBudget = "40 EUR" }, terms.Models["big"]);
        Assert.Equal(new PartTerms { TokensPerMinute = 1000 }, terms.Models["small"]);
        Assert.Equal((2, new PartTerms { RequestsPerMinute = 9, DailyBudget = "0.5 USD" }, 100), (terms.Models.Count, terms.EachUser, terms.Rates.RequestsPerMinute));
        // With its last limit a model's name goes, too.
        await AskAsync("tenant", "limits", "acme", "--model", "small", "--tpm", "none");
        Assert.Equal(["big"], TenantTerms.Of((await ReadAsync()).FindTenant("acme")!).Models.Keys);

        await AskAsync("project", "create", "web", "--tenant", "acme");
        await AskAsync("project", "limits", "web", "--rpm", "7", "--daily", "3");
        await AskAsync("project", "limits", "web");
        ProjectTerms project = ProjectTerms.Of((await ReadAsync()).Projects.Single(each => each.Name == "web"));
        Assert.Equal((7, "3 USD"), (project.Rates.RequestsPerMinute, project.DailyBudget));
    }

    [Theory]
    [InlineData("--model", "big", "--each-user")]
    [InlineData("--monthly", "5")]
    [InlineData("--model", "big", "--user-daily", "1")]
    public async Task What_is_nobodys_limit_is_refused(params string[] options)
    {
        await AskAsync("tenant", "create", "acme");
        Assert.NotEqual(0, await RunAsync(["tenant", "limits", "acme", .. options]));
    }

    private async Task AskAsync(params string[] words) => Assert.Equal((string.Join(' ', words), 0), (string.Join(' ', words), await RunAsync(words)));

    private Task<int> RunAsync(string[] words) => CommandTree.Build().Parse([.. words, "--data", folder]).InvokeAsync(cancellationToken: TestContext.Current.CancellationToken);

    private async Task<DirectoryModel> ReadAsync()
    {
        await using SqliteBookStore store = await SqliteBookStore.OpenAsync(folder, TimeProvider.System);
        return (await DirectoryState.LoadAsync(store, TimeProvider.System, TestContext.Current.CancellationToken)).Current;
    }
}
