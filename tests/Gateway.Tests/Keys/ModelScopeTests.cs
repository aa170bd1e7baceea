using System.Text;
using Qanat.Books;

namespace Qanat.Gateway.Tests;

/// <summary>A key that is bound to models sees those, and no others, on every API that lists them.</summary>
public sealed class ModelScopeTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    [Theory]
    [InlineData("/v1/models", "data", "id")]
    [InlineData("/compatible-mode/v1/models", "data", "id")]
    [InlineData("/anthropic/v1/models", "data", "id")]
    [InlineData("/api/tags", "models", "name")]
    [InlineData("/api/ps", "models", "name")]
    public async Task A_list_has_the_models_that_the_key_may_ask(string path, string list, string name)
    {
        TestGateway gateway = fixture.Fresh();
        using HttpClient other = await BoundAsync(gateway, "other"), bound = await BoundAsync(gateway, "other", "Scripted-1");
        Assert.Empty((await GetAsync(other, path)).Body[list]!.AsArray());
        Assert.Equal("scripted-1", (string?)Assert.Single((await GetAsync(bound, path)).Body[list]!.AsArray())![name]);
    }

    [Theory]
    [InlineData("/v1/models/scripted-1")]
    [InlineData("/anthropic/v1/models/scripted-1")]
    public async Task Another_model_is_not_shown(string path)
    {
        TestGateway gateway = fixture.Fresh();
        using HttpClient other = await BoundAsync(gateway, "other"), bound = await BoundAsync(gateway, "scripted-1");
        Answer answer = await GetAsync(other, path);
        Assert.Equal((404, "model_not_found"), (answer.Status, answer.Code));
        Assert.DoesNotContain("Served here: scripted-1", answer.Message, StringComparison.Ordinal);
        Assert.Equal("scripted-1", (string?)(await GetAsync(bound, path)).Body["id"]);
    }

    [Fact]
    public async Task Ollamas_clients_are_not_shown_another_model_either()
    {
        TestGateway gateway = fixture.Fresh();
        using HttpClient other = await BoundAsync(gateway, "other"), bound = await BoundAsync(gateway, "scripted-1");
        Assert.Equal(404, (await ShowAsync(other)).Status);
        Assert.Equal(200, (await ShowAsync(bound)).Status);
    }

    private static Task<Answer> GetAsync(HttpClient http, string path) => TestGateway.SendAsync(http, new HttpRequestMessage(HttpMethod.Get, path));

    private static Task<Answer> ShowAsync(HttpClient http) => TestGateway.SendAsync(http, new HttpRequestMessage(HttpMethod.Post, "/api/show") { Content = new StringContent("""{"model":"scripted-1:latest"}""", Encoding.UTF8, "application/json") });

    private static async Task<HttpClient> BoundAsync(TestGateway gateway, params string[] models)
    {
        DirectoryState directory = gateway.Get<DirectoryState>();
        Project project = directory.Current.FindProject(directory.Current.FindTenant("acme")!.Id, DirectoryState.DefaultProject)!;
        NewKey made = await directory.CreateKeyAsync("test", new NewKeyOrder(project, "bound", KeyRole.Inference, null, new KeyTerms { Reach = Reach.Tenant, Models = [.. models] }), null, CancellationToken.None);
        return gateway.Client(made.Secret);
    }
}
