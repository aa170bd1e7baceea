using Microsoft.Playwright;

namespace Qanat.Conformance.Tests;

/// <summary>The system's own Chromium, driven by Playwright; nothing is downloaded.</summary>
internal static class Chromium
{
    private static readonly string[] Names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

    /// <summary>Skips the test by name where there is no browser.</summary>
    public static async Task<IBrowser> StartAsync(IPlaywright playwright)
    {
        string? program = Environment.GetEnvironmentVariable("QANAT_CHROMIUM") ?? Names
            .SelectMany(name => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator).Select(folder => Path.Combine(folder, name)))
            .FirstOrDefault(File.Exists);
        if (program is null)
        {
            const string reason = "chromium is not installed: the console cannot be looked at. Install it, or name it in QANAT_CHROMIUM.";
            Assert.False(Environment.GetEnvironmentVariable("QANAT_CI") == "1", reason);
            Assert.Skip(reason);
        }
        return await playwright.Chromium.LaunchAsync(new BrowserTypeLaunchOptions
        {
            ExecutablePath = program,
            Timeout = 120_000,
            Args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
        });
    }
}
