namespace Qanat.Gateway.Bench.Tracing;

/// <summary>Where traced processes write: a file each. This process is traced too, because what the load generator waits for looks like the gateway's slowness.</summary>
internal sealed class TraceFolder : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("qanat-trace").FullName;
    private readonly ProcessTrace own;
    private readonly MachineTrace machine = new();

    public TraceFolder() => own = new ProcessTrace(FileOf(folder, Environment.ProcessId));

    /// <summary>For a process that is to be traced.</summary>
    public IReadOnlyDictionary<string, string> Variables => new Dictionary<string, string>(StringComparer.Ordinal)
    {
        ["DOTNET_STARTUP_HOOKS"] = typeof(StartupHook).Assembly.Location,
        [StartupHook.FolderVariable] = folder,
    };

    public static string FileOf(string folder, int process) => Path.Combine(folder, $"{process}.tsv");

    /// <summary>What was written down, each name with the process's before it. Call it some time after what is of interest: the runtime tells of itself late.</summary>
    public List<TracePiece> Read(params ReadOnlySpan<(string Name, int Process)> processes)
    {
        List<TracePiece> all = [.. machine.Pieces().Select(piece => piece with { Name = "machine: " + piece.Name })];
        foreach ((string name, int process) in processes)
        {
            string file = FileOf(folder, process);
            if (!File.Exists(file)) continue;
            using StreamReader lines = new(new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
            while (lines.ReadLine() is { } line)
                if (TracePiece.TryParse(line, out TracePiece piece)) all.Add(piece with { Name = $"{name}: {piece.Name}" });
        }
        return all;
    }

    public void Dispose()
    {
        own.Dispose();
        machine.Dispose();
        Directory.Delete(folder, recursive: true);
    }
}
