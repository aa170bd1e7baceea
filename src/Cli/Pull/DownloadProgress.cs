using Spectre.Console;

namespace Qanat.Cli;

/// <summary>Bars in a terminal, a line a file elsewhere, nothing beside JSON.</summary>
internal static class DownloadProgress
{
    public static async Task<PulledModel> ShowAsync(bool quiet, Func<IPullProgress, Task<PulledModel>> run)
    {
        if (quiet) return await run(new Silent());
        if (System.Console.IsOutputRedirected) return await run(new Lines());
        return await AnsiConsole.Progress().AutoClear(true)
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new DownloadedColumn(), new TransferSpeedColumn(), new RemainingTimeColumn())
            .StartAsync(context => run(new Bars(context)));
    }

    private sealed class Bars(ProgressContext context) : IPullProgress
    {
        private readonly Dictionary<string, ProgressTask> tasks = new(StringComparer.Ordinal);

        public void Begin(RepositoryFile file) => tasks[file.Path] = context.AddTask(Markup.Escape(file.Path), maxValue: Math.Max(1, file.Bytes));
        public void Came(RepositoryFile file, long bytes) => tasks[file.Path].Increment(bytes);
    }

    private sealed class Lines : IPullProgress
    {
        public void Begin(RepositoryFile file) => System.Console.WriteLine($"{file.Path} ({Amount.OfBytes(file.Bytes)})");
        public void Came(RepositoryFile file, long bytes) { }
    }

    private sealed class Silent : IPullProgress
    {
        public void Begin(RepositoryFile file) { }
        public void Came(RepositoryFile file, long bytes) { }
    }
}
