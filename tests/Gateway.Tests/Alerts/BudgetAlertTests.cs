using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Qanat.Books;
using Qanat.Store;

namespace Qanat.Gateway.Tests;

public sealed class BudgetAlertTests
{
    private static readonly CancellationToken None = CancellationToken.None;

    [Fact]
    public async Task Each_threshold_is_told_once_signed_and_again_until_it_arrives()
    {
        ManualClock clock = new();
        await using TestGateway gateway = await TestGateway.StartAsync(clock: clock);
        await using Receiver receiver = await Receiver.StartAsync();
        DirectoryState directory = gateway.Get<DirectoryState>();
        Tenant tenant = directory.Current.FindTenant("acme")!;
        await directory.SetBudgetAsync("test", tenant.Id, Money.Parse("10", Currency.Usd), None);
        await directory.SetTermsAsync("test", "tenant.webhook", tenant.Id, terms => terms with { Webhook = new WebhookTerms(receiver.Url, "whsec-test") }, None);
        using BudgetAlerts alerts = AlertsOf(gateway, clock);

        await SpendAsync(gateway, "4.99");
        await alerts.RunOnceAsync(None);
        Assert.Empty(receiver.Taken);
        receiver.Status = 500;
        await SpendAsync(gateway, "0.01");
        await alerts.RunOnceAsync(None);
        await alerts.RunOnceAsync(None);
        Assert.Single(receiver.Taken);
        receiver.Status = 204;
        clock.Advance(TimeSpan.FromSeconds(10));
        await alerts.RunOnceAsync(None);
        Assert.Equal([50, 50], receiver.Taken.Select(Threshold));

        await SpendAsync(gateway, "5");
        await alerts.RunOnceAsync(None);
        // A new process remembers what the old one told.
        using BudgetAlerts restarted = AlertsOf(gateway, clock);
        await restarted.RunOnceAsync(None);
        Assert.Equal([50, 50, 80, 100], receiver.Taken.Select(Threshold));

        (string signature, string body) = receiver.Taken[^1];
        string seconds = signature.Split(',')[0]["t=".Length..];
        Assert.Equal($"t={seconds},v1={WebhookSender.Sign("whsec-test", seconds, Encoding.UTF8.GetBytes(body))}", signature);
        Assert.Equal(("acme", "monthly budget", "10", "10"), ((string?)JsonNode.Parse(body)!["tenant"], (string?)JsonNode.Parse(body)!["kind"], (string?)JsonNode.Parse(body)!["limit"], (string?)JsonNode.Parse(body)!["spent"]));
    }

    [Fact]
    public async Task A_budget_that_refuses_a_request_is_told_to_be_used_up_and_another_limit_has_thresholds_of_its_own()
    {
        SurfaceTableFixture served = new();
        await served.InitializeAsync();
        try
        {
            await served.SpeakAsync(UpstreamProtocol.OpenAi);
            // USD 0.0000205 each, of which a request with as many max_tokens may cost about as much.
            served.Mock.Script = _ => new WireAnswer("""{"choices":[{"index":0,"message":{"role":"assistant","content":"Hello there"},"finish_reason":"length"}],"usage":{"prompt_tokens":10,"completion_tokens":50,"total_tokens":60}}""");
            await using Receiver receiver = await Receiver.StartAsync();
            DirectoryState directory = served.Gateway.Get<DirectoryState>();
            Tenant tenant = directory.Current.FindTenant("acme")!;
            await directory.SetBudgetAsync("test", tenant.Id, Money.Parse("0.00005", Currency.Usd), None);
            await directory.SetTermsAsync("test", "tenant.webhook", tenant.Id, terms => terms with { Webhook = new WebhookTerms(receiver.Url, "whsec-test") }, None);
            using BudgetAlerts alerts = AlertsOf(served.Gateway, TimeProvider.System);

            // It is the request that is too large for this budget, of which nothing is used.
            Assert.Equal("", await ToldAsync(402, maxTokens: 200));
            Assert.Equal("", await ToldAsync(200));
            Assert.Equal("50 80", await ToldAsync(200));
            Assert.Equal("100", await ToldAsync(402));
            Assert.Equal("", await ToldAsync(402));
            JsonNode last = JsonNode.Parse(receiver.Taken[^1].Body)!;
            Assert.Equal(("0.000041", "0.00005", true), ((string?)last["spent"], (string?)last["limit"], (bool)last["refused"]!));
            Assert.False((bool)JsonNode.Parse(receiver.Taken[0].Body)!["refused"]!);

            await directory.SetBudgetAsync("test", tenant.Id, Money.Parse("0.0001", Currency.Usd), None);
            Assert.Equal("50", await ToldAsync(200));
            Assert.Equal("80", await ToldAsync(200));
            Assert.Equal("100", await ToldAsync(402));
            Assert.Equal(6, receiver.Taken.Select(taken => (string)JsonNode.Parse(taken.Body)!["id"]!).Distinct().Count());

            async Task<string> ToldAsync(int status, int maxTokens = 50)
            {
                int before = receiver.Taken.Count;
                Answer answer = await served.Gateway.PostAsync("/v1/chat/completions", $$"""{"model":"scripted-1","max_tokens":{{maxTokens}},"messages":[{"role":"user","content":"Hi"}]}""");
                Assert.True(answer.Status == status, answer.Text);
                await alerts.RunOnceAsync(None);
                return string.Join(' ', receiver.Taken.Skip(before).Select(Threshold));
            }
        }
        finally
        {
            await served.DisposeAsync();
        }
    }

    [Fact]
    public async Task Credit_that_refuses_a_request_is_told_to_be_used_up_until_it_is_topped_up()
    {
        ManualClock clock = new();
        await using TestGateway gateway = await TestGateway.StartAsync(clock: clock);
        await using Receiver receiver = await Receiver.StartAsync();
        DirectoryState directory = gateway.Get<DirectoryState>();
        Tenant tenant = directory.Current.FindTenant("acme")!;
        await directory.SetTermsAsync("test", "tenant.webhook", tenant.Id, terms => terms with { Webhook = new WebhookTerms(receiver.Url, "whsec-test") }, None);
        using BudgetAlerts alerts = AlertsOf(gateway, clock);
        BudgetLimits budgets = gateway.Get<BudgetLimits>();
        Assert.True(gateway.Get<KeyRing>().TryAuthenticate(gateway.Key, out Caller caller));
        Instant paid = Instant.Now(clock);
        Credit first = new("first", tenant.Id, Money.Parse("10", Currency.Usd), paid, null, WhenExhausted.Stop);
        budgets.Contracts.Credits.Declare([first]);

        budgets.Contracts.Credits.Add(tenant.Id, Money.Parse("7", Currency.Usd), paid);
        await Assert.ThrowsAsync<ApiException>(() => budgets.PlaceAsync(caller, Money.Parse("4", Currency.Usd), None));
        await alerts.RunOnceAsync(None);
        Assert.Equal([50, 100], receiver.Taken.Select(Threshold));
        budgets.Contracts.Credits.Declare([first, first with { Name = "second", Amount = Money.Parse("30", Currency.Usd) }]);
        await alerts.RunOnceAsync(None);
        Assert.Equal(2, receiver.Taken.Count);
    }

    [Fact]
    public async Task A_mail_says_that_a_budget_is_used_up_although_something_is_left()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        await using MailBox box = new();
        MailSender sender = gateway.Get<MailSender>();
        sender.Apply(new MailTerms("127.0.0.1", "qanat@example.org") { Port = box.Port, Security = MailSecurity.None });
        Assert.True(await sender.SendAsync(new BudgetAlert("id", "acme", "t", "daily budget", 100, "10", "9.7", "0", "USD", "now") { Refused = true }, "ann@example.org", None));
        string mail = Assert.Single(box.Taken).Text;
        Assert.Contains("Subject: acme: the daily budget is used up", mail, StringComparison.Ordinal);
        Assert.Contains("a request did not fit what is left of it", mail, StringComparison.Ordinal);
        Assert.DoesNotContain("100 %", mail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_webhook_inside_is_refused_and_its_secret_is_shown_once()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Assert.Equal(400, (await gateway.AdminAsync("PUT", "/api/tenants/acme/webhook", """{"url":"http://169.254.169.254/latest"}""")).Status);
        Answer set = await gateway.AdminAsync("PUT", "/api/tenants/acme/webhook", """{"url":"https://hooks.example.org/qanat"}""");
        string secret = (string)set.Body["webhook_secret"]!;
        string later = (await gateway.AdminAsync("GET", "/api/tenants/acme/limits")).Text + (await gateway.AdminAsync("GET", "/api/audit")).Text + (await gateway.AdminAsync("GET", "/api/tenants")).Text;
        Assert.Contains("hooks.example.org", later, StringComparison.Ordinal);
        Assert.DoesNotContain(secret, later, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Each_address_is_mailed_each_threshold_once_and_again_until_it_is_taken()
    {
        ManualClock clock = new();
        await using TestGateway gateway = await TestGateway.StartAsync(clock: clock);
        await using MailBox box = new();
        gateway.Get<MailSender>().Apply(new MailTerms("127.0.0.1", "Qanat <qanat@example.org>") { Port = box.Port, Security = MailSecurity.None });
        await gateway.Get<DirectoryState>().SetBudgetAsync("test", gateway.Get<DirectoryState>().Current.FindTenant("acme")!.Id, Money.Parse("10", Currency.Usd), None);
        Answer set = await gateway.AdminAsync("PUT", "/api/tenants/acme/alert-mail", """{"addresses":["ann@example.org","Bob <bob@example.org>","ANN@example.org"]}""");
        Assert.Equal(["ann@example.org", "bob@example.org"], set.Body["alert_mail"]!.AsArray().Select(each => (string)each!));
        using BudgetAlerts alerts = AlertsOf(gateway, clock);

        box.Refuses = to => to == "bob@example.org";
        await SpendAsync(gateway, "8");
        await alerts.RunOnceAsync(None);
        Assert.Equal(["ann@example.org", "ann@example.org"], box.Taken.Select(each => each.To));
        box.Refuses = _ => false;
        // Bob's are due again after a pause, by another process, which remembers Ann's.
        await alerts.RunOnceAsync(None);
        Assert.Equal(2, box.Taken.Count);
        clock.Advance(TimeSpan.FromSeconds(10));
        using BudgetAlerts restarted = AlertsOf(gateway, clock);
        await restarted.RunOnceAsync(None);
        await restarted.RunOnceAsync(None);
        Assert.Equal(["ann@example.org", "ann@example.org", "bob@example.org", "bob@example.org"], box.Taken.Select(each => each.To));

        string mail = box.Taken[1].Text;
        Assert.Contains("Subject: acme: 80 % of the monthly budget is used", mail, StringComparison.Ordinal);
        Assert.Contains("From: Qanat <qanat@example.org>", mail, StringComparison.Ordinal);
        Assert.Contains("Auto-Submitted: auto-generated", mail, StringComparison.Ordinal);
        Assert.Contains("Spent: 8 USD", mail, StringComparison.Ordinal);
        Assert.Equal(4, box.Taken.Select(each => each.Text.Split("Message-Id: ")[1].Split('\n')[0]).Distinct().Count());
    }

    [Fact]
    public async Task A_mail_server_that_must_speak_TLS_and_does_not_is_given_nothing()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        await using MailBox box = new();
        MailSender sender = gateway.Get<MailSender>();
        BudgetAlert alert = new("id", "acme", "t", "daily budget", 100, "1", "1", "0", "USD", "now");
        MailTerms terms = new("127.0.0.1", "qanat@example.org") { Port = box.Port };
        sender.Apply(terms);
        Assert.False(await sender.SendAsync(alert, "ann@example.org", None));
        Assert.Empty(box.Taken);
        sender.Apply(terms with { Security = MailSecurity.None });
        Assert.True(await sender.SendAsync(alert, "ann@example.org", None));
        sender.Apply(null);
        Assert.False(await sender.SendAsync(alert, "ann@example.org", None));
        Assert.Single(box.Taken);
    }

    [Theory]
    [InlineData("""{"addresses":["nobody"]}""", "addresses[0]")]
    [InlineData("""{"addresses":["a@example.org\r\nBcc: b@example.org"]}""", "addresses[0]")]
    [InlineData("""{"addresses":"a@example.org"}""", "addresses")]
    [InlineData("""{}""", "addresses")]
    public async Task What_is_no_mail_address_is_refused(string body, string param)
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        gateway.Get<MailSender>().Apply(new MailTerms("127.0.0.1", "qanat@example.org"));
        Answer refused = await gateway.AdminAsync("PUT", "/api/tenants/acme/alert-mail", body);
        Assert.Equal((400, param), (refused.Status, refused.Param));
    }

    [Fact]
    public async Task Without_a_mail_server_nobody_can_be_mailed()
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        Assert.Equal(400, (await gateway.AdminAsync("PUT", "/api/tenants/acme/alert-mail", """{"addresses":["ann@example.org"]}""")).Status);
        Assert.Equal(200, (await gateway.AdminAsync("PUT", "/api/tenants/acme/alert-mail", """{"addresses":[]}""")).Status);
    }

    private static BudgetAlerts AlertsOf(TestGateway gateway, TimeProvider clock) => new(gateway.Get<DirectoryState>(), gateway.Get<BudgetLimits>(), (IDocumentStore)gateway.Store,
        new WebhookSender(new AddressGuard([IPNetwork.Parse("127.0.0.0/8")]), clock), gateway.Get<MailSender>(), new AlertOptions(), clock, NullLogger<BudgetAlerts>.Instance);

    private static async Task SpendAsync(TestGateway gateway, string amount)
    {
        Assert.True(gateway.Get<KeyRing>().TryAuthenticate(gateway.Key, out Caller caller));
        BudgetLimits budgets = gateway.Get<BudgetLimits>();
        budgets.Settle(await budgets.PlaceAsync(caller, Money.Parse(amount, Currency.Usd), None), Money.Parse(amount, Currency.Usd));
    }

    private static int Threshold((string Signature, string Body) taken) => (int)JsonNode.Parse(taken.Body)!["threshold_percent"]!;

    /// <summary>Somebody else's server.</summary>
    private sealed class Receiver(WebApplication app, List<(string Signature, string Body)> taken) : IAsyncDisposable
    {
        public int Status { get; set; } = 204;
        public List<(string Signature, string Body)> Taken => taken;
        public string Url => app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First() + "/hook";

        public static async Task<Receiver> StartAsync()
        {
            WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
            builder.WebHost.UseUrls("http://127.0.0.1:0");
            builder.Logging.ClearProviders();
            WebApplication app = builder.Build();
            Receiver receiver = new(app, []);
            app.MapPost("/hook", async (HttpContext context) =>
            {
                using StreamReader reader = new(context.Request.Body);
                receiver.Taken.Add((context.Request.Headers["x-qanat-signature"].ToString(), await reader.ReadToEndAsync()));
                context.Response.StatusCode = receiver.Status;
            });
            await app.StartAsync();
            return receiver;
        }

        public async ValueTask DisposeAsync() => await app.DisposeAsync();
    }
}
