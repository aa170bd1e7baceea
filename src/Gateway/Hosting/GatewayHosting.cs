using System.Buffers.Binary;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Transport.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;

namespace Qanat.Gateway;

/// <summary>Puts the gateway into an ASP.NET Core application.</summary>
public static class GatewayHosting
{
    /// <summary>Registers the endpoints and Kestrel's limits. The host registers what they stand on: IBookStore, TimeProvider, DirectoryState, KeyRing, TariffState, BudgetLimits,
    /// LiveMeter, RoutingState, CallPipeline, BooksPoster, IDocumentStore, SecretBox.</summary>
    public static WebApplicationBuilder AddQanatGateway(this WebApplicationBuilder builder, GatewayOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        options ??= new GatewayOptions();
        IServiceCollection services = builder.Services;
        services.AddSingleton(options);
        BrokenStreamsUnlogged.Add(services);
        LimitCalls(services);
        services.TryAddSingleton(provider => ServedModels.Of(provider.GetRequiredService<RoutingState>(), provider.GetRequiredService<TimeProvider>()));
        services.TryAddSingleton(_ => new SeedSource(BinaryPrimitives.ReadUInt64LittleEndian(RandomNumberGenerator.GetBytes(sizeof(ulong)))));
        services.AddSingleton<Recordings>().AddSingleton<Callers>().AddSingleton<SamplingFields>().AddSingleton<ChatRequests>().AddSingleton<CompletionRequests>().AddSingleton<ModelList>()
            .AddSingleton<GenerationAnswer>().AddSingleton<OpenAiEndpoints>()
            .AddSingleton<AnswerServing>().AddSingleton<PromptCounter>().AddSingleton<MessageRequests>().AddSingleton<AnthropicEndpoints>().AddSingleton<NativeRequests>().AddSingleton<DashScopeEndpoints>()
            .AddSingleton<OllamaRequests>().AddSingleton<OllamaEndpoints>().AddSingleton<ResponseStore>().AddSingleton<ResponseRequests>().AddSingleton<ResponseEndpoints>()
            .AddSingleton<TextReading>().AddSingleton<EmbeddingRequests>().AddSingleton<RerankRequests>().AddSingleton<ReadingEndpoints>()
            .AddSingleton<FileEndpoints>().AddSingleton<BatchRowServing>().AddSingleton<BatchPlaces>().AddSingleton<BatchTools>().AddSingleton<BatchRunner>()
            .AddSingleton<BatchEndpoints>().AddHostedService(provider => provider.GetRequiredService<BatchRunner>()).AddHostedService(provider => provider.GetRequiredService<NativeTasks>()).AddHostedService<ExpiredDocuments>()
            .AddSingleton<AdminJson>().AddSingleton<DirectoryApi>().AddSingleton<LimitsApi>().AddSingleton<MetricsText>().AddSingleton<OperationsEndpoints>().AddSingleton<TariffApi>().AddSingleton<UsageApi>().AddSingleton<BooksApi>().AddSingleton<StatusApi>().AddSingleton<UpstreamApi>().AddSingleton<ConfigurationApi>().AddSingleton<SealedDocuments>().AddSingleton<TranscriptStore>().AddSingleton<TranscriptChanges>().AddSingleton<TranscriptApi>().AddSingleton<ResponseChanges>().AddSingleton<StoringApi>().AddHostedService<RetentionSweep>().AddSingleton<AdminEndpoints>();
        services.AddSingleton<FinanceChanges>().AddSingleton<ContractStanding>().AddSingleton<DeclarationApi>().AddSingleton<ContractApi>().AddSingleton<CostApi>().AddSingleton<InvoiceApi>()
            .AddSingleton<PeriodApi>().AddSingleton<PriceFileApi>().AddSingleton<StatementApi>().AddSingleton<UsageEvents>().AddSingleton<UsageIngest>().AddSingleton<IngestApi>().AddSingleton<BooksExport>().AddSingleton<ExportApi>().AddSingleton<FinanceEndpoints>();
        AddSealed<FileStore>(services);
        AddSealed<BatchStore>(services);
        AddSealed<NativeTasks>(services);
        services.Configure<KestrelServerOptions>(kestrel => SetLimits(kestrel, options));
        // A request is read, served and answered on the thread that its bytes arrived on, which is one of the pool's: handing it from one to the next cost more than what each of them did (ADR 36).
        // Nor is a buffer kept from a connection until it says something, which takes a call of the system more for every request: an idle one keeps 4 KB instead.
        services.Configure<SocketTransportOptions>(sockets => (sockets.UnsafePreferInlineScheduling, sockets.WaitForDataBeforeAllocatingBuffer) = (true, false));
        services.AddRouting();
        McpEndpoint.Add(services);
        return builder;
    }

    /// <summary>Keeps its documents sealed.</summary>
    private static void AddSealed<T>(IServiceCollection services) where T : class =>
        services.AddSingleton(provider => ActivatorUtilities.CreateInstance<T>(provider, ActivatorUtilities.CreateInstance<SealingStore>(provider)));

    /// <summary>Puts the limits before whatever serves calls: the pipeline, unless the host has given another.</summary>
    private static void LimitCalls(IServiceCollection services)
    {
        Func<IServiceProvider, RunCall> inner = services.LastOrDefault(each => each.ServiceType == typeof(RunCall)) switch
        {
            { ImplementationInstance: RunCall given } => _ => given,
            { ImplementationFactory: { } make } => provider => (RunCall)make(provider),
            _ => provider => provider.GetRequiredService<CallPipeline>().RunAsync,
        };
        services.TryAddSingleton(new RateOptions());
        services.TryAddSingleton<RateLimits>();
        services.TryAddSingleton(new MeterOptions());
        services.TryAddSingleton<CallEstimates>();
        services.TryAddSingleton<DrainState>();
        services.TryAddSingleton(AddressGuard.PublicOnly);
        services.TryAddSingleton(new AlertOptions());
        services.TryAddSingleton<WebhookSender>();
        services.TryAddSingleton<MailSender>();
        services.TryAddSingleton<AlertChanges>();
        services.TryAddSingleton<TenantStops>();
        services.AddSingleton<RunCall>(provider => new LimitedCalls(new TranscriptKeeping(inner(provider), provider.GetRequiredService<TranscriptStore>(), provider.GetRequiredService<ServedModels>(), provider.GetRequiredService<ILogger<TranscriptKeeping>>()).RunAsync, provider.GetRequiredService<RateLimits>(), provider.GetRequiredService<CallEstimates>(), provider.GetRequiredService<TenantStops>(),
            provider.GetRequiredService<DrainState>(), provider.GetRequiredService<TimeProvider>()).RunAsync);
    }

    /// <summary>Maps the APIs, /healthz, /readyz and /metrics. Call it before the pages are mapped.</summary>
    public static WebApplication MapQanatGateway(this WebApplication app)
    {
        ArgumentNullException.ThrowIfNull(app);
        app.UseRouting();
        // The APIs end here: what pages need (cookies, policies, forms) does not stand in their way.
        app.UseWhen(context => ApiRoutes.IsApi(context.Request.Path), api => api.UseMiddleware<ErrorBoundary>().UseMiddleware<RetryJoin>().UseEndpoints(_ => { }));
        app.UseWhen(context => McpEndpoint.Is(context.Request.Path), mcp => mcp.UseMiddleware<ErrorBoundary>().Use(McpEndpoint.AdmitAsync));
        ApiRoutes routes = new(app, app.Services.GetRequiredService<Callers>());
        app.Services.GetRequiredService<OpenAiEndpoints>().Map(routes);
        app.Services.GetRequiredService<ResponseEndpoints>().Map(routes);
        app.Services.GetRequiredService<ReadingEndpoints>().Map(routes);
        app.Services.GetRequiredService<FileEndpoints>().Map(routes);
        app.Services.GetRequiredService<BatchEndpoints>().Map(routes);
        app.Services.GetRequiredService<AnthropicEndpoints>().Map(routes);
        app.Services.GetRequiredService<DashScopeEndpoints>().Map(routes);
        app.Services.GetRequiredService<OllamaEndpoints>().Map(routes);
        app.Services.GetRequiredService<AdminEndpoints>().Map(routes);
        app.Services.GetRequiredService<OperationsEndpoints>().Map(routes);
        app.Services.GetRequiredService<FinanceEndpoints>().Map(routes);
        OpenApiEndpoints.Map(app, routes.Mapped);
        DocsPage.Map(app);
        routes.MapRest();
        McpEndpoint.Map(app, routes);
        return app;
    }

    private static void SetLimits(KestrelServerOptions kestrel, GatewayOptions options)
    {
        kestrel.AddServerHeader = false;
        kestrel.Limits.MaxRequestBodySize = options.BodyBytesMax;
        kestrel.Limits.MaxConcurrentConnections = options.ConnectionsMax;
        kestrel.Limits.MaxRequestHeadersTotalSize = options.HeaderBytesMax;
        kestrel.Limits.MaxRequestHeaderCount = options.HeaderCountMax;
        kestrel.Limits.KeepAliveTimeout = options.KeepAliveTimeout;
        kestrel.Limits.RequestHeadersTimeout = options.HeadersTimeout;
        kestrel.Limits.MaxRequestLineSize = options.RequestLineBytesMax;
        kestrel.Limits.MinRequestBodyDataRate = new MinDataRate(options.BodyBytesPerSecondMin, options.SlowBodyGrace);
        kestrel.Limits.MinResponseDataRate = new MinDataRate(options.BodyBytesPerSecondMin, options.SlowBodyGrace);
        kestrel.Limits.Http2.MaxStreamsPerConnection = options.StreamsPerConnectionMax;
    }
}
