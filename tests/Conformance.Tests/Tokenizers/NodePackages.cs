using System.ComponentModel;
using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;

namespace Qanat.Conformance.Tests;

/// <summary>npm packages for a test, installed once into a folder of the user's cache that is named after the package.json.</summary>
internal static class NodePackages
{
    private static readonly Lock Installing = new();

    /// <summary>For programs and for what they fetch: whoever takes longer hangs.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    /// <summary>For the rest of what was said, once a program has ended.</summary>
    private static readonly TimeSpan LastWords = TimeSpan.FromSeconds(20);

    /// <summary>The folder with node_modules and the scripts beside the package.json; skips the test when node or npm is missing.</summary>
    /// <param name="source">A folder with package.json and *.mjs.</param>
    public static string Install(string source)
    {
        // Tests run side by side, and npm in one folder must not.
        lock (Installing) return InstallOnce(source);
    }

    private static string InstallOnce(string source)
    {
        foreach (string tool in new[] { "node", "npm" })
        {
            if (!TryRun(tool, ["--version"], source, out string problem))
                Skip($"{tool} is not installed: {problem}");
        }

        byte[] manifest = File.ReadAllBytes(Path.Combine(source, "package.json"));
        string folder = Path.Combine(CacheFolder(), "qanat", "npm", Convert.ToHexStringLower(SHA256.HashData(manifest))[..16]);
        string done = Path.Combine(folder, "installed");
        if (!File.Exists(done))
        {
            Directory.CreateDirectory(folder);
            File.WriteAllBytes(Path.Combine(folder, "package.json"), manifest);
            if (!TryRun("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"], folder, out string problem))
                Skip($"npm could not install the packages of {source}: {problem}");
            File.WriteAllText(done, "");
        }
        foreach (string script in Directory.EnumerateFiles(source, "*.mjs")) Place(script, Path.Combine(folder, Path.GetFileName(script)));
        return folder;
    }

    /// <summary>A script that is there already may just be read by a program: it is replaced as a whole, and only by another.</summary>
    private static void Place(string script, string target)
    {
        byte[] text = File.ReadAllBytes(script);
        if (File.Exists(target) && File.ReadAllBytes(target).AsSpan().SequenceEqual(text)) return;
        string unfinished = FormattableString.Invariant($"{target}.{Environment.ProcessId}");
        File.WriteAllBytes(unfinished, text);
        File.Move(unfinished, target, overwrite: true);
    }

    /// <summary>Runs a program to its end in a folder and gives all that it printed; null: it failed, and what it printed is in the problem.</summary>
    public static string? Run(ProcessStartInfo start, out string problem)
    {
        ArgumentNullException.ThrowIfNull(start);
        bool succeeded = RunToEnd(start, out string output, out string errors);
        problem = output + errors;
        return succeeded ? output : null;
    }

    /// <summary>Runs a script in the installed folder to its end.</summary>
    public static void Run(string folder, params string[] arguments) =>
        Assert.True(TryRun("node", arguments, folder, out string problem), problem);

    /// <summary>Runs a script to its end and gives what it printed.</summary>
    public static string RunAndRead(string folder, params string[] arguments)
    {
        string printed = "";
        Assert.True(TryRun("node", arguments, folder, out string problem, output => printed = output), problem);
        return printed;
    }

    private static string CacheFolder() =>
        Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache ? cache
        : Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData) is { Length: > 0 } data ? data
        : Path.GetTempPath();

    private static void Skip(string reason)
    {
        Assert.False(Environment.GetEnvironmentVariable("QANAT_CI") == "1", reason);
        Assert.Skip(reason);
    }

    private static bool TryRun(string tool, string[] arguments, string folder, out string problem, Action<string>? printed = null)
    {
        try
        {
            bool succeeded = RunToEnd(new ProcessStartInfo(tool, arguments) { WorkingDirectory = folder }, out string output, out problem);
            printed?.Invoke(output);
            return succeeded;
        }
        catch (Win32Exception e)
        {
            problem = e.Message;
            return false;
        }
    }

    /// <summary>Waits for the program, not for what it leaves running, which would keep its pipes open.</summary>
    private static bool RunToEnd(ProcessStartInfo start, out string output, out string errors)
    {
        start.RedirectStandardError = start.RedirectStandardOutput = start.RedirectStandardInput = true;
        start.UseShellExecute = false;
        using Process process = Process.Start(start)!;
        process.StandardInput.Close();
        StringBuilder said = new(), complained = new();
        Task[] listening = [ListenAsync(process.StandardOutput, said), ListenAsync(process.StandardError, complained)];
        bool hasEnded = process.WaitForExit(Patience);
        if (!hasEnded) process.Kill(entireProcessTree: true);
        Task.WaitAll(listening, LastWords);
        lock (said) output = said.ToString();
        lock (complained) errors = complained + (hasEnded ? "" : $"\n{start.FileName} {string.Join(' ', start.ArgumentList)} did not end within {Patience}.");
        return hasEnded && process.ExitCode == 0;
    }

    private static async Task ListenAsync(StreamReader pipe, StringBuilder heard)
    {
        char[] buffer = new char[4096];
        while (await pipe.ReadAsync(buffer).ConfigureAwait(false) is > 0 and int count)
        {
            lock (heard) heard.Append(buffer, 0, count);
        }
    }
}
