using System.Buffers.Binary;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Qanat.Gateway;

/// <summary>Puts the gateway into an ASP.NET Core application.</summary>
public static class GatewayHosting
{
    /// <summary>Registers the endpoints and Kestrel's limits. The host registers what they stand on: IBookStore, TimeProvider, DirectoryState, KeyRing, TariffState, BudgetLimits,
    /// LiveMeter, RoutingState, CallPipeline, BooksPoster.</summary>
    public static WebApplicationBuilder AddQanatGateway(this WebApplicationBuilder builder, GatewayOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        options ??= new GatewayOptions();
        IServiceCollection services = builder.Services;
        services.AddSingleton(options);
        services.TryAddSingleton<RunCall>(provider => provider.GetRequiredService<CallPipeline>().RunAsync);
        services.TryAddSingleton(provider => ServedModels.Of(provider.GetRequiredService<RoutingState>(), provider.GetRequiredService<TimeProvider>()));
        services.TryAddSingleton(_ => new SeedSource(BinaryPrimitives.ReadUInt64LittleEndian(RandomNumberGenerator.GetBytes(sizeof(ulong)))));
        services.AddSingleton<Recordings>().AddSingleton<Callers>().AddSingleton<SamplingFields>().AddSingleton<ChatRequests>().AddSingleton<CompletionRequests>().AddSingleton<ModelList>()
            .AddSingleton<GenerationAnswer>().AddSingleton<OpenAiEndpoints>()
            .AddSingleton<AnswerServing>().AddSingleton<MessageRequests>().AddSingleton<AnthropicEndpoints>().AddSingleton<NativeRequests>().AddSingleton<DashScopeEndpoints>()
            .AddSingleton<OllamaRequests>().AddSingleton<OllamaEndpoints>().AddSingleton<ResponseStore>().AddSingleton<ResponseRequests>().AddSingleton<ResponseEndpoints>()
            .AddSingleton<FileStore>().AddSingleton<FileEndpoints>().AddSingleton<BatchStore>().AddSingleton<BatchRowServing>().AddSingleton<BatchPlaces>().AddSingleton<BatchTools>().AddSingleton<BatchRunner>()
            .AddSingleton<BatchEndpoints>().AddHostedService(provider => provider.GetRequiredService<BatchRunner>())
            .AddSingleton<AdminJson>().AddSingleton<DirectoryApi>().AddSingleton<TariffApi>().AddSingleton<UsageApi>().AddSingleton<BooksApi>().AddSingleton<StatusApi>().AddSingleton<UpstreamApi>().AddSingleton<AdminEndpoints>();
        services.Configure<KestrelServerOptions>(kestrel => SetLimits(kestrel, options));
        services.AddRouting();
        return builder;
    }

    /// <summary>Maps the APIs and /healthz. Call it before the pages are mapped.</summary>
    public static WebApplication MapQanatGateway(this WebApplication app)
    {
        ArgumentNullException.ThrowIfNull(app);
        app.UseRouting();
        app.UseWhen(context => ApiRoutes.IsApi(context.Request.Path), api => api.UseMiddleware<ErrorBoundary>().UseMiddleware<RetryJoin>());
        app.MapMethods("/healthz", ["GET", "HEAD"], HealthAsync);
        ApiRoutes routes = new(app, app.Services.GetRequiredService<Callers>());
        app.Services.GetRequiredService<OpenAiEndpoints>().Map(routes);
        app.Services.GetRequiredService<ResponseEndpoints>().Map(routes);
        app.Services.GetRequiredService<FileEndpoints>().Map(routes);
        app.Services.GetRequiredService<BatchEndpoints>().Map(routes);
        app.Services.GetRequiredService<AnthropicEndpoints>().Map(routes);
        app.Services.GetRequiredService<DashScopeEndpoints>().Map(routes);
        app.Services.GetRequiredService<OllamaEndpoints>().Map(routes);
        app.Services.GetRequiredService<AdminEndpoints>().Map(routes);
        routes.MapRest();
        return app;
    }

    private static async Task HealthAsync(HttpContext context)
    {
        using JsonAnswer json = new();
        json.Writer.WriteStartObject();
        json.Writer.WriteString("status", "ok");
        json.Writer.WriteString("version", QanatVersion.Text);
        json.Writer.WriteEndObject();
        await json.SendAsync(context.Response);
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
    }
}
