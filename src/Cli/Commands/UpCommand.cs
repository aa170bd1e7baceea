using System.CommandLine;
using System.Runtime.InteropServices;
using Qanat.Gateway;
using Qanat.Kernels;
using Spectre.Console;

namespace Qanat.Cli;

/// <summary>qanat up: serve until stopped.</summary>
internal static class UpCommand
{
    public static Command Build(Shared shared)
    {
        Option<string> urls = new("--urls") { Description = "Addresses to listen on, separated by ';'. Only this machine can reach the default.", DefaultValueFactory = _ => ServerOptions.DefaultUrl };
        Option<string?> model = new("--model") { Description = "A model file, or OWNER/NAME of one that was pulled. Without one, a small random model is made and served." };
        Option<string?> name = new("--name") { Description = "What the API calls the model." };
        Option<int?> threads = Shared.Threads();
        Option<int> kvMegabytes = new("--kv-mb") { Description = "Memory for keys and values, in MB.", DefaultValueFactory = _ => 512 };
        Option<KvFormat> kv = Shared.Kv();
        Option<int?> stateMegabytes = Shared.StateMegabytes();
        Option<FileInfo?> config = new("--config") { Description = "The configuration file. Default: qanat.json in the data directory. Options win over it." };
        Option<bool> demo = new("--demo") { Description = "Three demo tenants send real requests for a while, so that the page shows measured figures." };
        Option<int> demoSeconds = new("--demo-seconds") { Description = "How long they do.", DefaultValueFactory = _ => 30 };
        Command up = new("up", "Serve a model, meter every token, keep the books, show them at the address printed.") { urls, model, name, threads, kvMegabytes, kv, stateMegabytes, config, demo, demoSeconds };
        up.SetAction((parsed, cancel) => Shared.RunAsync(async () =>
        {
            DataDirectory data = shared.Data(parsed);
            string path = parsed.GetValue(config)?.FullName ?? data.ConfigurationFile;
            QanatConfiguration file = QanatConfiguration.Read(path);
            ServerOptions standard = new() { Data = data };
            ServerOptions options = standard with
            {
                Urls = Said(parsed, urls) ?? file.Urls ?? standard.Urls,
                ModelFile = parsed.GetValue(model) ?? file.Model,
                ModelName = parsed.GetValue(name) ?? file.ModelName,
                Threads = parsed.GetValue(threads) ?? file.Threads,
                KvBytesMax = (long)(IsSaid(parsed, kvMegabytes) ? parsed.GetValue(kvMegabytes) : file.KvMegabytes ?? parsed.GetValue(kvMegabytes)) << 20,
                Kv = IsSaid(parsed, kv) ? parsed.GetValue(kv) : file.KvFormat is { } format ? Enum.Parse<KvFormat>(format, ignoreCase: true) : default,
                StateBytesMax = Shared.Bytes(parsed.GetValue(stateMegabytes) ?? file.StateMegabytes),
                DrainMax = file.DrainMax(),
                LogLevel = file.LogLevelOrStandard(),
                Configuration = new StartedConfiguration(path, file),
                Tls = file.Tls,
                OpenId = file.OpenId,
                Mail = file.Mail,
                Rates = file.RateOptions(),
                Kept = file.KeptOptions(),
                AllowedNetworks = file.Networks(),
                OwnerKey = Environment.GetEnvironmentVariable("QANAT_OWNER_KEY"),
            };
            TimeSpan? demoTime = parsed.GetValue(demo) ? TimeSpan.FromSeconds(parsed.GetValue(demoSeconds)) : null;
            await ServeAsync(options, demoTime, cancel);
        }));
        return up;
    }

    private static bool IsSaid(ParseResult parsed, Option option) => parsed.GetResult(option) is { Implicit: false };
    private static string? Said(ParseResult parsed, Option<string> option) => IsSaid(parsed, option) ? parsed.GetValue(option) : null;

    private static async Task ServeAsync(ServerOptions options, TimeSpan? demo, CancellationToken cancel)
    {
        LineProgress progress = new();
        await using QanatServer server = await QanatServer.StartAsync(options, progress, cancel);
        Greet(server, options);
        using PosixSignalRegistration hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, signal =>
        {
            signal.Cancel = true;
            _ = ReloadAsync(server, progress);
        });
        using CancellationTokenSource stopped = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        Task traffic = demo is { } duration ? new DemoTraffic(server, duration, TimeProvider.System).RunAsync(progress, stopped.Token) : Task.CompletedTask;
        await server.WaitForStopAsync(cancel);
        await stopped.CancelAsync();
        await traffic.ContinueWith(_ => { }, TaskScheduler.Default);
        progress.Report("Stopping: running answers end, then the books are closed.");
    }

    private static async Task ReloadAsync(QanatServer server, IProgress<string> progress)
    {
        if (await server.ReloadAsync("SIGHUP", CancellationToken.None) is { } report) progress.Report("Configuration: " + ConfigCommands.Words(report.Applied, report.NeedRestart, report.Problem));
    }

    private static void Greet(QanatServer server, ServerOptions options)
    {
        System.Console.WriteLine();
        System.Console.WriteLine($"  Console     {server.Url}/");
        System.Console.WriteLine($"  API         {server.Url}/v1   model {server.Deployment!.Name}");
        System.Console.WriteLine($"  Data        {options.Data.Root}");
        if (server.NewOwnerKey is { } key)
        {
            System.Console.WriteLine();
            System.Console.WriteLine($"  Owner key   {key.Secret}");
            System.Console.WriteLine("              It is shown this once: keep it. It signs in to the console and works with the API.");
        }
        if (server.Deployment.Model.Notice is { } notice)
        {
            System.Console.WriteLine();
            AnsiConsole.MarkupLine($"  [yellow]Note[/]        {Markup.Escape(notice)}");
        }
        System.Console.WriteLine();
    }
}
