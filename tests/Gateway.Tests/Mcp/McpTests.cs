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
