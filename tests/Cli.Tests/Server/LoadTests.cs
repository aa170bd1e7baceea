// A page is left by ending its renderer, which Blazor does not recommend outside of itself.
#pragma warning disable BL0006
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Authorization;
using Microsoft.Extensions.DependencyInjection;
using Qanat.Console;

namespace Qanat.Cli.Tests;

/// <summary>The part of a page that reads something and reads it again.</summary>
public sealed class LoadTests
{
    /// <summary>More turns than what was left takes to end.</summary>
    private const int TurnsMany = 2_000;

    [Fact]
    public async Task A_page_that_is_left_while_it_reads_again_ends_without_a_fault()
    {
        await using ServiceProvider services = new ServiceCollection().AddSingleton(TimeProvider.System).BuildServiceProvider();
        PageDriver driver = new(services);
        TaskCompletionSource again = new(TaskCreationOptions.RunContinuationsAsynchronously), ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
        int reads = 0;
        await driver.ShowAsync(typeof(Load<string>), new Dictionary<string, object?>
        {
            ["Key"] = "key",
            ["Every"] = TimeSpan.FromMilliseconds(1),
            ["From"] = (Func<CancellationToken, Task<string>>)ReadAsync,
            ["ChildContent"] = (RenderFragment<string>)(text => builder => builder.AddContent(0, text)),
        }, new AuthenticationState(new System.Security.Claims.ClaimsPrincipal()));
        await again.Task.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        await driver.DisposeAsync();
        await ended.Task.WaitAsync(TimeSpan.FromSeconds(60), TestContext.Current.CancellationToken);
        for (int turn = 0; turn < TurnsMany; turn++) await Task.Yield();
        Assert.Empty(driver.Faults);

        async Task<string> ReadAsync(CancellationToken cancel)
        {
            if (++reads == 1) return "first";
            again.TrySetResult();
            try
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancel);
                return "never";
            }
            finally
            {
                ended.TrySetResult();
            }
        }
    }
}
