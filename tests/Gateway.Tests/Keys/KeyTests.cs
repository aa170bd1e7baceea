using System.Net.Http.Headers;
using Qanat.Books;

namespace Qanat.Gateway.Tests;

public sealed class KeyTests
{
    [Fact]
    public void New_keys_carry_256_bits_in_letters_and_digits_and_differ()
    {
        string[] keys = [.. Enumerable.Range(0, 200).Select(_ => KeySecret.New())];
        Assert.All(keys, key =>
        {
            Assert.StartsWith("sk-", key, StringComparison.Ordinal);
            Assert.Equal(46, key.Length);
            Assert.True(key[3..].All(char.IsAsciiLetterOrDigit));
        });
        Assert.Equal(keys.Length, keys.Distinct().Count());
        // Every digit of base 62 appears: the encoding loses nothing of the alphabet.
        Assert.Equal(62, keys.SelectMany(key => key[3..]).Distinct().Count());
    }

    [Theory]
    [InlineData("Authorization", "Bearer {0}", 200)]
    [InlineData("Authorization", "bearer {0}", 200)]
    [InlineData("x-api-key", "{0}", 200)]
    [InlineData("api-key", "{0}", 200)]
    [InlineData("Authorization", "Basic {0}", 401)]
    [InlineData("Authorization", "Bearer {0}x", 401)]
    [InlineData("Authorization", "Bearer ", 401)]
    [InlineData("x-other", "{0}", 401)]
    public async Task A_key_is_read_from_three_headers(string header, string format, int status)
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        using HttpClient http = gateway.Client(key: null);
        using HttpRequestMessage request = new(HttpMethod.Get, "/v1/models");
        request.Headers.TryAddWithoutValidation(header, format.Replace("{0}", gateway.Key, StringComparison.Ordinal));
        Answer answer = await TestGateway.SendAsync(http, request);
        Assert.Equal(status, answer.Status);
        if (status == 401) Assert.Equal("Bearer", answer.Header("WWW-Authenticate"));
    }

    [Fact]
    public async Task Clients_that_send_two_headers_are_served()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        using HttpRequestMessage request = new(HttpMethod.Get, "/v1/models");
        request.Headers.Add("api-key", gateway.Key);
        Assert.Equal(200, (await gateway.SendAsync(request)).Status);
    }

    [Fact]
    public async Task A_bad_key_is_refused_as_OpenAI_does_and_not_repeated()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        using HttpClient http = gateway.Client("sk-wrong-secret");
        Answer answer = await TestGateway.SendAsync(http, new HttpRequestMessage(HttpMethod.Post, "/v1/chat/completions"));
        Assert.Equal((401, "invalid_api_key", "invalid_request_error"), (answer.Status, answer.Code, (string?)answer.Body["error"]!["type"]));
        Assert.DoesNotContain("sk-wrong-secret", answer.Text, StringComparison.Ordinal);
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", new string('x', 10_000));
        Assert.Equal(401, (await TestGateway.SendAsync(http, new HttpRequestMessage(HttpMethod.Get, "/v1/models"))).Status);
    }

    [Fact]
    public async Task A_revoked_key_stops_working_with_the_next_request()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        DirectoryState directory = gateway.Get<DirectoryState>();
        KeyRing ring = gateway.Get<KeyRing>();
        Assert.True(ring.TryAuthenticate(gateway.Key, out Caller caller));
        await directory.RevokeKeyAsync("test", caller.Key.Id, CancellationToken.None);
        Assert.False(ring.TryAuthenticate(gateway.Key, out _));
        Assert.Equal(401, (await gateway.GetAsync("/v1/models")).Status);
    }

    /// <summary>What a connection showed before is remembered with it.</summary>
    [Fact]
    public async Task Whoever_shows_another_key_on_the_same_connection_is_another_caller()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        using SocketsHttpHandler one = new() { MaxConnectionsPerServer = 1 };
        using HttpMessageInvoker http = new(one);
        string owner = gateway.Owner.DefaultRequestHeaders.Authorization!.Parameter!, tenant = gateway.Key;
        foreach (int turn in (int[])[1, 2])
        {
            Assert.Equal(403, await AskAsync("Bearer " + tenant));
            Assert.Equal(403, await AskAsync("Bearer " + tenant, owner));
            Assert.Equal(200, await AskAsync("Bearer " + owner));
            Assert.Equal(200, await AskAsync("Bearer " + owner));
            Assert.Equal(403, await AskAsync("Basic eDp5", tenant));
            Assert.Equal(200, await AskAsync("Basic eDp5", owner));
            Assert.Equal(401, await AskAsync("Basic eDp5"));
            Assert.Equal(401, await AskAsync("Bearer " + tenant + turn));
        }
        Assert.True(gateway.Get<KeyRing>().TryAuthenticate(tenant, out Caller caller));
        Assert.Equal(403, await AskAsync("Bearer " + tenant));
        await gateway.Get<DirectoryState>().RevokeKeyAsync("test", caller.Key.Id, CancellationToken.None);
        Assert.Equal(401, await AskAsync("Bearer " + tenant));

        async Task<int> AskAsync(string authorization, string? other = null)
        {
            using HttpRequestMessage request = new(HttpMethod.Get, new Uri(gateway.Uri, "/api/tenants"));
            request.Headers.TryAddWithoutValidation("Authorization", authorization);
            if (other is not null) request.Headers.TryAddWithoutValidation("x-api-key", other);
            return (await Answer.OfAsync(http.SendAsync(request, TestContext.Current.CancellationToken))).Status;
        }
    }

    [Fact]
    public async Task Only_a_hash_of_a_key_is_stored()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        DirectorySnapshot stored = await gateway.Store.ReadDirectoryAsync(TestContext.Current.CancellationToken);
        ApiKey key = stored.Keys.Single(each => each.Hash.SequenceEqual(KeySecret.Hash(gateway.Key)));
        Assert.Equal(gateway.Key[..7] + "...", key.Prefix);
        Assert.DoesNotContain(await gateway.Store.ReadAuditAsync(100, TestContext.Current.CancellationToken), entry => entry.ToString().Contains(gateway.Key, StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_first_start_makes_the_house_and_its_owner_once()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        DirectoryState directory = gateway.Get<DirectoryState>();
        Assert.Null(await FirstStart.EnsureOwnerAsync(directory, "another-owner-key", CancellationToken.None));
        Assert.True(gateway.Get<KeyRing>().TryAuthenticate(TestGateway.OwnerKey, out Caller owner));
        Assert.Equal(("house", KeyRole.Owner, Reach.Cloud), (owner.Tenant.Name, owner.Key.Role, owner.Terms.Reach));
    }

    [Theory]
    [InlineData("short")]
    [InlineData("with space inside")]
    [InlineData("übergross-key")]
    public void An_owner_key_that_cannot_be_sent_is_refused(string key) => Assert.Throws<ArgumentException>(() => FirstStart.CheckOwnerKey(key));
}
