using System.Text.RegularExpressions;

namespace Qanat.Gateway.Tests;

public sealed partial class DocsPageTests(GatewayFixture fixture) : IClassFixture<GatewayFixture>
{
    [Fact]
    public async Task The_page_of_the_API_runs_its_own_scripts_only_and_cannot_be_framed()
    {
        using HttpClient anyone = fixture.Fresh().Client(key: null);
        using HttpResponseMessage first = await anyone.GetAsync("/docs/", TestContext.Current.CancellationToken), second = await anyone.GetAsync("/docs/", TestContext.Current.CancellationToken);
        Assert.Equal(["no-referrer"], first.Headers.GetValues("Referrer-Policy"));
        Assert.Equal(["nosniff"], first.Headers.GetValues("X-Content-Type-Options"));
        string policy = Assert.Single(first.Headers.GetValues("Content-Security-Policy"));
        Assert.Contains("frame-ancestors 'none'", policy, StringComparison.Ordinal);
        Assert.Contains("default-src 'self'", policy, StringComparison.Ordinal);
        string nonce = Nonce().Match(policy).Groups["nonce"].Value;
        Assert.NotEmpty(nonce);
        MatchCollection scripts = Script().Matches(await first.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.NotEmpty(scripts);
        Assert.All(scripts, script => Assert.Contains($"nonce=\"{nonce}\"", script.Value, StringComparison.Ordinal));
        Assert.NotEqual(policy, Assert.Single(second.Headers.GetValues("Content-Security-Policy")));
    }

    [GeneratedRegex("script-src [^;]*'nonce-(?<nonce>[A-Za-z0-9+/=_-]+)'", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Nonce();

    [GeneratedRegex("<script[^>]*>", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Script();
}
