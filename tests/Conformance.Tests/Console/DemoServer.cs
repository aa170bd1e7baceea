using System.Text.Json.Nodes;
using Microsoft.Playwright;
using Qanat.Simulation.Tests;

namespace Qanat.Conformance.Tests;

/// <summary>The built `qanat up --demo` after its demo has ended, and a browser beside it.</summary>
public sealed class DemoServer : IAsyncLifetime
{
    private readonly string data = Directory.CreateTempSubdirectory("qanat-console-").FullName;
    private ServerProcess? process;
    private IPlaywright? playwright;
    private IBrowser? browser;

    public async ValueTask InitializeAsync()
    {
        playwright = await Playwright.CreateAsync();
        browser = await Chromium.StartAsync(playwright);
        process = await ServerProcess.StartAsync(data, TestContext.Current.CancellationToken, "--demo", "--demo-seconds", "6");
        await process.SaidAsync("Demo: done", TestContext.Current.CancellationToken);
    }

    public Uri Address => process!.Http.BaseAddress!;

    public Task<JsonNode> GetAsync(string path) => process!.GetAsync(path, TestContext.Current.CancellationToken);

    /// <summary>A page of a new visitor: nobody is signed in.</summary>
    public async Task<IPage> VisitAsync(Screen screen)
    {
        IBrowserContext context = await browser!.NewContextAsync(new BrowserNewContextOptions
        {
            BaseURL = Address.ToString(),
            ViewportSize = screen == Screen.Phone ? new ViewportSize { Width = 390, Height = 844 } : new ViewportSize { Width = 1440, Height = 900 },
            IsMobile = screen == Screen.Phone,
            HasTouch = screen == Screen.Phone,
        });
        context.SetDefaultTimeout(120_000);
        return await context.NewPageAsync();
    }

    /// <summary>A page of the owner, on the overview.</summary>
    public async Task<IPage> SignInAsync(Screen screen)
    {
        IPage page = await VisitAsync(screen);
        await page.GotoAsync("/");
        await page.FillAsync("#key", ServerProcess.OwnerKey);
        await page.ClickAsync(".signin-form button");
        await page.WaitForSelectorAsync("[data-test=revenue]");
        return page;
    }

    public async ValueTask DisposeAsync()
    {
        if (browser is not null) await browser.CloseAsync();
        playwright?.Dispose();
        if (process is not null) await process.DisposeAsync();
        Directory.Delete(data, recursive: true);
    }
}

public enum Screen { Laptop, Phone }
