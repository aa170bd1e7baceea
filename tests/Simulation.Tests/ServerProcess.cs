using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text.Json.Nodes;

namespace Qanat.Simulation.Tests;

/// <summary>The built `qanat up` as a process of its own, so that it can be killed.</summary>
internal sealed class ServerProcess : IAsyncDisposable
{
    public const string OwnerKey = "sk-owner-of-the-simulation";
    private readonly Process process;
    private readonly Task output;
    private readonly Transcript errors;
    private bool isDisposed;

    private ServerProcess(Process process, Task output, Transcript errors, string url)
    {
        this.process = process;
        this.output = output;
        this.errors = errors;
        Http = new HttpClient { BaseAddress = new Uri(url), Timeout = TimeSpan.FromMinutes(2) };
        Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", OwnerKey);
    }

    public HttpClient Http { get; }

    /// <summary>Starts on a data directory and returns when it answers.</summary>
    public static Task<ServerProcess> StartAsync(string data, CancellationToken cancel, params string[] more) => StartAsync(data, new Dictionary<string, string>(StringComparer.Ordinal), cancel, more);

    /// <summary>As above, with more environment variables.</summary>
    public static async Task<ServerProcess> StartAsync(string data, IReadOnlyDictionary<string, string> environment, CancellationToken cancel, params string[] more)
    {
        ProcessStartInfo start = Program(["up", "--data", data, "--urls", "http://127.0.0.1:0", .. more]);
        foreach ((string name, string value) in environment) start.Environment[name] = value;
        Process process = Process.Start(start)!;
        Transcript errors = new();
        process.ErrorDataReceived += (_, line) => errors.Add(line.Data);
        process.BeginErrorReadLine();
        ServerProcess? server = null;
        try
        {
            while (await process.StandardOutput.ReadLineAsync(cancel) is { } line)
            {
                string[] words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
                if (words is ["API", { } url, ..]) return server = new ServerProcess(process, process.StandardOutput.ReadToEndAsync(cancel), errors, url[..^"/v1".Length]);
            }
            throw new InvalidOperationException($"qanat up ended before it served:\n{errors}");
        }
        finally
        {
            if (server is null) process.Kill();
        }
    }

    /// <summary>Waits until the server has written a line that begins like this to standard error; fails when it ends before.</summary>
    public Task SaidAsync(string beginning, CancellationToken cancel) => errors.WaitAsync(beginning).WaitAsync(cancel);

    /// <summary>What the server has written to standard error so far.</summary>
    public string Said => errors.ToString();

    /// <summary>SIGKILL: nothing is flushed, nothing is said good-bye to.</summary>
    public async Task KillAsync()
    {
        process.Kill();
        await process.WaitForExitAsync();
    }

    public async Task<JsonNode> GetAsync(string path, CancellationToken cancel) => JsonNode.Parse(await Http.GetStringAsync(path, cancel))!;

    public async ValueTask DisposeAsync()
    {
        if (isDisposed) return;
        isDisposed = true;
        if (!process.HasExited) await KillAsync();
        Http.Dispose();
        await output.ContinueWith(_ => { }, TaskScheduler.Default);
        process.Dispose();
    }

    /// <summary>Runs another command of the same program to its end.</summary>
    public static async Task<CommandResult> RunAsync(CancellationToken cancel, params string[] arguments)
    {
        using Process process = Process.Start(Program(arguments))!;
        Task<string> output = process.StandardOutput.ReadToEndAsync(cancel);
        Task<string> errors = process.StandardError.ReadToEndAsync(cancel);
        await process.WaitForExitAsync(cancel);
        return new CommandResult(process.ExitCode, await output, await errors);
    }

    /// <summary>SIGTERM: the server ends by itself.</summary>
    public async Task StopAsync(CancellationToken cancel)
    {
        using Process kill = Process.Start("kill", ["-TERM", process.Id.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
        await kill.WaitForExitAsync(cancel);
        await process.WaitForExitAsync(cancel);
    }

    private static ProcessStartInfo Program(string[] arguments)
    {
        ProcessStartInfo start = new("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false };
        foreach (string argument in (string[])[ProgramPath(), .. arguments]) start.ArgumentList.Add(argument);
        start.Environment["QANAT_OWNER_KEY"] = OwnerKey;
        start.Environment.Remove("QANAT_URL");
        return start;
    }

    /// <summary>The program that the same build made: tests/X/bin/CONFIG/net10.0 -> src/Cli/bin/CONFIG/net10.0.</summary>
    private static string ProgramPath()
    {
        DirectoryInfo framework = new(AppContext.BaseDirectory.TrimEnd(Path.DirectorySeparatorChar));
        string root = framework.Parent!.Parent!.Parent!.Parent!.Parent!.FullName;
        return Path.Combine(root, "src", "Cli", "bin", framework.Parent.Name, framework.Name, "qanat.dll");
    }
}

internal sealed record CommandResult(int ExitCode, string Output, string Errors);

/// <summary>Lines as they come, and who waits for one of them.</summary>
internal sealed class Transcript
{
    private readonly Lock gate = new();
    private readonly List<string> lines = [];
    private readonly List<(string Beginning, TaskCompletionSource Said)> waiting = [];
    private bool hasEnded;

    /// <param name="line">Null: there will be no more.</param>
    public void Add(string? line)
    {
        lock (gate)
        {
            if (line is null)
            {
                hasEnded = true;
                foreach ((string beginning, TaskCompletionSource said) in waiting) said.TrySetException(NeverSaid(beginning));
                return;
            }
            lines.Add(line);
            foreach ((string beginning, TaskCompletionSource said) in waiting)
            {
                if (line.StartsWith(beginning, StringComparison.Ordinal)) said.TrySetResult();
            }
        }
    }

    public Task WaitAsync(string beginning)
    {
        lock (gate)
        {
            TaskCompletionSource said = new(TaskCreationOptions.RunContinuationsAsynchronously);
            if (lines.Any(line => line.StartsWith(beginning, StringComparison.Ordinal))) said.SetResult();
            else if (hasEnded) said.SetException(NeverSaid(beginning));
            waiting.Add((beginning, said));
            return said.Task;
        }
    }

    private InvalidOperationException NeverSaid(string beginning) => new($"It ended without a line that begins with '{beginning}':\n{string.Join('\n', lines)}");

    public override string ToString()
    {
        lock (gate) return string.Join('\n', lines);
    }
}
