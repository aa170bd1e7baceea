using System.Security.Claims;
using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.Extensions.DependencyInjection;
using Qanat.Books;
using Qanat.Console;
using Qanat.Gateway;

namespace Qanat.Cli.Tests;

/// <summary>Forms leave budgets in the currency they are in.</summary>
public sealed class BudgetCurrencyTests
{
    [Fact]
    public async Task Saving_another_limit_of_a_tenant_leaves_its_budgets_in_their_currencies()
    {
        await using RunningServer server = await RunningServer.StartAsync();
        Tenant tenant = await server.Directory.CreateTenantAsync("test", new NewTenant("acme", null, IsDemo: false), CancellationToken.None);
        tenant = await server.Directory.SetTermsAsync("test", "tenant.limits", tenant.Id, terms => terms with { DailyBudget = "5 EUR", EachUser = terms.EachUser with { DailyBudget = "0.5 CHF" } }, CancellationToken.None);
        // The first field is how many requests a minute.
        await FillInAsync(server, typeof(LimitsDialog), new() { [nameof(LimitsDialog.Tenant)] = tenant }, fields: 1);
        TenantTerms after = TenantTerms.Of(server.Directory.Current.FindTenant("acme")!);
        Assert.Equal((5, "5 EUR", "0.5 CHF"), (after.Rates.RequestsPerMinute, after.DailyBudget, after.EachUser.DailyBudget));
    }

    [Theory]
    [InlineData(0, "7")]
    [InlineData(1, "5")]
    public async Task A_budget_that_is_shown_again_or_changed_stays_in_its_currency(int fields, string amount)
    {
        await using RunningServer server = await RunningServer.StartAsync();
        Money? saved = null;
        Func<string, Money?, Task> save = (_, budget) =>
        {
            saved = budget;
            return Task.CompletedTask;
        };
        Money now = Money.Parse("7", new Currency("EUR"));
        await FillInAsync(server, typeof(NameBudgetDialog), new() { [nameof(NameBudgetDialog.AskBudget)] = true, [nameof(NameBudgetDialog.BudgetNow)] = now, [nameof(NameBudgetDialog.Save)] = save }, fields);
        Assert.Equal(Money.Parse(amount, new Currency("EUR")), saved);
    }

    /// <summary>Puts 5 into the first fields, and sends the form.</summary>
    private static async Task FillInAsync(RunningServer server, Type dialog, Dictionary<string, object?> parameters, int fields)
    {
        await using AsyncServiceScope scope = server.Server.Services.CreateAsyncScope();
        AuthenticationState owner = new(SessionCookie.PrincipalFor(server.Directory.Current.Keys.First(DirectoryModel.IsCloudOwner)));
        ((IHostEnvironmentAuthenticationStateProvider)scope.ServiceProvider.GetRequiredService<AuthenticationStateProvider>()).SetAuthenticationState(Task.FromResult(owner));
        await using PageDriver driver = new(scope.ServiceProvider);
        int root = await driver.ShowAsync(dialog, parameters, owner);
        await driver.PressEverythingAsync(root, fields);
        Assert.Empty(driver.Faults);
    }
}
