using System.Text.Json.Nodes;
using Qanat.Books;
using Qanat.MockUpstream;
using Qanat.Store;

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
    [InlineData("another server", "openai", true)]
    [InlineData("another server", "openai", false)]
    [InlineData("another path", "openai", true)]
    [InlineData("the same", "anthropic", true)]
    public async Task A_secret_stays_where_its_upstream_is_and_does_not_follow_it_to_another_address(string to, string protocol, bool enabled)
    {
        await using TestGateway gateway = await TestGateway.StartAsync();
        using UpstreamDirectory directory = await UpstreamDirectory.LoadAsync(gateway.Get<IDocumentStore>(), gateway.Store, gateway.Get<SecretBox>(), new UpstreamOptions(), TimeProvider.System, Cancel);
        gateway.Get<RoutingState>().Upstreams = directory;
        await using WireMock mine = await WireMock.StartAsync(), other = await WireMock.StartAsync();
        using HttpClient operates = await gateway.ClientOfAsync("acme", KeyRole.Operator, Reach.Cloud);
        Assert.Equal(200, (await gateway.AdminAsync("POST", "/api/upstreams", Body(new Uri(mine.Url, "v1"), "openai", "sk-mine"))).Status);

        Uri url = new(to == "another server" ? other.Url : mine.Url, to == "another path" ? "elsewhere/v1" : "v1");
        Answer moved = await PostAsync("/api/upstreams", Body(url, protocol, null, enabled));
        await PostAsync("/api/upstreams/cloud/test", "{}");
        Assert.Empty(other.Requests);
        Assert.Equal(("/v1/models", protocol == "anthropic" ? "sk-mine" : "Bearer sk-mine"), (mine.Last.Path, mine.Last.Secret));
        Assert.Equal(to == "the same" ? 200 : 400, moved.Status);
        if (to == "the same") return;
        Assert.Equal("secret", moved.Param);
        Assert.Contains(url.AbsoluteUri, moved.Message, StringComparison.Ordinal);
        Assert.Contains(new Uri(mine.Url, "v1").AbsoluteUri, (await gateway.AdminAsync("GET", "/api/upstreams")).Text, StringComparison.Ordinal);

        // With a secret of its own it goes.
        Assert.Equal(200, (await PostAsync("/api/upstreams", Body(url, protocol, "sk-theirs"))).Status);
        await PostAsync("/api/upstreams/cloud/test", "{}");
        Assert.Equal("Bearer sk-theirs", (to == "another server" ? other : mine).Last.Secret);

        Task<Answer> PostAsync(string path, string json) => TestGateway.SendAsync(operates, new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(json, System.Text.Encoding.UTF8, "application/json") });
    }

    private static string Body(Uri url, string protocol, string? secret, bool enabled = true) => new JsonObject
    {
        ["name"] = "cloud",
        ["url"] = url.AbsoluteUri,
        ["protocol"] = protocol,
        ["models"] = new JsonArray(new JsonObject { ["name"] = "mock" }),
        ["secret"] = secret,
        ["allow_private"] = true,
        ["enabled"] = enabled,
    }.ToJsonString();

    [Theory]
    [InlineData("http://169.254.169.254/v1", "169.254.169.254")]
    [InlineData("http://[fe80::1]:8000/v1", "[fe80::1]")]
    [InlineData("http://0x7f.1/v1", "127.0.0.1")]
    [InlineData("http://localhost:8000/v1", "localhost")]
    public async Task One_at_a_private_address_is_refused_when_it_is_saved_in_the_words_of_its_connections(string address, string host)
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        UpstreamSpec spec = new("inside", UpstreamProtocol.OpenAi, new Uri(address), [new UpstreamModel(UpstreamFixture.Model, "theirs", null)]);
        ApiException refused = await Assert.ThrowsAsync<ApiException>(() => fixture.Directory_.SaveAsync(spec, null, "test", Cancel));
        Assert.Equal((400, "url"), (refused.Status, refused.Param));
        Assert.Contains(OutsideAddresses.Sentence(host), refused.Message, StringComparison.Ordinal);
        await Assert.ThrowsAsync<ApiException>(() => fixture.Directory_.SaveAsync(spec with { IsOff = true }, null, "test", Cancel));
        Assert.Null(fixture.Directory_.Find("inside"));

        UpstreamConnections connections = UpstreamConnections.Open(spec);
        HttpRequestException unasked = await Assert.ThrowsAsync<HttpRequestException>(() => connections.SendAsync(new HttpRequestMessage(HttpMethod.Get, spec.Url), Cancel));
        connections.Release();
        Assert.Contains(OutsideAddresses.Sentence(host), unasked.Message, StringComparison.Ordinal);
        await fixture.Directory_.SaveAsync(spec with { AllowPrivate = true }, null, "test", Cancel);
        Assert.NotNull(fixture.Directory_.Find("inside"));
    }

    [Fact]
    public async Task One_that_was_let_in_at_a_private_address_is_turned_off_without_a_question_and_not_on()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        await fixture.AddAsync("a", _ => new MockPlan());
        UpstreamSpec spec = fixture.Directory_.Find("a")!.Spec with { AllowPrivate = false };
        await fixture.Directory_.SaveAsync(spec with { IsOff = true }, null, "test", Cancel);
        Assert.True(fixture.Directory_.Find("a")!.Spec.IsOff);
        await Assert.ThrowsAsync<ApiException>(() => fixture.Directory_.SaveAsync(spec, null, "test", Cancel));
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
        await Task.WhenAny(asked.Task, running);
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

    [Fact]
    public async Task A_model_whose_upstreams_are_all_turned_off_is_known_and_not_served_for_the_time_being()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        MockEngine off = await fixture.AddAsync("a", _ => new MockPlan(), spec => spec with { IsOff = true });
        Assert.Empty(fixture.Models.All);
        Assert.Equal(UpstreamFixture.Model, fixture.Models.Find("MOCK").Name);
        ApiException refused = await Assert.ThrowsAsync<ApiException>(() => fixture.RunAsync(fixture.Chat()));
        Assert.Equal((503, "model_turned_off", true), (refused.Status, refused.Code, refused.RetryAfter > TimeSpan.Zero));
        Assert.Equal(404, (await Assert.ThrowsAsync<ApiException>(() => fixture.RunAsync(fixture.Chat() with { Model = new ModelName("nobody") }))).Status);
        ApiException reads = await Assert.ThrowsAsync<ApiException>(() => fixture.RunAsync(fixture.Chat() with { Conversation = null, Operation = Operation.Embedding, Texts = new TextsAsked([new TextAsked("one", [])], null) }));
        Assert.Equal(503, reads.Status);
        Assert.Equal(0, off.Requests);
        await fixture.AssertSoundAsync();
    }

    [Theory]
    [InlineData("upstream")]
    [InlineData("engine")]
    [InlineData("engine, same name")]
    public async Task Whoever_stands_in_serves_a_model_whose_upstreams_are_all_turned_off(string who)
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        MockEngine off = await fixture.AddAsync("a", _ => new MockPlan(), spec => spec with { IsOff = true });
        ModelName spare = new("spare");
        if (who == "upstream") await fixture.AddAsync("b", _ => new MockPlan { Tokens = 2 }, model: spare);
        else await fixture.DeployAsync(who == "engine" ? spare : UpstreamFixture.Model);
        await fixture.Directory_.SetRouteAsync(new UpstreamRoute(UpstreamFixture.Model, RoutePolicy.Prefix, [spare]), "test", Cancel);
        Call call = fixture.Chat(maxTokens: 2);
        if (who == "engine, same name") call = call with { Prompt = [1, 2, 3] };
        UsageRecord record = Assert.IsType<Settled>((await fixture.RunAsync(call))[^1]).Record;
        Assert.Equal((UpstreamFixture.Model, who == "upstream" ? new PoolName("upstream/b") : UpstreamFixture.Pool), (record.Model, record.Pool));
        Assert.True(record.Tokens.Input > 0 && record.Charge > Money.Zero(Currency.Usd));
        Assert.Equal(0, off.Requests);
        await fixture.AssertSoundAsync();
    }

    [Fact]
    public async Task A_model_with_a_route_that_nobody_serves_is_known_and_refused_until_somebody_does()
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        ModelName planned = new("planned"), spare = new("spare");
        await fixture.Directory_.SetRouteAsync(new UpstreamRoute(planned, RoutePolicy.Prefix, [spare]), "test", Cancel);
        Call call = fixture.Chat(maxTokens: 2) with { Model = planned };
        Assert.Equal(planned, fixture.Models.Find("PLANNED").Name);
        Assert.Empty(fixture.Models.All);
        ApiException refused = await Assert.ThrowsAsync<ApiException>(() => fixture.RunAsync(call));
        Assert.Equal((503, "model_not_served", true), (refused.Status, refused.Code, refused.RetryAfter > TimeSpan.Zero));
        await fixture.AssertSoundAsync();

        // Without stand-ins a route says how calls would be spread, and promises nothing.
        await fixture.Directory_.SetRouteAsync(UpstreamRoute.Standard(planned), "test", Cancel);
        Assert.Equal(404, Assert.Throws<ApiException>(() => fixture.Models.Find("planned")).Status);
        Assert.Equal(404, (await Assert.ThrowsAsync<ApiException>(() => fixture.RunAsync(call))).Status);
    }

    [Theory]
    [InlineData("upstream")]
    [InlineData("engine")]
    public async Task Whoever_stands_in_serves_a_model_that_has_a_route_and_no_upstream(string who)
    {
        await using UpstreamFixture fixture = await UpstreamFixture.StartAsync();
        ModelName planned = new("planned"), spare = new("spare");
        await fixture.Directory_.SetRouteAsync(new UpstreamRoute(planned, RoutePolicy.Prefix, [new ModelName("nobody"), spare]), "test", Cancel);
        if (who == "upstream") await fixture.AddAsync("b", _ => new MockPlan { Tokens = 2 }, model: spare);
        else await fixture.DeployAsync(spare);
        Assert.True(fixture.Models.Find("planned").ContextLength >= fixture.Models.Find("spare").ContextLength);
        Settled settled = Assert.IsType<Settled>((await fixture.RunAsync(fixture.Chat(maxTokens: 2) with { Model = planned }))[^1]);
        Assert.Equal((planned, spare, who == "upstream" ? new PoolName("upstream/b") : UpstreamFixture.Pool), (settled.Record.Model, settled.ServedModel, settled.Record.Pool));
        Assert.True(settled.Record.Charge > Money.Zero(Currency.Usd));
        await fixture.AssertSoundAsync();
    }
}
