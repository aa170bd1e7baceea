using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.Logging;
using Qanat.Console;
using Qanat.Gateway;

namespace Qanat.Cli.Tests;

public sealed class ReloadTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task What_may_change_is_put_in_force_and_what_needs_a_restart_is_named_until_there_was_one()
    {
        await using RunningServer server = await StartAsync("""{ "drain_seconds": 1 }""");
        Write(server, """
            {
              "drain_seconds": 7,
              "threads": 2,
              "log_level": "error",
              "line": { "queue_max": 3 },
              "allowed_networks": ["10.1.0.0/16"],
              "mail": { "host": "mail.example.org", "from": "qanat@example.org" },
              "open_id": { "authority": "https://id.example.org", "client_id": "qanat", "name": "Acme", "rules": [{ "value": "g", "role": "viewer", "tenant": "house" }] }
            }
            """);
        ReloadReport report = (await server.Server.ReloadAsync("test", None))!;
        Assert.Null(report.Problem);
        Assert.Equal(["allowed_networks", "drain_seconds", "line", "log_level", "mail", "open_id"], report.Applied);
        Assert.Equal(["threads"], report.NeedRestart);
        Assert.Equal((TimeSpan.FromSeconds(7), LogLevel.Error), (server.Get<DrainTime>().Most, server.Get<LogThreshold>().Least));
        Assert.True(server.Get<AddressGuard>().Allows(IPAddress.Parse("10.1.2.3")));
        Assert.Equal("mail.example.org", server.Get<MailSender>().Terms!.Host);
        using Browser browser = server.Visit();
        Assert.Contains("Sign in by Acme", (await browser.GetAsync("/signin")).Text, StringComparison.Ordinal);
        Assert.Contains("\"configuration.reload\"", await server.Owner.GetStringAsync("api/audit", None), StringComparison.Ordinal);

        // Asked again over the API: nothing new, and the restart is still due.
        JsonNode again = await ReloadAsync(server);
        Assert.Empty(again["applied"]!.AsArray());
        Assert.Equal("threads", (string?)Assert.Single(again["need_restart"]!.AsArray()));

        Write(server, "{}");
        Assert.Equal(6, (await server.Server.ReloadAsync("test", None))!.Applied.Length);
        Assert.Null(server.Get<MailSender>().Terms);
        Assert.Null(server.Get<OpenIdSignIn>().Provider);
        Assert.False(server.Get<AddressGuard>().Allows(IPAddress.Parse("10.1.2.3")));
    }

    [Theory]
    [InlineData("{\n  \"drain_seconds\": 9,\n  \"line\": { \"queue_max\": -1 }\n}", "line 3: line.queue_max")]
    [InlineData("{\n  \"drain_seconds\": 9,\n  \"no_such_setting\": 1\n}", "line 3")]
    [InlineData("{\n  \"drain_seconds\": 9,\n  \"mail\": {\n    \"host\": \"h\",\n    \"from\": \"nobody\"\n  }\n}", "line 5: mail.from")]
    [InlineData("{\n  \"drain_seconds\": 9,,\n}", "line 2")]
    public async Task A_file_with_anything_wrong_in_it_changes_nothing_and_says_where(string text, string where)
    {
        await using RunningServer server = await StartAsync("""{ "drain_seconds": 1 }""");
        Write(server, text);
        ReloadReport report = (await server.Server.ReloadAsync("test", None))!;
        Assert.Contains(where, report.Problem, StringComparison.Ordinal);
        Assert.Empty(report.Applied);
        Assert.Equal(TimeSpan.FromSeconds(1), server.Get<DrainTime>().Most);
        using HttpResponseMessage refused = await server.Owner.PostAsJsonAsync("api/config/reload", new { }, None);
        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Contains("Nothing was changed", await refused.Content.ReadAsStringAsync(None), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_stream_that_runs_goes_on_through_a_reload()
    {
        await using RunningServer server = await StartAsync("{}");
        using HttpRequestMessage request = new(HttpMethod.Post, "v1/completions") { Content = JsonContent.Create(new { model = server.Server.Deployment!.Name.Value, prompt = "a", max_tokens = 200, stream = true, ignore_eos = true }) };
        using HttpResponseMessage response = await server.Owner.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, None);
        using StreamReader reader = new(await response.Content.ReadAsStreamAsync(None));
        Assert.StartsWith("data: ", await reader.ReadLineAsync(None), StringComparison.Ordinal);
        Write(server, """{ "line": { "queue_max": 1 }, "allowed_networks": ["10.0.0.0/8"], "log_level": "error" }""");
        Assert.Equal(3, (await server.Server.ReloadAsync("test", None))!.Applied.Length);
        string rest = await reader.ReadToEndAsync(None);
        Assert.EndsWith("data: [DONE]", rest.TrimEnd(), StringComparison.Ordinal);
        // The word by itself may be what the model says.
        Assert.DoesNotContain("data: {\"error\"", rest, StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_file_leaves_out_has_its_default()
    {
        string folder = Directory.CreateTempSubdirectory("qanat-defaults-").FullName;
        string file = Path.Combine(folder, "qanat.json"), certificate = Path.Combine(folder, "c.pem");
        File.WriteAllText(certificate, "");
        File.WriteAllText(file, $$"""
            {
              "tls": { "certificate": "{{certificate}}" },
              "mail": { "host": "h", "from": "q@example.org" },
              "open_id": { "authority": "https://id.example.org", "client_id": "qanat", "rules": [{ "value": "g", "role": "viewer", "tenant": "acme" }] }
            }
            """);
        QanatConfiguration read = QanatConfiguration.Read(file);
        Assert.Equal(new TlsConfiguration(certificate), read.Tls);
        Assert.Equal(("1.2", true), (read.Tls!.MinVersion, read.Tls.HttpOnlyLeads));
        Assert.Equal((587, MailSecurity.StartTls), (read.Mail!.Port, read.Mail.Security));
        Assert.Equal("OpenID Connect", read.OpenId!.Name);
        Assert.Equal(new OpenIdRule("g", Qanat.Books.KeyRole.Viewer, "acme"), Assert.Single(read.OpenId.Rules!));
        Directory.Delete(folder, recursive: true);
    }

    private static Task<RunningServer> StartAsync(string text) => RunningServer.StartAsync(options =>
    {
        File.WriteAllText(options.Data.ConfigurationFile, text);
        QanatConfiguration read = QanatConfiguration.Read(options.Data.ConfigurationFile);
        return options with { DrainMax = read.DrainMax(), Configuration = new StartedConfiguration(options.Data.ConfigurationFile, read) };
    });

    private static void Write(RunningServer server, string text) => File.WriteAllText(Path.Combine(server.Folder, QanatConfiguration.FileName), text);

    private static async Task<JsonNode> ReloadAsync(RunningServer server)
    {
        using HttpResponseMessage response = await server.Owner.PostAsJsonAsync("api/config/reload", new { }, None);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return (await response.Content.ReadFromJsonAsync<JsonNode>(None))!;
    }
}
