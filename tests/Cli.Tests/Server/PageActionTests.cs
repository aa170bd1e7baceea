using System.Reflection;
using System.Security.Claims;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.AspNetCore.Components.Routing;
using Microsoft.Extensions.DependencyInjection;
using Qanat.Books;
using Qanat.Console;
using Qanat.Gateway;

namespace Qanat.Cli.Tests;

/// <summary>Every button and form of every page, pressed by those who may not: the page is drawn as the owner of the cloud would see it, because what a page hides is no protection, and nothing may come of it.
/// A handler that forgets to ask who acts fails here.</summary>
public sealed class PageActionTests
{
    /// <summary>They compute at every field: one of the wrong people fills in some of them, and presses every button.</summary>
    private static readonly string[] Estimates = ["OutlookPage", "InvestmentsPage"];
    private const int EstimateFieldsMax = 6;

    [Fact]
    public async Task What_the_wrong_people_press_on_any_page_changes_nothing_and_what_an_owner_presses_does()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        DirectoryState directory = server.Directory;
        Tenant acme = await directory.CreateTenantAsync("test", new NewTenant("acme", null, IsDemo: false), CancellationToken.None);
        Tenant zenith = await directory.CreateTenantAsync("test", new NewTenant("zenith", null, IsDemo: false), CancellationToken.None);
        await KeyAsync(directory, zenith, KeyRole.Inference, Reach.Tenant);
        ApiKey ended = await KeyAsync(directory, acme, KeyRole.Owner, Reach.Cloud);
        await directory.RevokeKeyAsync("test", ended.Id, CancellationToken.None);
        UpstreamSpec elsewhere = new("elsewhere", UpstreamProtocol.OpenAi, new Uri("http://127.0.0.1:9/v1"), [new UpstreamModel(new ModelName("theirs"), "theirs", null)]) { AllowPrivate = true };
        await server.Get<UpstreamDirectory>().SaveAsync(elsewhere, null, "test", CancellationToken.None);
        ApiKey owner = directory.Current.Keys.First(DirectoryModel.IsCloudOwner);
        ApiKey[] wrong = [await KeyAsync(directory, acme, KeyRole.Viewer, Reach.Cloud), await KeyAsync(directory, acme, KeyRole.Owner, Reach.Tenant), ended];
        Type[] pages = [.. typeof(NeedsAttribute).Assembly.GetTypes().Where(type => type.GetCustomAttributes<RouteAttribute>().Any())];
        Type[] quick = [.. pages.Where(page => !Estimates.Contains(page.Name))];
        Assert.Equal((true, Estimates.Length), (quick.Length >= 15, pages.Length - quick.Length));

        Trace before = await TraceAsync(server);
        foreach (ApiKey who in wrong)
        {
            foreach (Type page in who == wrong[0] ? pages : quick)
            {
                await PressAsync(server, page, zenith, owner, who);
                Assert.Equal((page.Name, who.Name, before), (page.Name, who.Name, await TraceAsync(server)));
            }
        }
        int pressed = 0;
        foreach (Type page in quick) pressed += await PressAsync(server, page, zenith, owner, owner);
        Trace after = await TraceAsync(server);
        string[] done = [.. (await server.Get<IBookStore>().ReadAuditAsync(10_000, TestContext.Current.CancellationToken)).Select(entry => entry.Action).Distinct(StringComparer.Ordinal)];
        Assert.True(pressed > 100 && after.Changes >= before.Changes + 10 && after.Requests > before.Requests, $"{pressed} presses, from {before} to {after}: {string.Join(' ', done)}");
        string[] expected = ["tenant.create", "tenant.rename", "tenant.limits", "tenant.stop", "project.create", "key.create", "key.revoke", "upstream.change"];
        Assert.Empty(expected.Except(done));
    }

    /// <summary>What is in the books of what was done.</summary>
    private readonly record struct Trace(int Changes, int Requests, int Keys);

    private static async Task<Trace> TraceAsync(RunningServer server)
    {
        IBookStore store = server.Get<IBookStore>();
        return new Trace((await store.ReadAuditAsync(10_000)).Length, (await store.ReadUsageAsync(new UsageQuery(Period.All, Limit: 10_000))).Length + (await store.ReadOpenHoldsAsync()).Length, server.Directory.Current.Keys.Length);
    }

    private static async Task<int> PressAsync(RunningServer server, Type page, Tenant tenant, ApiKey shownTo, ApiKey who)
    {
        await using AsyncServiceScope scope = server.Server.Services.CreateAsyncScope();
        Dictionary<string, object?> parameters = [];
        if (page.GetProperty("Id") is { } id && id.PropertyType == typeof(Guid)) parameters["Id"] = tenant.Id.Value;
        if (page.GetProperty("Number") is not null) parameters["Number"] = "1";
        AuthenticationState StateOf(ApiKey key) => new(SessionCookie.PrincipalFor(key));
        Be(scope, StateOf(shownTo));
        ((IHostEnvironmentNavigationManager)scope.ServiceProvider.GetRequiredService<NavigationManager>()).Initialize("http://localhost/", "http://localhost/");
        await using PageDriver driver = new(scope.ServiceProvider);
        int root = await driver.ShowAsync(page, parameters, StateOf(shownTo));
        Assert.True(driver.Faults.Count == 0, $"{page.Name}: {string.Join('\n', driver.Faults)}");
        Be(scope, StateOf(who));
        int pressed = await driver.PressEverythingAsync(root, Estimates.Contains(page.Name) ? EstimateFieldsMax : int.MaxValue);
        // A page whose session has ended may end too.
        Exception[] faults = [.. driver.Faults.Where(fault => fault is not ApiException { Status: 401 })];
        Assert.True(faults.Length == 0, $"{page.Name}, {who.Name}: {string.Join('\n', faults.AsEnumerable())}");
        return pressed;
    }

    private static void Be(AsyncServiceScope scope, AuthenticationState state) =>
        ((IHostEnvironmentAuthenticationStateProvider)scope.ServiceProvider.GetRequiredService<AuthenticationStateProvider>()).SetAuthenticationState(Task.FromResult(state));

    private static async Task<ApiKey> KeyAsync(DirectoryState directory, Tenant tenant, KeyRole role, Reach reach)
    {
        Project project = directory.Current.FindProject(tenant.Id, DirectoryState.DefaultProject)!;
        return (await directory.CreateKeyAsync("test", new NewKeyOrder(project, $"{role} {reach}", role, null, new KeyTerms { Reach = reach }), null, CancellationToken.None)).Key;
    }
}
