using System.Collections.Immutable;
using Microsoft.Extensions.Logging.Abstractions;
using Qanat.Books;
using Qanat.Engine;
using Qanat.MockUpstream;
using Qanat.Models;
using Qanat.Store;
using Qanat.TinyModel;

namespace Qanat.Gateway.Tests;

/// <summary>The real pipeline over a real store, with mock upstreams on this machine.</summary>
internal sealed class UpstreamFixture : IAsyncDisposable
{
    public static readonly ModelName Model = new("mock");
    public static readonly PoolName Pool = new("this-machine");
    public static readonly TokenRates Asked = TokenRates.PerMillion(Currency.Usd, "1", "2");

    /// <summary>Longer than any machine takes: what runs out of time in a test does so because the test says so.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(30);
    private readonly List<MockEngine> mocks = [];
    private readonly List<Deployment> deployments = [];
    private readonly RoutingState routing = new();
    private MeterOptions meter = new();
    private LiveMeter live = null!;
    private TimeProvider clock = null!;

    public required string Folder { get; init; }
    public required SqlStore Store { get; init; }
    public required DirectoryState Tenants { get; init; }
    public required TariffState Tariffs { get; init; }
    public required UpstreamDirectory Directory_ { get; init; }
    public required BudgetLimits Limits { get; init; }
    public CallPipeline Pipeline { get; private set; } = null!;
    public Caller Caller { get; private set; } = null!;

    /// <summary>The models as the APIs offer them.</summary>
    public ServedModels Models => ServedModels.Of(routing, clock);

    /// <param name="connection">Of books in PostgreSQL; null: in a folder of the fixture's own.</param> <param name="before">What the calls see of the store.</param>
    public static async Task<UpstreamFixture> StartAsync(Money? budget = null, UpstreamOptions? options = null, TimeProvider? clock = null, string? connection = null, MeterOptions? meter = null, Func<IBookStore, IBookStore>? before = null)
    {
        clock ??= TimeProvider.System;
        string folder = Directory.CreateTempSubdirectory("qanat-upstreams").FullName;
        SqlStore store = await new StoreLocation(folder, connection).OpenAsync(clock);
        IBookStore seen = before?.Invoke(store) ?? store;
        // Who serves is known when a call is told to be admitted, on however slow a machine.
        options ??= new UpstreamOptions { Rest = TimeSpan.FromMinutes(5), AdmitAfter = Timeout.InfiniteTimeSpan };
        UpstreamFixture fixture = new()
        {
            Folder = folder,
            Store = store,
            Tenants = await DirectoryState.LoadAsync(store, clock, default),
            Tariffs = await TariffState.LoadAsync(store, default),
            Directory_ = await UpstreamDirectory.LoadAsync(store, store, SecretBox.Open(Path.Combine(folder, "secrets.key")), options, clock, default),
            Limits = new BudgetLimits(new BudgetOptions { HoldWaitMax = Patience }, clock),
        };
        (fixture.clock, fixture.live, fixture.routing.Upstreams, fixture.meter) = (clock, new LiveMeter(clock), fixture.Directory_, meter ?? fixture.meter);
        UpstreamServing serving = new(fixture.Directory_, fixture.Tariffs, fixture.Limits, seen, fixture.live, fixture.meter, clock, NullLogger<UpstreamServing>.Instance);
        fixture.Pipeline = new CallPipeline(fixture.routing, fixture.Tariffs, fixture.Limits, seen, fixture.meter, clock, serving);
        fixture.Caller = await fixture.AddCallerAsync(budget);
        PriceVersion price = new(PriceVersionId.New(clock), new Instant(0), null, null, TokenRates.PerMillion(Currency.Usd, "10", "20"), IsAssumption: false, "test", new Instant(0));
        await fixture.Tariffs.AddPriceAsync(price, Audit, default);
        return fixture;
    }

    public static AuditEntry Audit => new(new Instant(0), "test", "test", "test", null, null);

    public async Task<Caller> AddCallerAsync(Money? budget)
    {
        Caller caller = Callers.With(budget);
        await Store.AppendAsync(new Together([new TenantSaved(caller.Tenant), new ProjectSaved(caller.Project), new KeySaved(caller.Key with { Hash = [.. caller.Key.Id.Value.ToByteArray()] })]));
        return caller;
    }

    public async Task<MockEngine> AddAsync(string name, Func<MockRequest, MockPlan> script, Func<UpstreamSpec, UpstreamSpec>? change = null, ModelName? model = null, string? secret = null)
    {
        MockEngine mock = await MockEngine.StartAsync(script);
        mocks.Add(mock);
        UpstreamSpec spec = new(name, UpstreamProtocol.OpenAi, mock.Url, [new UpstreamModel(model ?? Model, "theirs", Asked)]) { AllowPrivate = true, ConnectTimeout = Patience, IdleTimeout = Patience };
        await Directory_.SaveAsync(change?.Invoke(spec) ?? spec, secret, "test", default);
        return mock;
    }

    /// <summary>Serves a small model by the built-in engine, whose pool costs 0.36 USD an hour.</summary>
    /// <param name="behind">What the engine's steps go through before they are metered; null: nothing.</param>
    public async Task<Deployment> DeployAsync(ModelName name, EngineOptions? options = null, Func<IStepSink, IStepSink>? behind = null)
    {
        Instant start = Instant.Now(clock);
        LoadedModel model = LoadedModel.Load(TinyModelRecipe.Tiny.WriteTo(Path.Combine(Path.GetTempPath(), "qanat-models")), new LoadOptions { Threads = 1, KvBytesMax = 4 << 20 }, null, default);
        DeploymentMeter metering = new(new DeploymentName("builtin/" + name.Value), Pool, Store, Tariffs, Limits, live, meter, clock, NullLogger<DeploymentMeter>.Instance);
        InferenceEngine engine = new(model, (options ?? new EngineOptions()) with { KvBytesMax = 4 << 20 }, behind?.Invoke(metering) ?? metering, clock);
        Instant recorded = await Recovery.RecordStartAsync(Store, Pool, start, Instant.Now(clock), default);
        metering.Start(engine, new Instant(recorded.UnixNanoseconds - engine.Status.NowNs), recorded);
        await Tariffs.AddPoolRateAsync(new PoolRate(PoolRateId.New(clock), Pool, new Instant(0), Money.Parse("0.36", Currency.Usd), 1_000, IsAssumption: false, "test", new Instant(0)), Audit, default);
        Deployment deployment = new(name, model, engine, metering);
        routing.Add(deployment);
        deployments.Add(deployment);
        return deployment;
    }

    public Call Chat(string text = "one two three", int? maxTokens = 64, Caller? caller = null) => new(caller ?? Caller, Operation.Chat, Model, [], 1, maxTokens, new SamplingOptions(), [], -1, false, null)
    {
        Conversation = Conversation.Of(new ChatMessage(ChatRole.User, text)),
    };

    /// <summary>A prompt of tokens: its length is known exactly.</summary>
    public Call Tokens(int count, int maxTokens, Caller? caller = null) => Chat(caller: caller) with
    {
        Conversation = null,
        Operation = Operation.Completion,
        Prompt = [.. Enumerable.Range(1, count)],
        MaxTokens = maxTokens,
        Whole = true,
    };

    public async Task<List<CallEvent>> RunAsync(Call call)
    {
        List<CallEvent> events = [];
        await foreach (CallEvent happened in Pipeline.RunAsync(call, TestContext.Current.CancellationToken)) events.Add(happened);
        return events;
    }

    /// <summary>The pipeline behind rates.</summary>
    /// <param name="inner">What serves instead of the pipeline; null: the pipeline.</param>
    public RunCall Behind(RateLimits rates, RunCall? inner = null) =>
        new LimitedCalls(inner ?? Pipeline.RunAsync, rates, new CallEstimates(routing, meter), new TenantStops(Tenants), new DrainState(), clock).RunAsync;

    /// <summary>What /metrics says.</summary>
    public async Task<string> MetricsAsync()
    {
        using RateLimits rates = new(new RateOptions(), clock);
        return await new MetricsText(Store, Tenants, Tariffs, Limits, routing, new LiveMeter(TimeProvider.System), rates, new DrainState(), TimeProvider.System).WriteAsync(default);
    }

    public async Task<UsageRecord> OnlyRecordAsync() => Assert.Single(await Store.ReadUsageAsync(new UsageQuery(Period.All)));

    public static string TextOf(IEnumerable<CallEvent> events) =>
        string.Concat(events.OfType<Delta>().SelectMany(delta => delta.Pieces).OfType<TextPiece>().Select(piece => piece.Text));

    /// <summary>Nothing stays held, and every identity of the books holds.</summary>
    public async Task AssertSoundAsync()
    {
        Assert.Empty(await Store.ReadOpenHoldsAsync());
        await new Bookkeeper(Store).PostAsync();
        BooksReport report = await BooksCheck.RunAsync(Store);
        Assert.True(report.IsOk, string.Join('\n', report.Identities.Where(identity => !identity.IsOk)));
    }

    public async ValueTask DisposeAsync()
    {
        Directory_.IsStopping = true;
        foreach (Deployment deployment in deployments) await deployment.DisposeAsync();
        foreach (MockEngine mock in mocks) await mock.DisposeAsync();
        Directory_.Dispose();
        Tariffs.Dispose();
        await Store.DisposeAsync();
        Directory.Delete(Folder, recursive: true);
    }
}
