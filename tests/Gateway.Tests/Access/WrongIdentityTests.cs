using System.Net;
using System.Text;
using Microsoft.AspNetCore.Routing;
using Qanat.Books;

namespace Qanat.Gateway.Tests;

/// <summary>Every endpoint that the server itself lists, with every identity that may not use it. An endpoint without a rule fails here.</summary>
public sealed class WrongIdentityTests
{
    private static readonly string[] Open = ["/healthz", "/readyz", "/{**page}", "/openapi.json"];

    [Fact]
    public async Task Every_endpoint_of_the_APIs_names_the_permission_it_needs()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Assert.All(EndpointsOf(gateway), endpoint => Assert.True(endpoint.Needs is not null, $"{endpoint} names no permission: give it one in its route."));
    }

    [Fact]
    public async Task Strangers_and_ended_keys_are_let_in_nowhere()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        using HttpClient nobody = gateway.Client(key: null);
        using HttpClient stranger = gateway.Client("sk-stranger");
        using HttpClient ended = await RevokedAsync(gateway);
        IReadOnlyList<Endpoint> endpoints = EndpointsOf(gateway);
        Assert.True(endpoints.Count >= 29, $"Only {endpoints.Count} endpoints were found.");
        foreach (Endpoint endpoint in endpoints)
        {
            foreach (HttpClient client in (HttpClient[])[nobody, stranger, ended])
                Assert.Equal((endpoint, 401), (endpoint, (await TestGateway.SendAsync(client, endpoint.Request("{}"))).Status));
        }
    }

    /// <summary>Routes match without regard to case: so must what stands before them.</summary>
    [Fact]
    public async Task A_key_bound_elsewhere_and_strangers_get_nowhere_however_the_path_is_written()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        using HttpClient stranger = gateway.Client("sk-stranger");
        using HttpClient otherPaths = await BoundAsync(gateway, new KeyTerms { Reach = Reach.Cloud, Endpoints = ["/v1/nowhere"] });
        using HttpClient otherNetworks = await BoundAsync(gateway, new KeyTerms { Reach = Reach.Cloud, Networks = ["192.0.2.0/24"] });
        foreach (Endpoint endpoint in EndpointsOf(gateway))
        {
            foreach ((HttpClient client, int status) in ((HttpClient, int)[])[(stranger, 401), (otherPaths, 403), (otherNetworks, 403)])
            {
                HttpRequestMessage asWritten = endpoint.Request("{}"), loud = endpoint.Request("{}");
                loud.RequestUri = new Uri(loud.RequestUri!.ToString().ToUpperInvariant(), UriKind.Relative);
                Assert.Equal((endpoint, status, status), (endpoint, (await TestGateway.SendAsync(client, asWritten)).Status, (await TestGateway.SendAsync(client, loud)).Status));
            }
        }
    }

    [Fact]
    public async Task Every_role_gets_exactly_what_the_table_gives_it()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        IReadOnlyList<Endpoint> endpoints = EndpointsOf(gateway);
        foreach (KeyRole role in Roles.All)
        {
            foreach (Reach reach in Enum.GetValues<Reach>())
            {
                using HttpClient client = await gateway.ClientOfAsync("acme", role, reach);
                foreach (Endpoint endpoint in endpoints)
                {
                    bool allowed = Roles.Allows(role, reach, endpoint.Needs!.Permission);
                    using HttpResponseMessage response = await client.SendAsync(endpoint.Request("{}"), TestContext.Current.CancellationToken);
                    string text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
                    // DashScope's surface has its own word for it.
                    bool refused = (int)response.StatusCode == 403 && (text.Contains("\"permission_denied\"", StringComparison.Ordinal) || text.Contains("\"AccessDenied\"", StringComparison.Ordinal) || text.Contains("permission_error", StringComparison.Ordinal));
                    Assert.True(allowed != refused && (int)response.StatusCode is not (401 or >= 500), $"{role} reaching {reach}: {endpoint} gave {(int)response.StatusCode} {text}");
                }
            }
        }
    }

    [Fact]
    public async Task A_tenants_own_identities_see_and_change_nothing_of_another_tenant()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Other other = await OtherAsync(gateway);
        using HttpClient client = await gateway.ClientOfAsync("acme", KeyRole.Owner, Reach.Tenant);
        foreach (Endpoint endpoint in EndpointsOf(gateway).Where(each => Roles.IsOfTenants(each.Needs!.Permission)))
        {
            foreach (string id in (string[])[other.Tenant.Id.ToString(), other.Tenant.Name, other.Project.Id.ToString(), other.Project.Name, other.Key.Id.ToString(), other.Request.ToString(), .. other.Content])
            {
                string body = $$"""{"tenant":"{{other.Tenant.Name}}","project":"{{other.Project.Name}}","name":"n","monthly_budget":"1","model":"scripted"}""";
                foreach (string query in (string[])["", "?tenant=" + other.Tenant.Name, "?tenant=" + other.Tenant.Id, "?project=" + other.Project.Id])
                {
                    using HttpResponseMessage response = await client.SendAsync((endpoint with { Id = id, Query = query }).Request(body), TestContext.Current.CancellationToken);
                    string text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
                    // A refusal repeats what was asked for, in quotes; that tells nobody anything.
                    string told = ((string[])[id, other.Tenant.Name, other.Tenant.Id.ToString(), other.Project.Name]).Aggregate(text, (rest, asked) => rest.Replace($"'{asked}'", "", StringComparison.Ordinal));
                    Assert.All(other.Marks, mark => Assert.False(told.Contains(mark, StringComparison.Ordinal), $"{endpoint} {id} {query} tells {mark}: {text}"));
                }
            }
        }
        Assert.Equal(other.Tenant, gateway.Get<DirectoryState>().Current.FindTenant(other.Tenant.Id));
        Assert.Equal(other.Project, gateway.Get<DirectoryState>().Current.FindProject(other.Project.Id));
        Assert.Equal(other.Key, gateway.Get<DirectoryState>().Current.FindKey(other.Key.Id));
        using HttpClient theirs = await gateway.ClientOfAsync(other.Tenant.Name, KeyRole.Owner, Reach.Tenant);
        foreach (string path in other.ContentPaths)
        {
            using HttpResponseMessage still = await theirs.GetAsync(path, TestContext.Current.CancellationToken);
            Assert.Equal((path, HttpStatusCode.OK), (path, still.StatusCode));
        }
    }

    [Fact]
    public async Task Nobody_hands_out_or_takes_away_more_than_they_have()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        string ownerKey = gateway.Get<DirectoryState>().Current.Keys.Single(DirectoryModel.IsCloudOwner).Id.ToString();
        using HttpClient runs = await gateway.ClientOfAsync("house", KeyRole.Operator, Reach.Cloud);
        using HttpClient own = await gateway.ClientOfAsync("acme", KeyRole.Owner, Reach.Tenant);
        Assert.Equal(403, await StatusAsync(runs, "POST", "/api/keys", """{"tenant":"house","role":"owner"}"""));
        Assert.Equal(403, await StatusAsync(runs, "POST", "/api/keys", """{"tenant":"house","role":"finance","reach":"cloud"}"""));
        Assert.Equal(403, await StatusAsync(runs, "DELETE", "/api/keys/" + ownerKey));
        Assert.Equal(200, await StatusAsync(runs, "POST", "/api/keys", """{"tenant":"house","role":"developer","reach":"cloud"}"""));
        Assert.Equal(403, await StatusAsync(own, "POST", "/api/keys", """{"tenant":"acme","role":"viewer","reach":"cloud"}"""));
        Assert.Equal(200, await StatusAsync(own, "POST", "/api/keys", """{"tenant":"acme","role":"owner","reach":"tenant"}"""));
        Assert.Equal(404, await StatusAsync(own, "DELETE", "/api/keys/" + ownerKey));
    }

    private static async Task<int> StatusAsync(HttpClient client, string method, string path, string? body = null) => (await TestGateway.SendAsync(client,
        new HttpRequestMessage(new HttpMethod(method), path) { Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json") })).Status;

    private static async Task<HttpClient> BoundAsync(TestGateway gateway, KeyTerms terms)
    {
        DirectoryState directory = gateway.Get<DirectoryState>();
        Project project = directory.Current.FindProject(directory.Current.FindTenant("house")!.Id, DirectoryState.DefaultProject)!;
        return gateway.Client((await directory.CreateKeyAsync("test", new NewKeyOrder(project, "bound", KeyRole.Owner, null, terms), null, CancellationToken.None)).Secret);
    }

    private static async Task<HttpClient> RevokedAsync(TestGateway gateway)
    {
        DirectoryState directory = gateway.Get<DirectoryState>();
        Project project = directory.Current.FindProject(directory.Current.FindTenant("house")!.Id, DirectoryState.DefaultProject)!;
        NewKey made = await directory.CreateKeyAsync("test", new NewKeyOrder(project, "ended", KeyRole.Owner, null), null, CancellationToken.None);
        await directory.RevokeKeyAsync("test", made.Key.Id, CancellationToken.None);
        return gateway.Client(made.Secret);
    }

    /// <summary>A tenant with a project, a key, a price and a settled request, none of which anyone else may see.</summary>
    private static async Task<Other> OtherAsync(TestGateway gateway)
    {
        DirectoryState directory = gateway.Get<DirectoryState>();
        Tenant tenant = await directory.CreateTenantAsync("test", new NewTenant("zenith-secret", null, IsDemo: false), CancellationToken.None);
        Project project = await directory.CreateProjectAsync("test", tenant, "moonbase-secret", null, CancellationToken.None);
        NewKey key = await directory.CreateKeyAsync("test", new NewKeyOrder(project, "falcon-secret", KeyRole.Inference, null), null, CancellationToken.None);
        Instant now = Instant.Now(TimeProvider.System);
        PriceVersion price = new(PriceVersionId.New(TimeProvider.System), new Instant(0), new ModelName("orchid-secret"), tenant.Id, TestGateway.Rates, IsAssumption: false, "contract-secret", now);
        await gateway.Get<TariffState>().AddPriceAsync(price, new AuditEntry(now, "test", "price.add", "", null, null), CancellationToken.None);
        Hold hold = new(RequestId.New(TimeProvider.System), now, new Party(tenant.Id, project.Id, key.Key.Id, "user-secret"), new ModelName("scripted"), new DeploymentName("builtin/scripted"),
            Operation.Chat, price.Id, Money.Parse("1", Currency.Usd), TestGateway.Pool);
        await gateway.Store.AppendAsync(new HoldPlaced(hold), CancellationToken.None);
        await gateway.Store.AppendAsync(new HoldSettled(new UsageRecord(hold.Id, now, now, now, hold.Party, hold.Model, hold.Deployment, TestGateway.Pool, Operation.Chat, Outcome.Completed,
            new TokenCounts(7, 0, 0, 9, 0), default, price.Id, Money.Parse("0.0123456789", Currency.Usd), null, null)), CancellationToken.None);
        Other other = new(directory.Current.FindTenant(tenant.Id)!, project, key.Key, hold.Id);
        return await AddContentAsync(gateway, other, tenant);
    }

    /// <summary>Everything of a tenant's that holds words: a file, a batch, a response and a transcript.</summary>
    private static async Task<Other> AddContentAsync(TestGateway gateway, Other other, Tenant tenant)
    {
        await gateway.Get<TranscriptChanges>().KeepAsync("test", tenant.Id, 30, CancellationToken.None);
        NewKey owner = await gateway.Get<DirectoryState>().CreateKeyAsync("test", new NewKeyOrder(gateway.Get<DirectoryState>().Current.FindProject(tenant.Id, DirectoryState.DefaultProject)!, "content", KeyRole.Owner, null, new KeyTerms { Reach = Reach.Tenant }), null, CancellationToken.None);
        using HttpClient theirs = gateway.Client(owner.Secret);
        using MultipartFormDataContent form = new() { { new StringContent("batch"), "purpose" }, { new StringContent("""{"custom_id":"walrus-secret","method":"POST","url":"/v1/chat/completions","body":{"model":"scripted-1","messages":[{"role":"user","content":"walrus-secret"}]}}"""), "file", "walrus-secret.jsonl" } };
        string file = (string)(await TestGateway.SendAsync(theirs, new HttpRequestMessage(HttpMethod.Post, "/v1/files") { Content = form })).Body["id"]!;
        string batch = (string)(await SendAsync(theirs, "/v1/batches", $$"""{"input_file_id":"{{file}}","endpoint":"/v1/chat/completions","completion_window":"24h","metadata":{"note":"walrus-secret"} }""")).Body["id"]!;
        string response = (string)(await SendAsync(theirs, "/v1/responses", """{"model":"scripted-1","store":true,"input":"walrus-secret"}""")).Body["id"]!;
        string transcript = (string)(await TestGateway.SendAsync(theirs, new HttpRequestMessage(HttpMethod.Get, "/api/transcripts"))).Body["data"]![0]!["id"]!;
        return other with { Tenant = gateway.Get<DirectoryState>().Current.FindTenant(tenant.Id)!, Content = [file, batch, response, transcript], ContentPaths = ["/v1/files/" + file, "/v1/batches/" + batch, "/v1/responses/" + response, "/api/transcripts/" + transcript] };
    }

    private static Task<Answer> SendAsync(HttpClient client, string path, string body) => TestGateway.SendAsync(client, new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(body, Encoding.UTF8, "application/json") });

    private static List<Endpoint> EndpointsOf(TestGateway gateway) =>
    [
        .. from route in gateway.Get<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
           let path = "/" + route.RoutePattern.RawText!.TrimStart('/')
           where !Open.Contains(path) && !path.StartsWith("/docs", StringComparison.Ordinal)
           from method in route.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? []
           select new Endpoint(method, path, route.Metadata.GetMetadata<Needed>()),
    ];

    private sealed record Other(Tenant Tenant, Project Project, ApiKey Key, RequestId Request)
    {
        public string[] Content { get; init; } = [];
        public string[] ContentPaths { get; init; } = [];

        public string[] Marks => ["walrus-secret", "zenith-secret", "moonbase-secret", "falcon-secret", "orchid-secret", "contract-secret", "user-secret", "0.0123456789", Tenant.Id.ToString(), Project.Id.ToString(), Key.Id.ToString()];
    }

    private sealed record Endpoint(string Method, string Path, Needed? Needs)
    {
        public string Id { get; init; } = "01930b2c-7a5e-7c1d-9f5e-0123456789ab";
        public string Query { get; init; } = "";

        public HttpRequestMessage Request(string body) => new(new HttpMethod(Method), Path.Replace("{**id}", Uri.EscapeDataString(Id), StringComparison.Ordinal).Replace("{id}", Uri.EscapeDataString(Id), StringComparison.Ordinal) + Query)
        {
            Content = Method is "POST" or "PUT" or "PATCH" ? new StringContent(body, Encoding.UTF8, "application/json") : null,
        };
    }
}
