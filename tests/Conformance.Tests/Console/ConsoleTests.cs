using System.Collections.Concurrent;
using System.Text.Json.Nodes;
using Microsoft.Playwright;

namespace Qanat.Conformance.Tests;

/// <summary>The pages as a person meets them: a real server, real requests, a real browser.</summary>
public sealed class ConsoleTests(DemoServer server) : IClassFixture<DemoServer>
{
    [Fact]
    public async Task Nobody_sees_a_page_without_the_owners_key()
    {
        IPage page = await server.VisitAsync(Screen.Laptop);
        await page.GotoAsync("/pnl");
        Assert.Equal("/signin", new Uri(page.Url).AbsolutePath);
        await page.FillAsync("#key", "sk-somebody-elses");
        await page.ClickAsync(".signin-form button");
        Assert.Contains("not an active key of a person", await page.InnerTextAsync("[role=alert]"), StringComparison.Ordinal);

        IAPIResponse forged = await page.APIRequest.PostAsync("/signin", new APIRequestContextOptions { DataString = "key=x", Headers = [new("Content-Type", "application/x-www-form-urlencoded")] });
        Assert.Equal(400, forged.Status);
        IAPIResponse hub = await page.APIRequest.PostAsync("/_blazor/negotiate?negotiateVersion=1", new APIRequestContextOptions { MaxRedirects = 0 });
        Assert.NotEqual(200, hub.Status);
    }

    [Fact]
    public async Task Signing_in_leads_to_the_page_that_was_asked_for_and_sets_a_cookie_that_scripts_cannot_read()
    {
        IPage page = await server.VisitAsync(Screen.Laptop);
        await page.GotoAsync("/tenants");
        await page.FillAsync("#key", Simulation.Tests.ServerProcess.OwnerKey);
        await page.ClickAsync(".signin-form button");
        await WhenLiveAsync(page);
        Assert.Equal("/tenants", new Uri(page.Url).AbsolutePath);
        BrowserContextCookiesResult session = Assert.Single(await page.Context.CookiesAsync(), cookie => cookie.Name == "qanat-session");
        Assert.True(session.HttpOnly);
        Assert.Equal(SameSiteAttribute.Strict, session.SameSite);

        await page.ClickAsync(".side-nav .signout button");
        // By what is on it: whoever waits for an address may wait for a page's loading that is over.
        await page.WaitForSelectorAsync("#key");
        await page.GotoAsync("/tenants");
        Assert.Equal("/signin", new Uri(page.Url).AbsolutePath);
    }

    [Fact]
    public async Task The_page_of_the_API_shows_its_routes_and_asks_nobody_else_for_anything()
    {
        IPage page = await server.VisitAsync(Screen.Laptop);
        ConcurrentBag<string> complaints = [], elsewhere = [];
        page.Console += (_, said) => { if (said.Type == "error") complaints.Add(said.Text); };
        page.PageError += (_, error) => complaints.Add(error);
        page.Request += (_, request) => { if (request.Url.StartsWith("http", StringComparison.Ordinal) && new Uri(request.Url).Authority != server.Address.Authority) elsewhere.Add(request.Url); };
        await page.GotoAsync("/docs/");
        await Assertions.Expect(page.Locator("body")).ToContainTextAsync("/v1/chat/completions", new() { Timeout = 60_000 });
        Assert.Equal([], complaints);
        Assert.Equal([], elsewhere);
    }

    [Fact]
    public async Task The_overview_shows_the_figures_that_the_API_tells_to_the_last_pico()
    {
        // Asking the API posts what is settled; after the demo only unused capacity still grows.
        JsonNode total = (await server.GetAsync("api/books/pnl"))["totals"]![0]!;
        IPage page = await server.SignInAsync(Screen.Laptop);
        await OpenAsync(page, "/?period=all");
        Assert.True((long)total["requests"]! > 0);
        Assert.Equal((string)total["revenue"]!, await ExactAsync(page, "revenue"));
        Assert.Equal((string)total["compute_cost"]!, await ExactAsync(page, "cost"));
        Assert.Equal((string)total["gross_margin"]!, await ExactAsync(page, "margin"));
        Assert.Equal("0", await page.InnerTextAsync("[data-test=Unpriced]"));
        Assert.Equal("0", await page.InnerTextAsync("[data-test=Uncosted]"));
        Assert.Equal("2", await page.InnerTextAsync("[data-test=Assumed]"));
        Assert.Contains("demo", await page.InnerTextAsync(".note.demo"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_assumption_moved_on_the_outlook_page_moves_the_bars_and_the_report_handed_out()
    {
        IPage page = await server.SignInAsync(Screen.Laptop);
        await OpenAsync(page, "/outlook/alibaba?quarter=2026Q2");
        ILocator answer = page.Locator("[data-test=report-findings]");
        await Assertions.Expect(answer).ToContainTextAsync("to 36\u00A0%", new() { Timeout = 60_000 });
        await Assertions.Expect(page.Locator("[data-test=report-disclosure]")).ToBeVisibleAsync(new() { Timeout = 60_000 });

        await page.GetByLabel("Margin of other external cloud, at least").Last.EvaluateAsync("each => { each.value = 0.1; each.dispatchEvent(new Event('input', { bubbles: true })); }");

        string expected = (await new HttpText(page).GetAsync("/outlook/alibaba/analysis.json?quarter=2026Q2&set=other_margin_peers%3D0.1..0.2"));
        double high = JsonNode.Parse(expected)!["bounds"]!.AsArray().Single(each => (string)each!["layer"]! == "peers" && (string)each!["target"]! == "ai_margin")!["high"]!.GetValue<double>();
        await Assertions.Expect(answer).ToContainTextAsync($"to {Math.Round(high * 100)}\u00A0%", new() { Timeout = 60_000 });
        // A link in the report leads to its row among the sources of the same page.
        string? href = await answer.Locator("a.src").First.GetAttributeAsync("href");
        Assert.NotNull(href);
        Assert.StartsWith("outlook/alibaba", href, StringComparison.Ordinal);
        Assert.Equal(1, await page.Locator("#" + href[(href.IndexOf('#', StringComparison.Ordinal) + 1)..]).CountAsync());
        Assert.EndsWith(".html", (await page.RunAndWaitForDownloadAsync(() => page.ClickAsync("text=Report"))).SuggestedFilename, StringComparison.Ordinal);
    }

    /// <summary>What the page's own session is given.</summary>
    private sealed class HttpText(IPage page)
    {
        public async Task<string> GetAsync(string path)
        {
            IAPIResponse response = await page.APIRequest.GetAsync(path);
            Assert.True(response.Ok, $"{path}: {response.Status}");
            return await response.TextAsync();
        }
    }

    [Theory]
    [InlineData(Screen.Laptop)]
    [InlineData(Screen.Phone)]
    public async Task A_figure_of_the_statement_leads_to_entries_that_sum_to_it_and_on_to_a_request_whose_charge_is_worked_out(Screen screen)
    {
        IPage page = await server.SignInAsync(screen);
        await OpenAsync(page, "/pnl?period=all&by=tenant");
        ILocator figure = page.Locator("[data-test=row-revenue]").First;
        string revenue = (await figure.Locator("data").GetAttributeAsync("value"))!;
        await figure.ClickAsync();
        Assert.Equal(revenue, await ExactAsync(page, "entry-sum"));
        await page.Locator("[data-test=transaction]").First.ClickAsync();

        await page.Locator("table.requests td.head a").First.ClickAsync();
        await page.WaitForSelectorAsync("table.arithmetic");
        string id = new Uri(page.Url).Segments[^1];
        JsonNode record = await server.GetAsync("api/usage/" + id);
        Assert.Equal((string)record["charge"]!, await ExactAsync(page, "charge"));
        Assert.Equal((string)record["cost"]!, await ExactAsync(page, "cost"));
        Assert.Equal(["✓ ties out", "✓ ties out"], await page.Locator(".tie .badge").AllInnerTextsAsync());
        Assert.Equal(1, await page.Locator("[data-test=posting]").CountAsync());
    }

    [Theory]
    [InlineData(Screen.Laptop)]
    [InlineData(Screen.Phone)]
    public async Task The_playground_streams_an_answer_and_shows_the_charge_that_is_in_the_books(Screen screen)
    {
        IPage page = await server.SignInAsync(screen);
        await OpenAsync(page, "/playground");
        Assert.NotEmpty(await page.InnerTextAsync("[data-test=notice]"));
        await page.EvaluateAsync("""
            () => {
                window.lengths = new Set();
                new MutationObserver(() => { for (const answer of document.querySelectorAll('[data-test=answer]')) window.lengths.add(answer.textContent.length); })
                    .observe(document.body, { subtree: true, childList: true, characterData: true });
            }
            """);
        await AskAsync(page, "Who measured the water?");
        await page.WaitForSelectorAsync("[data-test=answer-charge]");
        // The first words are drawn at once, however fast the others follow.
        Assert.True(await page.EvaluateAsync<int>("() => window.lengths.size") > 1, "the answer did not grow");

        string href = (await page.Locator(".bubble-account a").GetAttributeAsync("href"))!;
        JsonNode record = await server.GetAsync("api/usage/" + href.Split('/')[^1]);
        Assert.Equal((string)record["charge"]!, await ExactAsync(page, "answer-charge"));
        Assert.Equal("playground", (string)record["user"]!);
    }

    [Fact]
    public async Task Stopping_an_answer_ends_it_and_charges_what_was_generated()
    {
        IPage page = await server.SignInAsync(Screen.Laptop);
        await OpenAsync(page, "/playground");
        // The page itself presses Stop with the first words of the answer, and they wait for it: a click from outside arrives when a fast model is done.
        await page.EvaluateAsync("""
            () => {
                new MutationObserver((_, observer) => {
                    const stop = document.querySelector('.play-ask .danger');
                    if (!stop || !document.querySelector('[data-test=answer]')?.textContent) return;
                    observer.disconnect();
                    window.stopped = true;
                    stop.click();
                }).observe(document.body, { subtree: true, childList: true, characterData: true });
            }
            """);
        await AskAsync(page, "Tell a very long story.");
        await page.WaitForSelectorAsync("[data-test=answer-charge]");
        Assert.True(await page.EvaluateAsync<bool>("() => window.stopped === true"), "Stop was never there to press");
        string href = (await page.Locator(".bubble-account a").GetAttributeAsync("href"))!;
        JsonNode record = await server.GetAsync("api/usage/" + href.Split('/')[^1]);
        Assert.Equal((string)record["charge"]!, await ExactAsync(page, "answer-charge"));
        await page.WaitForSelectorAsync(".play-ask button[type=submit]:not(.hidden)");
    }

    [Fact]
    public async Task A_key_is_made_shown_once_and_works()
    {
        IPage page = await server.SignInAsync(Screen.Laptop);
        await OpenAsync(page, "/tenants");
        await page.ClickAsync("text=New tenant");
        await page.FillAsync("#dialog-name", "Browser's tenant");
        await page.FillAsync("#dialog-budget", "1.5");
        await page.ClickAsync("dialog button[type=submit]");
        await page.ClickAsync("[data-test=new-key-button]");
        await page.FillAsync("#key-name", "made by hand");
        await page.ClickAsync("dialog button[type=submit]");
        string key = await page.InnerTextAsync("[data-test=new-key]");
        Assert.StartsWith("sk-", key, StringComparison.Ordinal);

        IAPIResponse models = await page.APIRequest.GetAsync("/v1/models", new APIRequestContextOptions { Headers = [new("Authorization", $"Bearer {key}")] });
        Assert.Equal(200, models.Status);
        await page.ReloadAsync();
        await page.WaitForSelectorAsync("text=made by hand");
        Assert.DoesNotContain(key, await page.ContentAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Every_identity_of_the_books_holds()
    {
        IPage page = await server.SignInAsync(Screen.Laptop);
        await OpenAsync(page, "/checks");
        await page.WaitForSelectorAsync("[data-test=checks-verdict]");
        Assert.StartsWith("All ", await page.InnerTextAsync("[data-test=checks-verdict]"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Screen.Laptop)]
    [InlineData(Screen.Phone)]
    public async Task No_page_scrolls_sideways_or_fails_to_load_anything(Screen screen)
    {
        IPage page = await server.SignInAsync(screen);
        // The browser tells of them beside the test.
        ConcurrentQueue<string> faults = [];
        page.PageError += (_, error) => faults.Enqueue(error);
        page.Response += (_, response) => { if (response.Status >= 400) faults.Enqueue($"{response.Status} {response.Url}"); };
        page.Request += (_, request) => { if (new Uri(request.Url).Authority != server.Address.Authority) faults.Enqueue($"leaves the server: {request.Url}"); };
        foreach (string path in (string[])["/", "/pnl?period=all", "/pnl?period=week&by=day", "/requests?period=all", "/journal?period=all", "/journal?view=trial", "/journal?view=sheet", "/tenants", "/upstreams", "/prices", "/playground", "/checks", "/invoices", "/contracts", "/costs", "/capacity?period=all", "/periods", "/audit", "/settings"])
        {
            await OpenAsync(page, path);
            await page.WaitForSelectorAsync("main h1");
            int excess = await page.EvaluateAsync<int>("() => document.documentElement.scrollWidth - document.documentElement.clientWidth");
            if (excess > 0) faults.Enqueue($"{path} is {excess} px too wide");
        }
        Assert.Empty(faults);
    }

    /// <summary>The exact figure behind what is shown.</summary>
    private static async Task<string> ExactAsync(IPage page, string test) => (await page.Locator($"[data-test={test}] data").First.GetAttributeAsync("value"))!;

    /// <summary>Asks for the longest answer there is, and for the same one each time: drawn by chance, it may end with its first word.</summary>
    private static async Task AskAsync(IPage page, string question)
    {
        await page.EvaluateAsync("""
            () => {
                const max = document.querySelector('#play-max'), seed = document.querySelector('#play-seed');
                max.value = max.max;
                max.dispatchEvent(new Event('input', { bubbles: true }));
                seed.value = '7';
                seed.dispatchEvent(new Event('change', { bubbles: true }));
            }
            """);
        await page.FillAsync("#play-question", question);
        await page.ClickAsync(".play-ask button[type=submit]");
    }

    private static async Task OpenAsync(IPage page, string path)
    {
        await page.GotoAsync(path);
        await WhenLiveAsync(page);
    }

    /// <summary>A page is drawn before its live connection is up, and anew by it, which reads again; what is pressed or moved counts from then on.</summary>
    private static Task WhenLiveAsync(IPage page) => page.WaitForSelectorAsync("html[data-live] main:not(:has([aria-busy=true]))");
}
