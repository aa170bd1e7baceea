using Qanat.Gateway.Bench.Tracing;

/// <summary>Lets the runtime of a measured program begin a trace before the program itself: it calls this, by this name, in the assembly that DOTNET_STARTUP_HOOKS names. Therefore it is in no namespace. The program knows nothing of it.</summary>
internal static class StartupHook
{
    /// <summary>A file for each process, in this folder.</summary>
    public const string FolderVariable = "QANAT_BENCH_TRACE";

    public static void Initialize()
    {
        if (Environment.GetEnvironmentVariable(FolderVariable) is { } folder) _ = new ProcessTrace(TraceFolder.FileOf(folder, Environment.ProcessId));
    }
}
