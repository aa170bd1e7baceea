using System.Security.Cryptography;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Qanat.Books;
using Qanat.Console;
using Qanat.Gateway;
using Qanat.Store;

namespace Qanat.Cli;

/// <summary>The one process: books, front door, engine and pages, started in the order in which they depend on each other and stopped in the reverse.</summary>
public sealed class QanatServer : IAsyncDisposable
{
    /// <summary>What connections get once streams have ended, or had their time.</summary>
    private static readonly TimeSpan StopMax = TimeSpan.FromSeconds(2);

    private const string RequestSource = "Microsoft.AspNetCore";
    private const string CollectorVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";

    private readonly ServerOptions options;
    private readonly SqlStore store;
    private readonly UpstreamDirectory upstreams;
    private readonly WebApplication app;
    private readonly Deployment? deployment;
    private readonly BooksPoster poster;

    private QanatServer(ServerOptions options, SqlStore store, UpstreamDirectory upstreams, WebApplication app, Deployment? deployment, BooksPoster poster, string localKey, NewKey? newOwnerKey)
    {
        (this.options, this.store, this.upstreams, this.app, this.deployment, this.poster) = (options, store, upstreams, app, deployment, poster);
        LocalKey = localKey;
        NewOwnerKey = newOwnerKey;
        Url = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
    }

    public string Url { get; }

    /// <summary>An owner key that only this process and its note know, for commands on this machine.</summary>
    public string LocalKey { get; }

    /// <summary>Set on the first start only: to be shown this once.</summary>
    public NewKey? NewOwnerKey { get; }

    public IServiceProvider Services => app.Services;
    public Deployment? Deployment => deployment;

    /// <summary>Reads the configuration file again; null: the server was started without one.</summary>
    public async Task<ReloadReport?> ReloadAsync(string who, CancellationToken cancel) =>
        Services.GetService<ReloadConfiguration>() is { } reload ? await reload(who, cancel) : null;

    /// <exception cref="CommandException">Another process holds the data directory, or the model file cannot be served.</exception>
    public static async Task<QanatServer> StartAsync(ServerOptions options, IProgress<string> progress, CancellationToken cancel)
    {
        ArgumentNullException.ThrowIfNull(options);
        TimeProvider clock = TimeProvider.System;
        Instant processStart = Instant.Now(clock);
        options.Data.Create();
        SqlStore store = await OpenStoreAsync(options.Data, clock, cancel);
        try
        {
            return await StartAsync(options, store, clock, processStart, progress, cancel);
        }
        catch
        {
            await store.DisposeAsync();
            throw;
        }
    }

    /// <summary>Waits until a stop is asked for (Ctrl+C, SIGTERM), then takes nothing new, says so at /readyz, and lets running streams end for as long as they may.</summary>
    public async Task WaitForStopAsync(CancellationToken cancel)
    {
        TaskCompletionSource asked = new(TaskCreationOptions.RunContinuationsAsynchronously);
        IHostApplicationLifetime lifetime = Services.GetRequiredService<IHostApplicationLifetime>();
        using CancellationTokenRegistration stopped = cancel.Register(() => asked.TrySetResult());
        using CancellationTokenRegistration stopping = lifetime.ApplicationStopping.Register(() => asked.TrySetResult());
        await asked.Task;
        DrainState drain = Services.GetRequiredService<DrainState>();
        drain.Begin();
        await drain.WaitAsync(Services.GetRequiredService<DrainTime>().Most, Services.GetRequiredService<TimeProvider>());
    }

    public async ValueTask DisposeAsync()
    {
        if (options.Parts == ServedParts.Everything) options.Data.RemoveNote();
        using (CancellationTokenSource rest = new(StopMax)) await app.StopAsync(rest.Token);
        upstreams.IsStopping = true;
        store.PrepareToClose();
        if (deployment is not null) await deployment.DisposeAsync();
        await poster.StopAsync();
        await app.DisposeAsync();
        upstreams.Dispose();
        await store.DisposeAsync();
    }

    private static async Task<QanatServer> StartAsync(ServerOptions options, SqlStore store, TimeProvider clock, Instant processStart, IProgress<string> progress, CancellationToken cancel)
    {
        TariffState tariffs = await TariffState.LoadAsync(store, cancel);
        DirectoryState directory = await DirectoryState.LoadAsync(store, clock, cancel);
        NewKey? newOwnerKey = await FirstStart.EnsureOwnerAsync(directory, options.OwnerKey, cancel);
        string localKey = "sk-local-" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(32));
        BudgetLimits limits = new(options.Budgets, clock, directory: directory);
        LiveMeter live = new(clock);
        (UpstreamDirectory upstreams, SecretBox secrets) = await LoadUpstreamsAsync(options, store, clock, cancel);
        RoutingState routing = new() { Upstreams = upstreams };
        if (options.Parts == ServedParts.Everything) await SettlePastAsync(store, tariffs, limits, clock, progress, cancel);

        WebApplication app = Build(options, builder =>
        {
            builder.Services.AddSingleton<IBookStore>(store);
            builder.Services.AddSingleton<IDocumentStore>(store);
            builder.Services.AddSingleton(clock);
            builder.Services.AddSingleton(tariffs);
            builder.Services.AddSingleton(directory);
            builder.Services.AddSingleton(limits);
            builder.Services.AddSingleton(live);
            builder.Services.AddSingleton(routing);
            builder.Services.AddSingleton(options.Meter);
            builder.Services.AddSingleton(options.Rates);
            builder.Services.AddSingleton(new AddressGuard(options.AllowedNetworks));
            if (options.Parts == ServedParts.Everything) builder.Services.AddHostedService<BudgetAlerts>();
            builder.Services.AddSingleton(new KeyRing(directory, localKey));
            builder.Services.AddSingleton(secrets);
            builder.Services.AddSingleton(upstreams).AddSingleton<UpstreamServing>().AddSingleton<UpstreamHealthChecks>();
            builder.Services.AddSingleton<CallPipeline>();
            builder.Services.AddSingleton<BooksPoster>();
        });
        Deployment? deployment = options.Parts == ServedParts.Everything
            ? await BuiltInEngine.StartAsync(options, app.Services, processStart, progress, cancel)
            : null;
        BooksPoster poster = app.Services.GetRequiredService<BooksPoster>();
        // Milliseconds: cut short, it would be told as a failure, and the owner key never shown. Who stops now stops a server that has started.
        await app.StartAsync(CancellationToken.None);
        QanatServer server = new(options, store, upstreams, app, deployment, poster, localKey, newOwnerKey);
        if (options.Parts == ServedParts.Everything)
        {
            poster.Start();
            app.Services.GetRequiredService<UpstreamHealthChecks>().Start();
            options.Data.WriteNote(new ServerNote(server.Url, localKey, Environment.ProcessId));
        }
        return server;
    }

    /// <summary>Before anything is served: requests that were open when the last process ended are settled, and what budgets have spent is known again.</summary>
    private static async Task SettlePastAsync(IBookStore store, TariffState tariffs, BudgetLimits limits, TimeProvider clock, IProgress<string> progress, CancellationToken cancel)
    {
        await Defaults.EnsureAsync(tariffs, clock, cancel);
        await limits.Contracts.RestoreAsync(store, tariffs.Declared, Instant.Now(clock), cancel);
        tariffs.DeclaredChanged += limits.Contracts.Declare;
        RecoveryResult recovered = await Recovery.SettleOpenHoldsAsync(store, tariffs, limits.Contracts, Defaults.Pool, Instant.Now(clock), cancel);
        if (recovered.Settled + recovered.Released > 0)
            progress.Report($"The last process ended with open requests: {recovered.Settled} settled at what was served, {recovered.Released} released unused.");
        await limits.RestoreAsync(store, cancel);
    }

    /// <summary>Spans and measures go to the collector that OpenTelemetry's own environment variables name; without one nothing is collected.
    /// With those of the requests that calls came in by: beneath one that nobody records, samplers record nothing.</summary>
    private static void ExportTelemetry(WebApplicationBuilder builder)
    {
        // Without it the spans of requests are all alike: they say method and path by it, and never the query.
        AppContext.SetSwitch("Microsoft.AspNetCore.Hosting.SuppressActivityOpenTelemetryData", false);
        builder.Services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService("qanat", serviceVersion: QanatVersion.Text))
            .WithTracing(traces => traces.AddSource(GenAiTelemetry.Name, RequestSource).AddOtlpExporter())
            .WithMetrics(measures => measures.AddMeter(GenAiTelemetry.Name).AddOtlpExporter());
    }

    private static WebApplication Build(ServerOptions options, Action<WebApplicationBuilder> addState)
    {
        WebApplicationBuilder builder = WebApplication.CreateBuilder(new WebApplicationOptions { ApplicationName = "qanat", ContentRootPath = AppContext.BaseDirectory });
        builder.WebHost.UseUrls(options.Urls.Split(';', ','));
        if (options.Tls is { } tls)
        {
            TlsCertificate certificate = new(tls);
            builder.WebHost.ConfigureKestrel(kestrel => kestrel.ConfigureHttpsDefaults(https =>
            {
                https.ServerCertificateSelector = (_, _) => certificate.Current();
                https.SslProtocols = tls.Protocols;
            }));
        }
        builder.Logging.ClearProviders();
        builder.Logging.AddSimpleConsole(console => console.SingleLine = true);
        LogThreshold log = new() { Least = options.LogLevel };
        builder.Services.AddSingleton(log).AddSingleton(new DrainTime { Most = options.DrainMax });
        builder.Logging.SetMinimumLevel(LogLevel.Trace).AddFilter((_, level) => level >= log.Least);
        // Cookie keys lie in the data directory, which only its owner reads, like the books themselves.
        builder.Logging.AddFilter("Microsoft.AspNetCore.DataProtection", LogLevel.Error);
        if (!string.IsNullOrWhiteSpace(Environment.GetEnvironmentVariable(CollectorVariable))) ExportTelemetry(builder);
        // Where nobody collects spans no request needs one; what these log, below our minimum, is all that the category is for.
        else builder.Logging.AddFilter("Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None);
        addState(builder);
        if (options.Configuration is { } started) builder.Services.AddSingleton(services => new ConfigurationInForce(started.File, started.Content, services, services.GetRequiredService<TimeProvider>()))
            .AddSingleton<ReloadConfiguration>(services => services.GetRequiredService<ConfigurationInForce>().ReloadAsync);
        builder.AddQanatGateway(new GatewayOptions { Kept = options.Kept });
        if (options.Parts == ServedParts.Everything)
        {
            builder.WebHost.UseStaticWebAssets();
            builder.Services.AddQanatConsole(new ConsoleOptions { CookieKeysFolder = options.Data.CookieKeys, OutlookFolder = options.Data.Outlook });
        }
        WebApplication app = builder.Build();
        app.Use(inner => new TransportSecurity(inner, options.Tls, app.Services.GetRequiredService<IServer>(), app.Services.GetRequiredService<KeyRing>()).InvokeAsync);
        app.MapQanatGateway();
        app.Services.GetRequiredService<MailSender>().Apply(options.Mail);
        if (options.Parts != ServedParts.Everything) return app;
        app.MapQanatConsole();
        app.Services.GetRequiredService<OpenIdSignIn>().Apply(options.OpenId);
        return app;
    }

    private static async Task<(UpstreamDirectory, SecretBox)> LoadUpstreamsAsync(ServerOptions options, SqlStore store, TimeProvider clock, CancellationToken cancel)
    {
        try
        {
            SecretBox secrets = SecretBox.Open(options.Data.SecretsKey);
            return (await UpstreamDirectory.LoadAsync(store, store, secrets, options.Upstreams, clock, cancel), secrets);
        }
        catch (Exception error) when (error is InvalidDataException or CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"The secrets of the upstreams cannot be opened with {options.Data.SecretsKey}: {error.Message}", error);
        }
    }

    private static async Task<SqlStore> OpenStoreAsync(DataDirectory data, TimeProvider clock, CancellationToken cancel)
    {
        try
        {
            return await data.Books.OpenAsync(clock);
        }
        catch (StoreException error)
        {
            throw new CommandException(error.Message, error);
        }
    }
}
