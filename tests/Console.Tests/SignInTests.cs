using System.Globalization;
using System.Reflection;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.Components;

namespace Qanat.Console.Tests;

public sealed class SignInTests
{
    private const string Here = "127.0.0.1";

    [Fact]
    public void An_address_waits_after_too_many_wrong_keys_and_may_try_again_a_minute_later()
    {
        FixedClock clock = new("2026-11-01T12:00:00Z");
        SignInThrottle throttle = new(new ConsoleOptions { SignInFailuresPerMinuteMax = 3 }, clock);
        for (int failure = 0; failure < 3; failure++)
        {
            Assert.Equal(TimeSpan.Zero, throttle.WaitFor(Here));
            throttle.CountFailure(Here);
        }
        clock.Advance(TimeSpan.FromSeconds(20));
        Assert.Equal(TimeSpan.FromSeconds(40), throttle.WaitFor(Here));
        Assert.Equal(TimeSpan.Zero, throttle.WaitFor("::1"));
        clock.Advance(TimeSpan.FromSeconds(40));
        Assert.Equal(TimeSpan.Zero, throttle.WaitFor(Here));
    }

    [Fact]
    public void Failures_count_afresh_once_their_minute_is_over()
    {
        FixedClock clock = new("2026-11-01T12:00:00Z");
        SignInThrottle throttle = new(new ConsoleOptions { SignInFailuresPerMinuteMax = 2 }, clock);
        throttle.CountFailure(Here);
        clock.Advance(TimeSpan.FromSeconds(61));
        throttle.CountFailure(Here);
        Assert.Equal(TimeSpan.Zero, throttle.WaitFor(Here));
        throttle.CountFailure(Here);
        Assert.Equal(TimeSpan.FromSeconds(60), throttle.WaitFor(Here));
    }

    [Fact]
    public void Only_so_many_addresses_and_accounts_are_remembered_the_newest_ones()
    {
        FixedClock clock = new("2026-11-01T12:00:00Z");
        SignInThrottle throttle = new(new ConsoleOptions { SignInFailuresPerMinuteMax = 1 }, clock);
        throttle.CountFailure(Here);
        for (int other = 0; other < SignInThrottle.SubjectsMax; other++)
        {
            clock.Advance(TimeSpan.FromMicroseconds(1));
            throttle.CountFailure(string.Create(CultureInfo.InvariantCulture, $"account {other}"));
        }
        Assert.Equal(TimeSpan.Zero, throttle.WaitFor(Here));
        Assert.NotEqual(TimeSpan.Zero, throttle.WaitFor("account 0"));
    }

    [Theory]
    [InlineData("/pnl?period=all", "/pnl?period=all")]
    [InlineData(null, "/")]
    [InlineData("", "/")]
    [InlineData("//evil.example", "/")]
    [InlineData("/\\evil.example", "/")]
    [InlineData("https://evil.example/", "/")]
    [InlineData("/a\r\nSet-Cookie: b", "/")]
    public void Signing_in_leads_to_pages_of_this_server_only(string? next, string path) => Assert.Equal(path, SignInEndpoints.LocalPath(next));

    /// <summary>A page without a rule is a page for nobody; only the one that says there is no such page needs no permission.</summary>
    [Fact]
    public void Every_page_names_the_permission_it_needs()
    {
        Type[] pages = [.. typeof(NeedsAttribute).Assembly.GetTypes().Where(type => type.GetCustomAttributes<RouteAttribute>().Any())];
        Assert.True(pages.Length >= 13);
        Assert.All(pages, page => Assert.True(page.GetCustomAttribute<NeedsAttribute>() is not null || page.Name == "NotFoundPage" && page.GetCustomAttribute<AuthorizeAttribute>() is not null, $"{page.Name} names no permission."));
    }
}
