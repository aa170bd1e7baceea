using System.Text.Json.Nodes;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;
using Qanat.Books;

namespace Qanat.Gateway.Tests;

/// <summary>The protocol's own client against the real server.</summary>
public sealed class McpTests
{
    [Fact]
    public async Task An_agent_reads_usage_prices_budgets_and_profit_under_the_role_of_its_key()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        await using McpClient client = await ConnectAsync(gateway, TestGateway.OwnerKey);
        IList<McpClientTool> tools = await client.ListToolsAsync(cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(["budgets", "prices", "profit_and_loss", "usage"], tools.Select(tool => tool.Name).Order(StringComparer.Ordinal));
        Assert.All(tools, tool => Assert.True(tool.ProtocolTool.Annotations?.ReadOnlyHint));

        JsonNode prices = await CallAsync(client, "prices");
        Assert.Equal("0.05", (string?)prices["data"]![0]!["input_per_million"]);
        Assert.Equal(["acme", "house"], (await CallAsync(client, "budgets"))["data"]!.AsArray().Select(row => (string?)row!["tenant"]!["name"]).Order(StringComparer.Ordinal));
        Assert.NotNull((await CallAsync(client, "profit_and_loss", ("by", "tenant")))["totals"]);
        Assert.Empty((await CallAsync(client, "usage", ("from", "2026-01-01"), ("by", "tenant,day")))["data"]!.AsArray());
        Assert.Contains("from", await ErrorAsync(client, "usage", ("from", "yesterday")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_tenants_viewer_sees_its_tenant_and_no_profit()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        DirectoryState directory = gateway.Get<DirectoryState>();
        Project project = directory.Current.FindProject(directory.Current.FindTenant("acme")!.Id, DirectoryState.DefaultProject)!;
        NewKey viewer = await directory.CreateKeyAsync("test", new NewKeyOrder(project, "viewer", KeyRole.Viewer, null, new KeyTerms { Reach = Reach.Tenant }), null, CancellationToken.None);
        await using McpClient client = await ConnectAsync(gateway, viewer.Secret);
        Assert.Equal(["acme"], (await CallAsync(client, "budgets"))["data"]!.AsArray().Select(row => (string?)row!["tenant"]!["name"]));
        Assert.Contains("house", await ErrorAsync(client, "usage", ("tenant", "house")), StringComparison.Ordinal);
        Assert.Contains("see_books", await ErrorAsync(client, "profit_and_loss"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_budget_that_somebody_set_is_told_to_those_who_see_its_tenant()
    {
        // What is held counts in the day in which it was placed: no midnight comes between.
        await using TestGateway gateway = await TestGateway.StartAsync(clock: new ManualClock());
        DirectoryState directory = gateway.Get<DirectoryState>();
        ApiKey key = directory.Current.Keys.Single(each => each.Role == KeyRole.Inference);
        await gateway.AdminAsync("PUT", "/api/tenants/acme/budget", """{"monthly_budget":"20"}""");
        await gateway.AdminAsync("PUT", "/api/tenants/acme/limits", """{"daily_budget":"10 USD","each_user":{"monthly_budget":"0.50 USD","daily_budget":"0.40 USD"},"models":{"scripted-1":{"daily_budget":"2 USD","monthly_budget":"9 USD"}}}""");
        await gateway.AdminAsync("POST", "/api/tenants/acme/credit", """{"amount":"5"}""");
        await gateway.AdminAsync("PUT", $"/api/projects/{key.Project}/budget", """{"monthly_budget":"8"}""");
        await gateway.AdminAsync("PUT", $"/api/projects/{key.Project}/limits", """{"daily_budget":"7 USD"}""");
        await gateway.AdminAsync("PUT", $"/api/keys/{key.Id}/budget", """{"monthly_budget":"6"}""");
        await gateway.AdminAsync("PUT", $"/api/keys/{key.Id}/terms", """{"daily_budget":"3 USD"}""");
        (DirectoryModel current, BudgetLimits budgets) = (directory.Current, gateway.Get<BudgetLimits>());
        Caller caller = new(current.FindTenant("acme")!, current.FindProject(key.Project)!, current.FindKey(key.Id)!);
        await budgets.KnowPartsAsync(caller);
        await budgets.PlaceAsync(caller, Money.Parse("0.10", Currency.Usd), CancellationToken.None, new CallParts("bob", new ModelName("scripted-1")));
        await budgets.PlaceAsync(caller, Money.Parse("0.25", Currency.Usd), CancellationToken.None, new CallParts("ann", new ModelName("scripted-1")));

        using HttpClient signedIn = await gateway.ClientOfAsync("acme", KeyRole.Viewer, Reach.Tenant);
        await using McpClient client = await ConnectAsync(gateway, signedIn.DefaultRequestHeaders.Authorization!.Parameter!);
        JsonNode row = Assert.Single((await CallAsync(client, "budgets"))["data"]!.AsArray())!;
        string[] told = [.. row["budgets"]!.AsArray().Select(each => string.Join(' ', ((string[])["level", "project", "model", "user", "budget", "limit", "held", "left"]).Select(name => (string?)each![name]).OfType<string>()))];
        string[] expected =
        [
            "tenant month 20 0.35 19.65", "tenant day 10 0.35 9.65", "tenant credit 5 0.35 4.65", "model scripted-1 month 9 0.35 8.65", "model scripted-1 day 2 0.35 1.65",
            "project default month 8 0.35 7.65", "project default day 7 0.35 6.65", "key default month 6 0.35 5.65", "key default day 3 0.35 2.65",
            "user ann day 0.4 0.25 0.15", "user ann month 0.5 0.25 0.25", "user bob day 0.4 0.1 0.3", "user bob month 0.5 0.1 0.4",
        ];
        Assert.Equal(expected, told);
        Assert.Equal((0, key.Prefix), ((int)row["users_left_out"]!, (string?)row["budgets"]![7]!["key"]!["prefix"]));

        await using McpClient owner = await ConnectAsync(gateway, TestGateway.OwnerKey);
        JsonNode house = (await CallAsync(owner, "budgets"))["data"]!.AsArray().Single(each => (string?)each!["tenant"]!["name"] == "house")!;
        Assert.Empty(house["budgets"]!.AsArray());
        Assert.False(house.AsObject().ContainsKey("users_left_out"));
        using HttpClient stranger = await gateway.ClientOfAsync("house", KeyRole.Viewer, Reach.Tenant);
        await using McpClient other = await ConnectAsync(gateway, stranger.DefaultRequestHeaders.Authorization!.Parameter!);
        Assert.DoesNotContain("acme", (await CallAsync(other, "budgets")).ToJsonString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Without_a_persons_key_the_door_stays_shut()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => ConnectAsync(gateway, gateway.Key));
        await Assert.ThrowsAnyAsync<Exception>(() => ConnectAsync(gateway, "sk-stranger"));
    }

    private static Task<McpClient> ConnectAsync(TestGateway gateway, string key) => McpClient.CreateAsync(new HttpClientTransport(new HttpClientTransportOptions
    {
        Endpoint = new Uri(gateway.Uri, "/mcp"),
        TransportMode = HttpTransportMode.StreamableHttp,
        AdditionalHeaders = new Dictionary<string, string> { ["Authorization"] = "Bearer " + key },
    }), cancellationToken: TestContext.Current.CancellationToken);

    private static async Task<JsonNode> CallAsync(McpClient client, string tool, params (string Name, string Value)[] arguments)
    {
        CallToolResult result = await SendAsync(client, tool, arguments);
        Assert.NotEqual(true, result.IsError);
        return JsonNode.Parse(TextOf(result))!;
    }

    private static async Task<string> ErrorAsync(McpClient client, string tool, params (string Name, string Value)[] arguments)
    {
        CallToolResult result = await SendAsync(client, tool, arguments);
        Assert.True(result.IsError);
        return TextOf(result);
    }

    private static async Task<CallToolResult> SendAsync(McpClient client, string tool, (string Name, string Value)[] arguments) =>
        await client.CallToolAsync(tool, arguments.ToDictionary(each => each.Name, each => (object?)each.Value), cancellationToken: TestContext.Current.CancellationToken);

    private static string TextOf(CallToolResult result) => result.Content.OfType<TextContentBlock>().Single().Text;
}
