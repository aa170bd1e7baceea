using System.Security.Cryptography;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.WebUtilities;
using Microsoft.Extensions.Primitives;
using Microsoft.IdentityModel.Tokens;
using Qanat.Books;
using Qanat.Console;
using Qanat.Gateway;

namespace Qanat.Cli.Tests;

public sealed class OpenIdFixture : IAsyncLifetime
{
    internal TestProvider Provider { get; private set; } = null!;
    internal RunningServer Server { get; private set; } = null!;

    internal OpenIdProvider Terms => new(Provider.Address, TestProvider.ClientId)
    {
        Name = "Acme",
        Rules =
        [
            new OpenIdRule("cloud-finance", KeyRole.Finance, FirstStart.HouseTenant) { Reach = Reach.Cloud },
            new OpenIdRule("acme-viewers", KeyRole.Viewer, "acme"),
            new OpenIdRule("nowhere", KeyRole.Viewer, "no such tenant"),
        ],
    };

    public async ValueTask InitializeAsync()
    {
        Provider = await TestProvider.StartAsync();
        Server = await RunningServer.StartAsync(options => options with { OpenId = Terms });
        await Server.Directory.CreateTenantAsync("test", new NewTenant("acme", null, IsDemo: false), CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        await Provider.DisposeAsync();
    }
}

public sealed partial class OpenIdTests : IClassFixture<OpenIdFixture>
{
    private readonly TestProvider provider;
    private readonly RunningServer server;
    private readonly OpenIdProvider terms;

    public OpenIdTests(OpenIdFixture fixture)
    {
        (provider, server, terms) = (fixture.Provider, fixture.Server, fixture.Terms);
        provider.Spoil = _ => { };
        server.Get<OpenIdSignIn>().Apply(terms);
    }

    [Fact]
    public async Task Whom_the_provider_vouches_for_signs_in_as_the_rules_say_and_out_of_both()
    {
        provider.Person = PersonOf("ann", "acme-viewers");
        using Browser browser = server.Visit();
        Assert.Contains("Sign in by Acme", (await browser.GetAsync("/signin")).Text, StringComparison.Ordinal);
        Visit arrived = await SignInAsync(browser, "/tenants");
        Assert.Equal((200, "/tenants"), (arrived.Status, LeadsTo(arrived)));
        Assert.True(browser.IsSignedIn);
        Assert.Equal(("S256", "code", "openid profile email"), (Asked("code_challenge_method"), Asked("response_type"), Asked("scope")));

        ApiKey ann = Assert.Single(IdentitiesOf("ann"));
        Assert.Equal((KeyRole.Viewer, Reach.Tenant, "acme", "Name of ann"), (ann.Role, KeyTerms.Of(ann).Reach, server.Directory.Current.Tenant(ann.Tenant).Name, ann.Name));
        Visit page = await browser.GetAsync("/tenants");
        Assert.Equal(200, page.Status);
        Assert.Equal("/denied", (await browser.GetAsync("/audit")).Onward!.AbsolutePath);

        // Again, from another browser: the same identity.
        using Browser second = server.Visit();
        await SignInAsync(second, "/");
        Assert.Single(IdentitiesOf("ann"));

        string formToken = FormToken().Match(page.Text).Groups[1].Value;
        Visit left = await browser.PostAsync("/signout", ("__RequestVerificationToken", formToken));
        Assert.Equal("/signin/openid/end", LeadsTo(left));
        Assert.False(browser.IsSignedIn);
        Uri end = (await browser.GetAsync("/signin/openid/end")).Onward!;
        Assert.Equal((provider.Address + "/logout", TestProvider.ClientId), (end.GetLeftPart(UriPartial.Path), QueryHelpers.ParseQuery(end.Query)["client_id"].ToString()));
        Assert.Equal(server.Address + "signin/openid/ended", QueryHelpers.ParseQuery(end.Query)["post_logout_redirect_uri"].ToString());
    }

    public static TheoryData<string> Spoilings => [.. Spoilt.Keys];

    private static readonly Dictionary<string, Action<SecurityTokenDescriptor>> Spoilt = new(StringComparer.Ordinal)
    {
        ["wrong nonce"] = token => token.Claims["nonce"] = "638000000000000000.bm9uY2U",
        ["no nonce"] = token => token.Claims.Remove("nonce"),
        ["wrong issuer"] = token => token.Issuer = "https://id.example.org",
        ["wrong audience"] = token => token.Audience = "another-client",
        ["expired"] = token => (token.IssuedAt, token.NotBefore, token.Expires) = (token.IssuedAt!.Value.AddHours(-2), token.NotBefore!.Value.AddHours(-2), token.Expires!.Value.AddHours(-1)),
        ["not yet valid"] = token => (token.NotBefore, token.Expires) = (token.NotBefore!.Value.AddHours(1), token.Expires!.Value.AddHours(1)),
        ["signed by somebody else"] = token => token.SigningCredentials = new SigningCredentials(new RsaSecurityKey(RSA.Create(2048)) { KeyId = "k1" }, SecurityAlgorithms.RsaSha256),
        ["not signed"] = token => token.SigningCredentials = null,
        ["no subject"] = token => token.Claims.Remove("sub"),
    };

    [Theory]
    [MemberData(nameof(Spoilings))]
    public async Task A_token_that_is_not_right_lets_nobody_in(string what)
    {
        provider.Person = PersonOf("eve of " + what, "cloud-finance");
        provider.Spoil = Spoilt[what];
        using Browser browser = server.Visit();
        Visit refused = await SignInAsync(browser, "/");
        Assert.InRange(refused.Status, 401, 403);
        Assert.Contains("role=\"alert\"", refused.Text, StringComparison.Ordinal);
        Assert.False(browser.IsSignedIn);
        Assert.Empty(IdentitiesOf("eve of " + what));
    }

    [Theory]
    [InlineData("stranger", "people")]
    [InlineData("lost", "nowhere")]
    public async Task Whom_no_rule_fits_is_not_let_in_and_leaves_no_identity(string person, string group)
    {
        provider.Person = PersonOf(person, group);
        using Browser browser = server.Visit();
        Visit refused = await SignInAsync(browser, "/");
        Assert.Equal(403, refused.Status);
        Assert.False(browser.IsSignedIn);
        Assert.Empty(IdentitiesOf(person));
    }

    [Fact]
    public async Task An_answer_meant_for_another_browser_or_used_before_is_refused()
    {
        provider.Person = PersonOf("bob", "acme-viewers");
        using Browser bob = server.Visit();
        using Browser other = server.Visit();
        Uri callback = await CallbackAsync(bob, "/");
        Assert.Equal(401, (await other.GetAsync(callback)).Status);
        Assert.False(other.IsSignedIn);
        Assert.Equal(200, (await bob.GetAsync(callback)).Status);
        using Browser again = server.Visit();
        Assert.Equal(401, (await again.GetAsync(callback)).Status);
        Assert.Equal(401, (await again.GetAsync("/signin/openid/callback?error=access_denied&state=x")).Status);
    }

    [Theory]
    [InlineData("https://evil.example.org/")]
    [InlineData("//evil.example.org/")]
    [InlineData("/\\evil.example.org")]
    public async Task A_sign_in_never_leads_elsewhere(string next)
    {
        provider.Person = PersonOf("carol", "acme-viewers");
        using Browser browser = server.Visit();
        Assert.Equal("/", LeadsTo(await SignInAsync(browser, next)));
    }

    [Fact]
    public async Task Another_group_is_another_identity_and_one_revoked_here_stays_out()
    {
        provider.Person = PersonOf("dan", "acme-viewers");
        using Browser before = server.Visit();
        await SignInAsync(before, "/");
        provider.Person = PersonOf("dan", "cloud-finance");
        using Browser after = server.Visit();
        await SignInAsync(after, "/");
        ApiKey[] dans = IdentitiesOf("dan");
        Assert.Equal([(KeyRole.Viewer, false), (KeyRole.Finance, true)], dans.Select(each => (each.Role, each.RevokedAt is null)));
        Assert.Equal(200, (await after.GetAsync("/audit")).Status);
        Assert.Equal(302, (await before.GetAsync("/tenants")).Status);

        // No group any more: the session that is open ends too; with a group again they are let in again.
        provider.Person = PersonOf("dan", "people");
        Assert.Equal(403, (await SignInAsync(before, "/")).Status);
        Assert.Equal(302, (await after.GetAsync("/audit")).Status);
        provider.Person = PersonOf("dan", "acme-viewers");
        Assert.Equal(200, (await SignInAsync(before, "/")).Status);

        await server.Directory.RevokeKeyAsync("test", IdentitiesOf("dan")[^1].Id, CancellationToken.None);
        Visit refused = await SignInAsync(before, "/");
        Assert.Equal(403, refused.Status);
        Assert.Contains("revoked", refused.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_provider_out_of_reach_or_taken_away_leaves_the_other_ways_in()
    {
        using Browser browser = server.Visit();
        server.Get<OpenIdSignIn>().Apply(terms with { Authority = "http://127.0.0.1:1" });
        Visit refused = await browser.GetAsync("/signin/openid");
        Assert.Equal(503, refused.Status);
        Assert.Contains("cannot be reached", refused.Text, StringComparison.Ordinal);
        server.Get<OpenIdSignIn>().Apply(null);
        Assert.Equal("/signin", (await browser.GetAsync("/signin/openid")).Onward!.ToString());
        Assert.DoesNotContain("openid", (await browser.GetAsync("/signin")).Text, StringComparison.Ordinal);
    }

    private static Dictionary<string, object> PersonOf(string name, string group) => new() { ["sub"] = name, ["name"] = "Name of " + name, ["groups"] = new[] { "everyone", group } };

    private ApiKey[] IdentitiesOf(string subject) => [.. server.Directory.Current.Keys.Where(key => KeyTerms.Of(key).Outside?.Subject == subject)];

    private string Asked(string name) => provider.Authorization!.TryGetValue(name, out StringValues value) ? value.ToString() : "";

    /// <summary>By the provider, up to its answer.</summary>
    private static async Task<Uri> CallbackAsync(Browser browser, string next)
    {
        Visit start = await browser.GetAsync("/signin/openid?next=" + Uri.EscapeDataString(next));
        Assert.Equal(302, start.Status);
        return (await browser.GetAsync(start.Onward!)).Onward!;
    }

    private static async Task<Visit> SignInAsync(Browser browser, string next) => await browser.GetAsync(await CallbackAsync(browser, next));

    private static string LeadsTo(Visit page) => Refresh().Match(page.Text).Groups[1].Value;

    [GeneratedRegex("http-equiv=\"refresh\" content=\"0;url=([^\"]*)\"", RegexOptions.None, 1000)]
    private static partial Regex Refresh();

    [GeneratedRegex("name=\"__RequestVerificationToken\" value=\"([^\"]*)\"", RegexOptions.None, 1000)]
    private static partial Regex FormToken();
}
