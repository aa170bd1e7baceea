using Microsoft.Extensions.Logging;
using Qanat.Books;
using Qanat.Engine;
using Qanat.Gateway;
using Qanat.Models;
using Qanat.TinyModel;

namespace Qanat.Cli;

/// <summary>Loads a model, starts the engine on it and connects the two to the books.</summary>
internal static class BuiltInEngine
{
    /// <exception cref="CommandException">The file cannot be served.</exception>
    public static async Task<Deployment> StartAsync(ServerOptions options, IServiceProvider services, Instant processStart, IProgress<string> progress, CancellationToken cancel)
    {
        IBookStore store = services.GetRequiredService<IBookStore>();
        TimeProvider clock = services.GetRequiredService<TimeProvider>();
        (LoadedModel model, long stateBytes) = await Task.Run(() => Load(options, progress, cancel), cancel);
        ModelName name = new(options.ModelName ?? model.Name);
        DeploymentMeter meter = new(new DeploymentName("builtin/" + name.Value), Defaults.Pool, store, services.GetRequiredService<TariffState>(), services.GetRequiredService<BudgetLimits>(),
            services.GetRequiredService<LiveMeter>(), options.Meter, clock, services.GetRequiredService<ILogger<DeploymentMeter>>());
        InferenceEngine engine = new(model, new EngineOptions { KvBytesMax = options.KvBytesMax, StateBytesMax = stateBytes, IdleReportInterval = TimeSpan.FromSeconds(1) }, meter, clock);
        Instant ready = Instant.Now(clock);
        Instant recordedTo = await Recovery.RecordStartAsync(store, Defaults.Pool, processStart, ready, cancel);
        meter.Start(engine, new Instant(recordedTo.UnixNanoseconds - engine.Status.NowNs), recordedTo);
        Deployment deployment = new(name, model, engine, meter);
        services.GetRequiredService<RoutingState>().Add(deployment);
        return deployment;
    }

    private static (LoadedModel Model, long StateBytes) Load(ServerOptions options, IProgress<string> progress, CancellationToken cancel)
    {
        string file = options.ModelFile is { } asked ? ModelPull.Find(options.Data, asked) : TinyModelRecipe.Tiny.WriteTo(options.Data.Models);
        ModelRecord.Beside(file)?.EnsureMayBeHosted();
        long stateBytes = options.StateBytesMax ?? ModelMemory.For(file).States;
        progress.Report($"Loading {Path.GetFileName(file)}");
        try
        {
            return (LoadedModel.Load(file, new LoadOptions { Threads = options.Threads, Kv = options.Kv, KvBytesMax = options.KvBytesMax, StateBytesMax = stateBytes }, progress, cancel), stateBytes);
        }
        catch (Exception error) when (error is ModelFileException or IOException)
        {
            throw new CommandException(error.Message, error);
        }
    }
}
