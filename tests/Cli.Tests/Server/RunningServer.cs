using System.Net;
using System.Net.Http.Headers;
using Microsoft.Extensions.DependencyInjection;
using Qanat.Gateway;

namespace Qanat.Cli.Tests;

/// <summary>A whole server in this process: a folder of its own, a small random model, a free port.</summary>
internal sealed class RunningServer : IAsyncDisposable
{
    public const string OwnerKey = "sk-owner-for-tests";
    private readonly QanatServer server;

    private RunningServer(QanatServer server, string folder)
    {
        (this.server, Folder) = (server, folder);
        Address = new Uri(server.Url);
        Owner = new HttpClient { BaseAddress = Address };
        Owner.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", OwnerKey);
    }

    public QanatServer Server => server;
    public string Folder { get; }
    public Uri Address { get; }

    /// <summary>Sends the owner's key.</summary>
    public HttpClient Owner { get; }

    public DirectoryState Directory => Get<DirectoryState>();
    public T Get<T>() where T : notnull => server.Services.GetRequiredService<T>();

    public static async Task<RunningServer> StartAsync(Func<ServerOptions, ServerOptions>? change = null)
    {
        string folder = System.IO.Directory.CreateTempSubdirectory("qanat-server-").FullName;
        ServerOptions options = new() { Data = new DataDirectory(folder), Urls = "http://127.0.0.1:0", Threads = 1, KvBytesMax = 32 << 20, OwnerKey = OwnerKey };
        return new RunningServer(await QanatServer.StartAsync(change?.Invoke(options) ?? options, new Quiet(), CancellationToken.None), folder);
    }

    /// <summary>Somebody's browser: it keeps cookies and follows nothing by itself.</summary>
    public Browser Visit() => new(Address);

    public async ValueTask DisposeAsync()
    {
        Owner.Dispose();
        await server.DisposeAsync();
        System.IO.Directory.Delete(Folder, recursive: true);
    }

    private sealed class Quiet : IProgress<string>
    {
        public void Report(string value) { }
    }
}

/// <summary>Cookies and requests of one visitor.</summary>
internal sealed class Browser : IDisposable
{
    private readonly CookieContainer cookies = new();
    private readonly SocketsHttpHandler handler;
    private readonly HttpClient http;

    public Browser(Uri address)
    {
        Address = address;
        handler = new SocketsHttpHandler { CookieContainer = cookies, AllowAutoRedirect = false };
        http = new HttpClient(handler) { BaseAddress = address };
    }

    public Uri Address { get; }
    public bool IsSignedIn => cookies.GetCookies(Address)["qanat-session"] is not null;

    public async Task<Visit> GetAsync(Uri path) => await Visit.OfAsync(await http.GetAsync(path, TestContext.Current.CancellationToken));
    public Task<Visit> GetAsync(string path) => GetAsync(new Uri(path, UriKind.RelativeOrAbsolute));
    public async Task<Visit> PostAsync(string path, params (string Name, string Value)[] form) =>
        await Visit.OfAsync(await http.PostAsync(new Uri(path, UriKind.Relative), new FormUrlEncodedContent(form.Select(each => KeyValuePair.Create(each.Name, each.Value))), TestContext.Current.CancellationToken));

    public void Dispose()
    {
        http.Dispose();
        handler.Dispose();
    }
}

/// <param name="Onward">Where it leads.</param>
internal sealed record Visit(int Status, string Text, Uri? Onward, HttpResponseHeaders Headers)
{
    public static async Task<Visit> OfAsync(HttpResponseMessage response)
    {
        using HttpResponseMessage answer = response;
        return new Visit((int)answer.StatusCode, await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), answer.Headers.Location, answer.Headers);
    }
}
