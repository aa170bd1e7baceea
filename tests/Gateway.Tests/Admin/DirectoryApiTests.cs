using System.Text.Json.Nodes;
using Qanat.Books;

namespace Qanat.Gateway.Tests;

public sealed class DirectoryApiTests
{
    [Fact]
    public async Task A_tenant_gets_a_project_and_keys_that_work_until_they_are_revoked()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Answer tenant = await gateway.AdminAsync("POST", "/api/tenants", """{"name":"Wasser & Söhne","monthly_budget":"12.50"}""");
        Assert.Equal((200, "12.5", "USD"), (tenant.Status, (string?)tenant.Body["monthly_budget"], (string?)tenant.Body["currency"]));
        Answer key = await gateway.AdminAsync("POST", "/api/keys", """{"tenant":"wasser & söhne","name":"ci"}""");
        string secret = (string)key.Body["key"]!;
        Assert.StartsWith("sk-", secret, StringComparison.Ordinal);
        using HttpClient client = gateway.Client(secret);
        Assert.Equal(200, (await TestGateway.SendAsync(client, new HttpRequestMessage(HttpMethod.Get, "/v1/models"))).Status);

        Answer listed = await gateway.AdminAsync("GET", "/api/keys");
        Assert.DoesNotContain(secret, listed.Text, StringComparison.Ordinal);
        Assert.Contains(secret[..7], listed.Text, StringComparison.Ordinal);
        Assert.Equal(200, (await gateway.AdminAsync("DELETE", $"/api/keys/{key.Body["id"]}")).Status);
        Assert.Equal(401, (await TestGateway.SendAsync(client, new HttpRequestMessage(HttpMethod.Get, "/v1/models"))).Status);
    }

    [Fact]
    public async Task Budgets_of_users_models_projects_and_keys_are_set_shown_and_taken_away()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        const string limits = "/api/tenants/acme/limits";
        JsonNode set = (await gateway.AdminAsync("PUT", limits, """{"each_user":{"requests_per_minute":5,"daily_budget":"0.50","monthly_budget":5},"models":{"big":{"daily_budget":"20 EUR"}}}""")).Body;
        Assert.Equal((5, "0.5 USD", "5 USD"), ((int)set["each_user"]!["requests_per_minute"]!, (string?)set["each_user"]!["daily_budget"], (string?)set["each_user"]!["monthly_budget"]));
        Assert.Equal("20 EUR", (string?)set["models"]!["big"]!["daily_budget"]);
        // What is not named stays, null takes away, and what is no amount is refused by name.
        JsonNode after = (await gateway.AdminAsync("PUT", limits, """{"each_user":{"daily_budget":null}}""")).Body;
        Assert.Equal((5, null, "5 USD"), ((int)after["each_user"]!["requests_per_minute"]!, (string?)after["each_user"]!["daily_budget"], (string?)after["each_user"]!["monthly_budget"]));
        Assert.Equal((400, "daily_budget"), ((await gateway.AdminAsync("PUT", limits, """{"each_user":{"daily_budget":"much"}}""")) is var refused ? refused.Status : 0, refused.Param));

        string project = (string)(await gateway.AdminAsync("POST", "/api/projects", """{"tenant":"acme","name":"web"}""")).Body["id"]!, key = (string)(await gateway.AdminAsync("POST", "/api/keys", """{"tenant":"acme","project":"web"}""")).Body["id"]!;
        Assert.Equal("3 USD", (string?)(await gateway.AdminAsync("PUT", $"/api/projects/{project}/limits", """{"daily_budget":"3"}""")).Body["daily_budget"]);
        Assert.Equal("1 USD", (string?)(await gateway.AdminAsync("PUT", $"/api/keys/{key}/terms", """{"daily_budget":"1"}""")).Body["terms"]!["daily_budget"]);
        DirectoryState again = await DirectoryState.LoadAsync(gateway.Store, TimeProvider.System, TestContext.Current.CancellationToken);
        Assert.Equal("3", ProjectTerms.Of(again.Current.Projects.Single(each => each.Name == "web")).DailyLimit!.Value.ToDecimalText());
        Assert.Equal("5", TenantTerms.Of(again.Current.FindTenant("acme")!).EachUser.MonthlyLimit!.Value.ToDecimalText());
    }

    [Fact]
    public async Task Limits_of_a_project_are_read_back_by_its_name_and_in_the_list()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        await gateway.AdminAsync("POST", "/api/projects", """{"tenant":"acme","name":"web"}""");
        Answer set = await gateway.AdminAsync("PUT", "/api/projects/web/limits", """{"daily_budget":"3 EUR","requests_per_minute":7}""");
        Assert.Equal((200, "web", "3 EUR", 7, "3"), (set.Status, (string?)set.Body["name"], (string?)set.Body["daily_budget"], (int)set.Body["rates"]!["requests_per_minute"]!, (string?)set.Body["daily_left"]));
        Assert.Equal(set.Text, (await gateway.AdminAsync("GET", "/api/projects/web/limits")).Text);
        JsonNode listed = (await gateway.AdminAsync("GET", "/api/projects")).Body["data"]!.AsArray().Single(project => (string?)project!["name"] == "web")!;
        Assert.Equal(("3 EUR", 7), ((string?)listed["daily_budget"], (int)listed["rates"]!["requests_per_minute"]!));
        using HttpClient other = await gateway.ClientOfAsync("house", KeyRole.Owner, Reach.Tenant);
        Assert.Equal(404, (await TestGateway.SendAsync(other, new HttpRequestMessage(HttpMethod.Get, $"/api/projects/{set.Body["id"]}/limits"))).Status);
    }

    [Fact]
    public async Task Budgets_are_set_cleared_and_survive_a_restart_of_the_directory()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Answer key = await gateway.AdminAsync("POST", "/api/keys", """{"tenant":"acme"}""");
        Answer project = await gateway.AdminAsync("POST", "/api/projects", """{"tenant":"acme","name":"web","monthly_budget":7}""");
        Assert.Equal("7", (string?)project.Body["monthly_budget"]);
        foreach (string path in (string[])["/api/tenants/acme/budget", $"/api/projects/{project.Body["id"]}/budget", $"/api/keys/{key.Body["id"]}/budget"])
        {
            Assert.Equal("0.000000000001", (string?)(await gateway.AdminAsync("PUT", path, """{"monthly_budget":"0.000000000001"}""")).Body["monthly_budget"]);
            Answer typo = await gateway.AdminAsync("PUT", path, """{"budget":"5"}""");
            Assert.Equal((400, "monthly_budget"), (typo.Status, typo.Param));
        }
        DirectoryState again = await DirectoryState.LoadAsync(gateway.Store, TimeProvider.System, TestContext.Current.CancellationToken);
        Assert.All([again.Current.FindTenant("acme")!.MonthlyBudget, again.Current.Projects.Single(each => each.Name == "web").MonthlyBudget], budget => Assert.Equal(1, budget!.Value.Picos));
        Answer cleared = await gateway.AdminAsync("PUT", "/api/tenants/acme/budget", """{"monthly_budget":null}""");
        Assert.True(cleared.Body.AsObject().ContainsKey("monthly_budget"));
        Assert.Null(cleared.Body["monthly_budget"]);
    }

    [Fact]
    public async Task Names_are_taken_once_whatever_their_case()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Answer again = await gateway.AdminAsync("POST", "/api/tenants", """{"name":"ACME"}""");
        Assert.Equal((409, "name_taken"), (again.Status, again.Code));
        await gateway.AdminAsync("POST", "/api/projects", """{"tenant":"acme","name":"web"}""");
        Assert.Equal(409, (await gateway.AdminAsync("POST", "/api/projects", """{"tenant":"acme","name":"Web"}""")).Status);
        Assert.Equal(200, (await gateway.AdminAsync("POST", "/api/projects", """{"tenant":"house","name":"web"}""")).Status);
    }

    [Fact]
    public async Task The_last_owner_key_cannot_be_revoked()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Answer keys = await gateway.AdminAsync("GET", "/api/keys");
        string owner = (string)keys.Body["data"]!.AsArray().Single(key => (string?)key!["role"] == "owner")!["id"]!;
        Answer refused = await gateway.AdminAsync("DELETE", "/api/keys/" + owner);
        Assert.Equal((400, "last_owner_key"), (refused.Status, refused.Code));
        Assert.Equal(200, (await gateway.AdminAsync("POST", "/api/keys", """{"tenant":"house","role":"owner"}""")).Status);
        Assert.Equal(200, (await gateway.AdminAsync("DELETE", "/api/keys/" + owner)).Status);
        Assert.Equal(401, (await gateway.AdminAsync("GET", "/api/keys")).Status);
    }

    [Fact]
    public async Task Concurrent_changes_are_all_kept()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Answer[] made = await Task.WhenAll(Enumerable.Range(0, 20).Select(index => gateway.AdminAsync("POST", "/api/tenants", $$"""{"name":"t{{index % 10}}"}""")));
        Assert.Equal(10, made.Count(answer => answer.Status == 200));
        Assert.Equal(10, made.Count(answer => answer.Status == 409));
        DirectoryState stored = await DirectoryState.LoadAsync(gateway.Store, TimeProvider.System, TestContext.Current.CancellationToken);
        Assert.Equal(12, stored.Current.Tenants.Length);
    }

    [Fact]
    public async Task Every_change_is_in_the_audit_log_with_who_made_it()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        await gateway.AdminAsync("PUT", "/api/tenants/acme/budget", """{"monthly_budget":"3"}""");
        Answer audit = await gateway.AdminAsync("GET", "/api/audit?limit=1");
        JsonNode entry = audit.Body["data"]![0]!;
        Assert.Equal(("tenant.budget", "acme", "no budget", "monthly budget 3 USD"), ((string?)entry["action"], (string?)entry["subject"], (string?)entry["before"], (string?)entry["after"]));
        Assert.StartsWith("owner (sk-owne", (string?)entry["who"], StringComparison.Ordinal);
    }
}
