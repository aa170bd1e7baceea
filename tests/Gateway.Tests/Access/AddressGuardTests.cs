using System.Net;
using System.Net.Sockets;

namespace Qanat.Gateway.Tests;

public sealed class AddressGuardTests
{
    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("10.1.2.3")]
    [InlineData("172.31.255.255")]
    [InlineData("192.168.0.1")]
    [InlineData("169.254.169.254")]
    [InlineData("100.64.0.1")]
    [InlineData("0.0.0.0")]
    [InlineData("224.0.0.1")]
    [InlineData("255.255.255.255")]
    [InlineData("::1")]
    [InlineData("::")]
    [InlineData("fe80::1")]
    [InlineData("fd00::1")]
    [InlineData("::ffff:127.0.0.1")]
    [InlineData("::ffff:169.254.169.254")]
    [InlineData("64:ff9b::7f00:1")]
    [InlineData("2002:7f00:1::")]
    public void Addresses_inside_are_refused(string address) => Assert.False(AddressGuard.PublicOnly.Allows(IPAddress.Parse(address)));

    [Theory]
    [InlineData("8.8.8.8")]
    [InlineData("172.32.0.1")]
    [InlineData("2606:4700::1111")]
    public void Public_addresses_are_allowed(string address) => Assert.True(AddressGuard.PublicOnly.Allows(IPAddress.Parse(address)));

    [Theory]
    [InlineData("file:///etc/passwd")]
    [InlineData("ftp://example.org/")]
    [InlineData("http://user@example.org/")]
    [InlineData("http://127.0.0.1/")]
    [InlineData("http://2130706433/")]
    [InlineData("http://0x7f.1/")]
    [InlineData("http://[::1]/")]
    [InlineData("http://169.254.169.254/latest/meta-data")]
    [InlineData("http://[fe80::1]/")]
    [InlineData("http://localhost:9/")]
    [InlineData("http://api.LocalHost./")]
    [InlineData("//example.org")]
    [InlineData("")]
    public void What_is_no_public_web_address_is_refused_when_it_is_typed(string address) => Assert.Equal(400, Assert.Throws<ApiException>(() => AddressGuard.PublicOnly.Check(address, "url")).Status);

    [Theory]
    [InlineData("https://hooks.example.org/in")]
    [InlineData("http://10.1.2.3/")]
    [InlineData("http://localhost/")]
    [InlineData("http://localhost.example.org/")]
    public void What_is_allowed_or_still_to_be_resolved_may_be_typed(string address) =>
        new AddressGuard([IPNetwork.Parse("10.1.0.0/16"), IPNetwork.Parse("127.0.0.0/8")]).Check(address, "url");

    [Fact]
    public async Task A_name_is_judged_by_the_address_that_is_connected_to()
    {
        using TcpListener listener = new(IPAddress.Loopback, 0);
        listener.Start();
        Uri uri = new($"http://localhost:{((IPEndPoint)listener.LocalEndpoint).Port}/");
        using HttpClient guarded = new(AddressGuard.PublicOnly.Handler());
        await Assert.ThrowsAsync<HttpRequestException>(() => guarded.GetAsync(uri, TestContext.Current.CancellationToken));
        Assert.False(listener.Pending());

        using HttpClient allowed = new(new AddressGuard([IPNetwork.Parse("127.0.0.0/8")]).Handler());
        Task<HttpResponseMessage> asking = allowed.GetAsync(uri, TestContext.Current.CancellationToken);
        Task<TcpClient> accepting = listener.AcceptTcpClientAsync(TestContext.Current.CancellationToken).AsTask();
        // A refusal is told and not waited out.
        if (await Task.WhenAny(accepting, asking) == asking) await asking;
        using TcpClient accepted = await accepting;
        // Answered and closed before it was asked, the connection would break.
        Assert.NotEqual(0, await accepted.GetStream().ReadAsync(new byte[1024], TestContext.Current.CancellationToken));
        await accepted.GetStream().WriteAsync("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:9/\r\nSet-Cookie: theirs=1; Path=/\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.TemporaryRedirect, (await asking).StatusCode);

        // Whoever is asked next at the same place, for another tenant, learns nothing of what was said before.
        Task<HttpResponseMessage> next = allowed.GetAsync(uri, TestContext.Current.CancellationToken);
        Task<TcpClient> acceptingNext = listener.AcceptTcpClientAsync(TestContext.Current.CancellationToken).AsTask();
        if (await Task.WhenAny(acceptingNext, next) == next) await next;
        using TcpClient acceptedNext = await acceptingNext;
        byte[] request = new byte[4096];
        int length = await acceptedNext.GetStream().ReadAsync(request, TestContext.Current.CancellationToken);
        string asked = System.Text.Encoding.ASCII.GetString(request, 0, length);
        Assert.StartsWith("GET / HTTP/1.1", asked, StringComparison.Ordinal);
        Assert.DoesNotContain("Cookie", asked, StringComparison.OrdinalIgnoreCase);
        await acceptedNext.GetStream().WriteAsync("HTTP/1.1 204 No Content\r\n\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.NoContent, (await next).StatusCode);
    }
}
