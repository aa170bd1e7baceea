using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway.Tests;

/// <summary>A real gateway on a real socket over real books in a folder of its own; only the model is scripted.</summary>
internal sealed class TestGateway : IAsyncDisposable
{
    public const string OwnerKey = "sk-owner-for-tests";
    public static readonly Instant Now = new(1_763_812_800_000_000_000);
    public static readonly TokenRates Rates = TokenRates.PerMillion(Currency.Usd, "0.05", "0.40");
    public static readonly PoolName Pool = new("this-machine");
    public static readonly PriceVersionId PriceId = new(new Guid(1, 0, 0x7000, 0x80, 0, 0, 0, 0, 0, 0, 1));
    public static readonly PoolRateId PoolRateId = new(new Guid(2, 0, 0x7000, 0x80, 0, 0, 0, 0, 0, 0, 2));

    private readonly WebApplication host;
    private readonly SqliteBookStore books;
    private readonly string home;

    private TestGateway(WebApplication host, SqliteBookStore books, string home, Script script, LogLines log, string key)
    {
        (this.host, this.books, this.home, Script, Log, Key) = (host, books, home, script, log, key);
        Uri = new Uri(host.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First());
        Http = Client(key);
        Owner = Client(OwnerKey);
    }

    public Uri Uri { get; }
    public Script Script { get; }
    public LogLines Log { get; }

    /// <summary>An inference key of the tenant "acme".</summary>
    public string Key { get; }

    /// <summary>Sends the inference key.</summary>
    public HttpClient Http { get; }

    /// <summary>Sends the owner's key.</summary>
    public HttpClient Owner { get; }

    public IBookStore Store => books;
    public T Get<T>() where T : notnull => host.Services.GetRequiredService<T>();

    public static async Task<TestGateway> StartAsync(ServedModel? model = null, GatewayOptions? options = null, TimeProvider? clock = null, bool priced = true)
    {
        clock ??= TimeProvider.System;
        string folder = Directory.CreateTempSubdirectory("qanat-gateway-").FullName;
        SqliteBookStore store = await SqliteBookStore.OpenAsync(folder, clock);
        DirectoryState directory = await DirectoryState.LoadAsync(store, clock, CancellationToken.None);
        await FirstStart.EnsureOwnerAsync(directory, OwnerKey, CancellationToken.None);
        Tenant tenant = await directory.CreateTenantAsync("test", new NewTenant("acme", null, IsDemo: false), CancellationToken.None);
        NewKey key = await directory.CreateKeyAsync("test", new NewKeyOrder(directory.Current.FindProject(tenant.Id, "default")!, "test", KeyRole.Inference, null), null, CancellationToken.None);
        TariffState tariffs = await TariffState.LoadAsync(store, CancellationToken.None);
        if (priced) await AddTariffsAsync(tariffs);
        BudgetLimits budgets = new(new BudgetOptions(), clock, directory: directory);
        budgets.Contracts.Declare(tariffs.Declared);
        tariffs.DeclaredChanged += budgets.Contracts.Declare;
        Script script = new();
        LogLines log = new();

        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.Logging.ClearProviders().AddProvider(log);
        builder.Services.AddSingleton<IBookStore>(store).AddSingleton<IDocumentStore>(store).AddSingleton(clock).AddSingleton(directory).AddSingleton(new KeyRing(directory)).AddSingleton(tariffs)
            .AddSingleton(SecretBox.Open(Path.Combine(folder, "secrets.key"))).AddSingleton(budgets).AddSingleton(new LiveMeter(clock)).AddSingleton(new RoutingState()).AddSingleton<BooksPoster>()
            .AddSingleton<RunCall>(script.RunAsync).AddSingleton(new SeedSource(1)).AddSingleton(new ServedModels(() => [model ?? ScriptedModel.Served()]));
        builder.AddQanatGateway(options);
        WebApplication app = builder.Build();
        app.MapQanatGateway();
        app.MapGet("/{**page}", () => "a page");
        await app.StartAsync();
        return new TestGateway(app, store, folder, script, log, key.Secret);
    }

    public HttpClient Client(string? key)
    {
        HttpClient http = new() { BaseAddress = Uri };
        if (key is not null) http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        return http;
    }

    /// <summary>A client that shows a new key of a tenant's.</summary>
    public async Task<HttpClient> ClientOfAsync(string tenant, KeyRole role, Reach reach)
    {
        DirectoryState directory = Get<DirectoryState>();
        Project project = directory.Current.FindProject(directory.Current.FindTenant(tenant)!.Id, DirectoryState.DefaultProject)!;
        NewKey made = await directory.CreateKeyAsync("test", new NewKeyOrder(project, $"{role} {reach}", role, null, new KeyTerms { Reach = reach }), null, CancellationToken.None);
        return Client(made.Secret);
    }

    /// <summary>The tenant "acme" has its responses stored from now on, unless a request declines.</summary>
    public Task StoreResponsesAsync() => Get<ResponseChanges>().SetAsync("test", Get<DirectoryState>().Current.FindTenant("acme")!.Id, new StoringTerms(ResponseStoring.UnlessDeclined, StoringTerms.DaysStandard), CancellationToken.None);

    /// <summary>Posts JSON text and gives the answer's status and JSON.</summary>
    public Task<Answer> PostAsync(string path, string json) => SendAsync(new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(json, Encoding.UTF8, "application/json") });

    public Task<Answer> GetAsync(string path) => SendAsync(new HttpRequestMessage(HttpMethod.Get, path));

    public Task<Answer> SendAsync(HttpRequestMessage request) => SendAsync(Http, request);

    /// <summary>Sends with the owner's key.</summary>
    public Task<Answer> AdminAsync(string method, string path, string? json = null) => SendAsync(Owner, new HttpRequestMessage(new HttpMethod(method), path)
    {
        Content = json is null ? null : new StringContent(json, Encoding.UTF8, "application/json"),
    });

    public static Task<Answer> SendAsync(HttpClient http, HttpRequestMessage request) => Answer.OfAsync(http.SendAsync(request, TestContext.Current.CancellationToken));

    /// <summary>Posts JSON text and gives the server-sent events as they are, without their empty lines.</summary>
    public async Task<IReadOnlyList<string>> StreamAsync(string path, string json)
    {
        using HttpResponseMessage response = await Http.PostAsync(path, new StringContent(json, Encoding.UTF8, "application/json"));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        string text = await response.Content.ReadAsStringAsync();
        return text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries);
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        Owner.Dispose();
        await host.StopAsync();
        await host.DisposeAsync();
        await books.DisposeAsync();
        Directory.Delete(home, recursive: true);
    }

    private static async Task AddTariffsAsync(TariffState tariffs)
    {
        AuditEntry audit = new(Now, "test", "set up", "", null, null);
        await tariffs.AddPriceAsync(new PriceVersion(PriceId, new Instant(0), null, null, Rates, IsAssumption: false, "test prices", Now), audit, CancellationToken.None);
        await tariffs.AddPoolRateAsync(new PoolRate(PoolRateId, Pool, new Instant(0), Money.Parse("0.10", Currency.Usd), 850, IsAssumption: true, "test rate", Now), audit, CancellationToken.None);
    }
}

/// <summary>An HTTP answer whose body is JSON.</summary>
internal sealed record Answer(int Status, JsonNode Body, string Text, HttpResponseHeaders Headers)
{
    public string? Code => (string?)Body["error"]?["code"];
    public string? Param => (string?)Body["error"]?["param"];
    public string Message => (string)Body["error"]!["message"]!;

    public string Pretty() => Body.ToJsonString(new System.Text.Json.JsonSerializerOptions { WriteIndented = true }) + "\n";

    public string? Header(string name) => Headers.TryGetValues(name, out IEnumerable<string>? values) ? string.Join(", ", values) : null;

    public static async Task<Answer> OfAsync(Task<HttpResponseMessage> sending)
    {
        using HttpResponseMessage response = await sending;
        string text = await response.Content.ReadAsStringAsync();
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        return new Answer((int)response.StatusCode, JsonNode.Parse(text)!, text, response.Headers);
    }
}
