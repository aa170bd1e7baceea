using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;

namespace Qanat.Cli.Tests;

public sealed class TlsTests : IDisposable
{
    private static readonly CancellationToken None = CancellationToken.None;
    private readonly string folder = Directory.CreateTempSubdirectory("qanat-tls-").FullName;
    private readonly string certificate, key;
    private int written;

    public TlsTests() => (certificate, key) = (Path.Combine(folder, "cert.pem"), Path.Combine(folder, "key.pem"));

    [Fact]
    public async Task A_certificate_that_is_replaced_is_shown_to_the_next_connection_and_a_broken_one_is_not()
    {
        string first = WriteCertificate();
        await using RunningServer server = await StartAsync(new TlsConfiguration(certificate, key));
        Assert.Equal(first, await ShownAsync(server, SslProtocols.None));
        string second = WriteCertificate();
        Assert.NotEqual(first, second);
        Assert.Equal(second, await ShownAsync(server, SslProtocols.None));
        Touch("nonsense");
        Assert.Equal(second, await ShownAsync(server, SslProtocols.None));
        string third = WriteCertificate();
        Assert.Equal(third, await ShownAsync(server, SslProtocols.None));
    }

    [Fact]
    public async Task Older_versions_than_the_least_are_refused()
    {
        WriteCertificate();
        await using RunningServer server = await StartAsync(new TlsConfiguration(certificate, key) { MinVersion = "1.3" });
        await Assert.ThrowsAnyAsync<Exception>(() => ShownAsync(server, SslProtocols.Tls12));
        Assert.NotEmpty(await ShownAsync(server, SslProtocols.Tls13));
    }

    [Fact]
    public async Task Http_leads_pages_to_https_and_refuses_keys_and_https_says_that_it_should_be_kept_to()
    {
        WriteCertificate();
        await using RunningServer server = await StartAsync(new TlsConfiguration(certificate, key) { HstsSeconds = 600 });
        (Uri plain, Uri secure) = AddressesOf(server);
        using SocketsHttpHandler handler = new() { AllowAutoRedirect = false, SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = (_, shown, _, _) => shown?.Subject == "CN=localhost" } };
        using HttpClient http = new(handler);
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", RunningServer.OwnerKey);

        using HttpResponseMessage page = await http.GetAsync(new Uri(plain, "/signin?next=%2Fpnl"), None);
        Assert.Equal((HttpStatusCode.PermanentRedirect, new Uri(secure, "/signin?next=%2Fpnl")), (page.StatusCode, page.Headers.Location));
        using HttpResponseMessage api = await http.GetAsync(new Uri(plain, "/v1/models"), None);
        Assert.Equal(HttpStatusCode.Forbidden, api.StatusCode);
        Assert.Contains("https_required", await api.Content.ReadAsStringAsync(None), StringComparison.Ordinal);
        using HttpResponseMessage form = await http.PostAsync(new Uri(plain, "/signin"), new FormUrlEncodedContent([KeyValuePair.Create("key", "x")]), None);
        Assert.Equal(HttpStatusCode.Forbidden, form.StatusCode);
        using HttpResponseMessage probe = await http.GetAsync(new Uri(plain, "/healthz"), None);
        Assert.Equal(HttpStatusCode.OK, probe.StatusCode);

        foreach (string path in (string[])["/v1/models", "/signin"])
        {
            using HttpResponseMessage safe = await http.GetAsync(new Uri(secure, path), None);
            Assert.Equal(HttpStatusCode.OK, safe.StatusCode);
            Assert.Equal("max-age=600", Assert.Single(safe.Headers.GetValues("Strict-Transport-Security")));
            Assert.Equal("nosniff", Assert.Single(safe.Headers.GetValues("X-Content-Type-Options")));
        }
    }

    [Fact]
    public async Task Both_may_be_served_when_that_is_wanted()
    {
        WriteCertificate();
        await using RunningServer server = await StartAsync(new TlsConfiguration(certificate, key) { HttpOnlyLeads = false });
        using HttpClient http = new();
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", RunningServer.OwnerKey);
        using HttpResponseMessage api = await http.GetAsync(new Uri(AddressesOf(server).Plain, "/v1/models"), None);
        Assert.Equal(HttpStatusCode.OK, api.StatusCode);
        Assert.False(api.Headers.Contains("Strict-Transport-Security"));
    }

    public void Dispose() => Directory.Delete(folder, recursive: true);

    private static Task<RunningServer> StartAsync(TlsConfiguration tls) => RunningServer.StartAsync(options => options with { Urls = "http://127.0.0.1:0;https://127.0.0.1:0", Tls = tls });

    private static (Uri Plain, Uri Secure) AddressesOf(RunningServer server)
    {
        Uri[] all = [.. server.Get<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Select(address => new Uri(address))];
        return (all.Single(each => each.Scheme == "http"), all.Single(each => each.Scheme == "https"));
    }

    /// <summary>The thumbprint that a new connection is shown.</summary>
    private static async Task<string> ShownAsync(RunningServer server, SslProtocols versions)
    {
        using TcpClient client = new();
        await client.ConnectAsync(IPAddress.Loopback, AddressesOf(server).Secure.Port, None);
        await using SslStream tls = new(client.GetStream());
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "localhost", EnabledSslProtocols = versions, RemoteCertificateValidationCallback = (_, shown, _, _) => shown?.Subject == "CN=localhost" }, None);
        return ((X509Certificate2)tls.RemoteCertificate!).Thumbprint;
    }

    private string WriteCertificate()
    {
        using ECDsa pair = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = new("CN=localhost", pair, HashAlgorithmName.SHA256);
        using X509Certificate2 made = request.CreateSelfSigned(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero), new DateTimeOffset(2040, 1, 1, 0, 0, 0, TimeSpan.Zero));
        File.WriteAllText(key, pair.ExportPkcs8PrivateKeyPem());
        Touch(made.ExportCertificatePem());
        return made.Thumbprint;
    }

    /// <summary>Written so that the file's time tells, whatever the file system's clock ticks by.</summary>
    private void Touch(string text)
    {
        File.WriteAllText(certificate, text);
        File.SetLastWriteTimeUtc(certificate, new DateTime(2026, 1, 1, 0, 0, ++written, DateTimeKind.Utc));
        File.SetLastWriteTimeUtc(key, new DateTime(2026, 1, 1, 0, 0, written, DateTimeKind.Utc));
    }
}
