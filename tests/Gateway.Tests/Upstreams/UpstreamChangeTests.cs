using Qanat.Books;
using Qanat.MockUpstream;

namespace Qanat.Gateway.Tests;

/// <summary>An upstream whose operator changes it while calls come.</summary>
public sealed class UpstreamChangeTests
{
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task At_the_same_address_its_counts_and_connections_stay_and_the_new_settings_hold()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        string? shown = null;
        await fixture.AddAsync("a", request =>
        {
            shown = request.Authorization;
            return new MockPlan { Tokens = 3 };
        }, secret: "sk-old");
        await fixture.RunAsync(fixture.Chat());
        Upstream before = fixture.Directory_.Find("a")!;
        await fixture.Directory_.SaveAsync(before.Spec with { Weight = 7, IdleTimeout = TimeSpan.FromSeconds(9) }, "sk-new", "test", Cancel);
        Upstream after = fixture.Directory_.Find("a")!;
        Assert.Equal((1L, 7, 7), (after.State.Health.Served, after.Spec.Weight, after.State.Spec.Weight));
        Assert.Same(before.Link.Connections, after.Link.Connections);
        await fixture.RunAsync(fixture.Chat());
        Assert.Equal(("Bearer sk-new", 2L), (shown, after.State.Health.Served));
        Assert.Equal(2, after.State.Figures.Snapshot().Answers);
    }

    [Fact]
    public async Task One_that_rests_rests_on_when_it_is_saved_and_begins_anew_at_another_address()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync(options: new UpstreamOptions { Rest = TimeSpan.FromMinutes(5), FailuresMax = 1, AttemptsMax = 1 });
        MockEngine broken = await fixture.AddAsync("a", _ => new MockPlan { Status = 500 });
        await Assert.ThrowsAsync<ApiException>(() => fixture.RunAsync(fixture.Chat()));
        UpstreamSpec spec = fixture.Directory_.Find("a")!.Spec;
        await fixture.Directory_.SaveAsync(spec with { Weight = 2 }, null, "test", Cancel);
        await Assert.ThrowsAsync<ApiException>(() => fixture.RunAsync(fixture.Chat()));
        Assert.Equal(1, broken.Requests);
        await using MockEngine sound = await MockEngine.StartAsync(_ => new MockPlan { Tokens = 2 });
        await fixture.Directory_.SaveAsync(spec with { Url = sound.Url }, null, "test", Cancel);
        Assert.Equal(0, fixture.Directory_.Find("a")!.State.Health.Failed);
        await fixture.RunAsync(fixture.Chat());
        Assert.Equal((1, 1), (broken.Requests, sound.Requests));
    }

    [Theory]
    [InlineData("settings")]
    [InlineData("address")]
    [InlineData("removal")]
    public async Task Calls_under_way_end_as_they_began_and_the_last_closes_connections_that_are_not_used_any_more(string change)
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        TaskCompletionSource mayAnswer = new(TaskCreationOptions.RunContinuationsAsynchronously), asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await fixture.AddAsync("a", _ =>
        {
            asked.TrySetResult();
            return new MockPlan { Tokens = 3, FirstWhen = mayAnswer.Task };
        });
        UpstreamConnections connections = fixture.Directory_.Find("a")!.Link.Connections!;
        Task<List<CallEvent>> running = fixture.RunAsync(fixture.Chat());
        await asked.Task;
        UpstreamSpec spec = fixture.Directory_.Find("a")!.Spec;
        await using MockEngine other = await MockEngine.StartAsync(_ => new MockPlan());
        await (change switch
        {
            "settings" => fixture.Directory_.SaveAsync(spec with { ConnectTimeout = TimeSpan.FromSeconds(1) }, null, "test", Cancel),
            "address" => fixture.Directory_.SaveAsync(spec with { Url = other.Url }, null, "test", Cancel),
            _ => fixture.Directory_.RemoveAsync("a", "test", Cancel),
        });
        Assert.NotSame(connections, fixture.Directory_.Find("a")?.Link.Connections);
        Assert.False(connections.AreClosed);
        mayAnswer.SetResult();
        Assert.Equal("w0 w1 w2 ", UpstreamFixture.TextOf(await running));
        while (!connections.AreClosed) await Task.Yield();
        await fixture.AssertSoundAsync();
    }
}
