using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;
using Qanat.Books;
using Qanat.Gateway;

namespace Qanat.Cli.Tests;

/// <summary>A server with a tenant.</summary>
public sealed class PageIdentityFixture : IAsyncLifetime
{
    internal RunningServer Server { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Server = await RunningServer.StartAsync();
        await Server.Directory.CreateTenantAsync("test", new NewTenant("acme", null, IsDemo: false), CancellationToken.None);
    }

    public ValueTask DisposeAsync() => Server.DisposeAsync();
}

/// <summary>Every page of the console and everything that pages hand out as files, as the running server lists them, with everybody who may sign in.</summary>
public sealed partial class PageIdentityTests(PageIdentityFixture fixture) : IClassFixture<PageIdentityFixture>
{
    private const string Policy = "qanat-";
    private readonly RunningServer server = fixture.Server;

    [Fact]
    public async Task Every_role_is_shown_exactly_the_pages_that_the_table_gives_it()
    {
        Page[] pages = PagesOf();
        Assert.True(pages.Length >= 25, $"Only {pages.Length} pages were found.");
        foreach (KeyRole role in Roles.All.Where(role => role != KeyRole.Inference))
        {
            foreach (Reach reach in Enum.GetValues<Reach>())
            {
                using Browser browser = await SignInAsync(role, reach);
                foreach (Page page in pages)
                {
                    Visit visit = await browser.GetAsync(page.PathOf("01930b2c-7a5e-7c1d-9f5e-0123456789ab"));
                    // Where there is nothing of that name a page may lead to the list of what there is.
                    string onward = visit.Status == 302 ? visit.Onward!.ToString() : "";
                    bool denied = onward.Contains("/denied", StringComparison.Ordinal);
                    Assert.True(Roles.Allows(role, reach, page.Needs) != denied && visit.Status is 200 or 302 or 400 or 404 && !onward.Contains("/signin", StringComparison.Ordinal), $"{role} reaching {reach}: {page} gave {visit.Status} {onward}");
                }
            }
        }
    }

    [Fact]
    public async Task A_key_that_is_bound_to_other_paths_or_networks_signs_in_nowhere_and_its_session_ends()
    {
        using Browser browser = server.Visit();
        Assert.Equal(401, (await SignInAsync(browser, await KeyAsync(new KeyTerms { Reach = Reach.Cloud, Endpoints = ["/v1/chat"] }))).Status);
        Assert.Equal(403, (await SignInAsync(browser, await KeyAsync(new KeyTerms { Reach = Reach.Cloud, Networks = ["192.0.2.0/24"] }))).Status);
        Assert.False(browser.IsSignedIn);
        string here = await KeyAsync(new KeyTerms { Reach = Reach.Cloud, Networks = ["127.0.0.0/8", "::1/128"] });
        await SignInAsync(browser, here);
        Assert.Equal(200, (await browser.GetAsync("/tenants")).Status);
        Assert.True(server.Get<KeyRing>().TryAuthenticate(here, out Caller caller));
        await server.Directory.SetTermsAsync("test", "key.terms", caller.Key.Id, terms => terms with { Networks = ["192.0.2.0/24"] }, CancellationToken.None);
        Assert.Contains("/signin", (await browser.GetAsync("/tenants")).Onward!.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_key_that_only_sends_requests_signs_in_nowhere()
    {
        foreach (Reach reach in Enum.GetValues<Reach>())
        {
            using Browser browser = server.Visit();
            Assert.Equal(401, (await SignInAsync(browser, await KeyAsync(KeyRole.Inference, reach))).Status);
            Assert.False(browser.IsSignedIn);
        }
    }

    [Fact]
    public async Task The_page_of_upstreams_says_of_each_route_who_serves_it_even_when_there_is_no_upstream()
    {
        UpstreamDirectory upstreams = server.Get<UpstreamDirectory>();
        Assert.Empty(upstreams.Current.All);
        string served = server.Get<RoutingState>().Deployments.First().Name.Value;
        await upstreams.SetRouteAsync(new UpstreamRoute(new ModelName("planned"), RoutePolicy.Prefix, [new ModelName("nowhere")]), "test", CancellationToken.None);
        await upstreams.SetRouteAsync(new UpstreamRoute(new ModelName("alias"), RoutePolicy.Prefix, [new ModelName(served)]), "test", CancellationToken.None);
        using Browser browser = await SignInAsync(KeyRole.Operator, Reach.Cloud);
        string page = (await browser.GetAsync("/upstreams")).Text;
        Assert.Contains("nobody", RowOf("planned"), StringComparison.Ordinal);
        Assert.Contains("what stands in", RowOf("alias"), StringComparison.Ordinal);
        Assert.DoesNotContain("nobody", RowOf("alias"), StringComparison.Ordinal);

        string RowOf(string model)
        {
            int begin = page.IndexOf($"data-test=\"route {model}\"", StringComparison.Ordinal);
            Assert.True(begin >= 0, page);
            return page[begin..page.IndexOf("</tr>", begin, StringComparison.Ordinal)];
        }
    }

    [Fact]
    public async Task A_tenants_own_people_see_nothing_of_another_tenant_on_any_page()
    {
        (string[] ids, string[] marks) = await OtherAsync();
        Page[] pages = PagesOf();
        // What is looked for is there to be seen: the owner of the cloud sees it.
        using (Browser owner = await SignInAsync(KeyRole.Owner, Reach.Cloud))
        {
            string all = string.Concat(await Task.WhenAll(pages.SelectMany(page => ids.Take(2).Append("").Select(async id => (await owner.GetAsync(page.PathOf(id))).Text))));
            Assert.All(marks, mark => Assert.Contains(mark, all, StringComparison.Ordinal));
        }
        foreach (KeyRole role in (KeyRole[])[KeyRole.Owner, KeyRole.Developer, KeyRole.Viewer])
        {
            using Browser browser = await SignInAsync(role, Reach.Tenant);
            foreach (Page page in pages.Where(page => Roles.Allows(role, Reach.Tenant, page.Needs)))
            {
                foreach (string id in page.HasId ? ids : [""])
                {
                    foreach (string query in page.HasId ? [""] : (string[])["", "?tenant=zenith-secret", "?tenant=" + ids[0], "?project=" + ids[1], "?by=tenant&period=all"])
                    {
                        string path = page.PathOf(id) + query;
                        Visit visit = await browser.GetAsync(path);
                        // A page may repeat what it was asked for; that tells nobody anything.
                        string told = visit.Text;
                        foreach (string asked in (string[])[id, query[(query.IndexOf('=', StringComparison.Ordinal) + 1)..]])
                        {
                            if (asked.Length > 0) told = told.Replace(asked, "", StringComparison.OrdinalIgnoreCase);
                        }
                        Assert.All(marks, mark => Assert.False(told.Contains(mark, StringComparison.Ordinal), $"{role}: {path} tells {mark}."));
                    }
                }
            }
        }
    }

    [Fact]
    public async Task Lines_of_the_audit_log_are_on_no_page_of_those_who_may_not_see_it()
    {
        const string Who = "auditor-secret";
        await server.Directory.CreateTenantAsync(Who, new NewTenant("audited", null, IsDemo: false), CancellationToken.None);
        Page[] pages = PagesOf();
        foreach (KeyRole role in Roles.All.Where(role => role != KeyRole.Inference))
        {
            using Browser browser = await SignInAsync(role, Reach.Cloud);
            bool isTold = false;
            foreach (Page page in pages.Where(page => Roles.Allows(role, Reach.Cloud, page.Needs)))
                isTold |= (await browser.GetAsync(page.PathOf(""))).Text.Contains(Who, StringComparison.Ordinal);
            Assert.True(isTold == Roles.Allows(role, Reach.Cloud, Permission.SeeAudit), $"{role}: told of the audit log: {isTold}");
        }
    }

    /// <summary>A tenant with a project, a key, a price of its own and a settled request, none of which anyone else may see. Ids, the tenant's and the request's first; and what would tell of them.</summary>
    private async Task<(string[] Ids, string[] Marks)> OtherAsync()
    {
        DirectoryState directory = server.Directory;
        Tenant tenant = await directory.CreateTenantAsync("test", new NewTenant("zenith-secret", null, IsDemo: false), CancellationToken.None);
        Project project = await directory.CreateProjectAsync("test", tenant, "moonbase-secret", null, CancellationToken.None);
        NewKey key = await directory.CreateKeyAsync("test", new NewKeyOrder(project, "falcon-secret", KeyRole.Inference, null), null, CancellationToken.None);
        Instant now = Instant.Now(TimeProvider.System);
        PriceVersion price = new(PriceVersionId.New(TimeProvider.System), new Instant(0), new ModelName("orchid-secret"), tenant.Id, TokenRates.PerMillion(Currency.Usd, "1", "2"), IsAssumption: false, "contract-secret", now);
        await server.Get<TariffState>().AddPriceAsync(price, new AuditEntry(now, "test", "price.add", "", null, null), CancellationToken.None);
        Hold hold = new(RequestId.New(TimeProvider.System), now, new Party(tenant.Id, project.Id, key.Key.Id, "user-secret"), new ModelName("orchid-secret"), new DeploymentName("builtin/orchid-secret"),
            Operation.Chat, price.Id, Money.Parse("1", Currency.Usd), Defaults.Pool);
        IBookStore store = server.Get<IBookStore>();
        TokenCounts tokens = new(1_234_567, 0, 0, 9, 0);
        await store.AppendAsync(new Together([new HoldPlaced(hold), new HoldSettled(new UsageRecord(hold.Id, now, now, now, hold.Party, hold.Model, hold.Deployment, Defaults.Pool, Operation.Chat, Outcome.Completed,
            tokens, default, price.Id, Rating.Charge(price.Rates, tokens), null, null))]), CancellationToken.None);
        string[] ids = [tenant.Id.ToString(), hold.Id.ToString(), project.Id.ToString(), key.Key.Id.ToString(), tenant.Name];
        return (ids, ["zenith-secret", "moonbase-secret", "falcon-secret", "orchid-secret"]);
    }

    private Page[] PagesOf() =>
    [
        .. from endpoint in server.Get<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
           where endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods.Contains("GET") ?? true
           let policy = endpoint.Metadata.GetOrderedMetadata<IAuthorizeData>().Select(each => each.Policy).FirstOrDefault(each => each?.StartsWith(Policy, StringComparison.Ordinal) ?? false)
           where policy is not null
           select new Page(endpoint.RoutePattern, Enum.Parse<Permission>(policy[Policy.Length..])),
    ];

    private async Task<Browser> SignInAsync(KeyRole role, Reach reach)
    {
        Browser browser = server.Visit();
        Assert.Equal(302, (await SignInAsync(browser, await KeyAsync(role, reach))).Status);
        Assert.True(browser.IsSignedIn);
        return browser;
    }

    private static async Task<Visit> SignInAsync(Browser browser, string key)
    {
        Visit form = await browser.GetAsync("/signin");
        return await browser.PostAsync("/signin", ("key", key), ("__RequestVerificationToken", FormToken().Match(form.Text).Groups[1].Value));
    }

    private Task<string> KeyAsync(KeyRole role, Reach reach) => KeyAsync(new KeyTerms { Reach = reach }, role);

    private async Task<string> KeyAsync(KeyTerms terms, KeyRole role = KeyRole.Owner)
    {
        Project project = server.Directory.Current.FindProject(server.Directory.Current.FindTenant("acme")!.Id, DirectoryState.DefaultProject)!;
        return (await server.Directory.CreateKeyAsync("test", new NewKeyOrder(project, $"{role} {terms.Reach}", role, null, terms), null, CancellationToken.None)).Secret;
    }

    [GeneratedRegex("name=\"__RequestVerificationToken\" value=\"([^\"]*)\"", RegexOptions.None, 1000)]
    private static partial Regex FormToken();

    private sealed record Page(RoutePattern Pattern, Permission Needs)
    {
        public bool HasId => Pattern.Parameters.Count > 0;

        /// <summary>Choices that a pattern names are taken as it names them.</summary>
        public string PathOf(string id) => "/" + string.Join('/', Pattern.PathSegments.Select(segment => string.Concat(segment.Parts.Select(part => part switch
        {
            RoutePatternLiteralPart literal => literal.Content,
            RoutePatternSeparatorPart separator => separator.Content,
            RoutePatternParameterPart { Name: "file" } => "analysis.json",
            RoutePatternParameterPart { Name: "format" } => "pnl-csv",
            _ => Uri.EscapeDataString(id.Length > 0 ? id : "01930b2c-7a5e-7c1d-9f5e-0123456789ab"),
        }))));

        public override string ToString() => "/" + Pattern.RawText!.TrimStart('/');
    }
}
