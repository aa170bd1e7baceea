using System.Diagnostics;
using System.Globalization;
using System.Text.Json;

namespace Qanat.Bench;

/// <summary>llama.cpp's own measuring programs, in the folder that LLAMA_BIN names.</summary>
internal sealed class LlamaRun(BenchOptions options, string folder)
{
    public static LlamaRun? FromEnvironment(BenchOptions options) =>
        Environment.GetEnvironmentVariable("LLAMA_BIN") is { Length: > 0 } folder ? new LlamaRun(options, folder) : null;

    public string Name => $"llama.cpp in {Path.GetFileName(Path.GetFullPath(folder))}";

    /// <summary>Seconds from the start of its process to its end, one token of prompt in between.</summary>
    public double Load()
    {
        long started = Stopwatch.GetTimestamp();
        Bench("-p", 1, "-n", 0, "--no-warmup");
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>Tokens per second of one prompt.</summary>
    public double Prefill(int tokens) => Bench("-p", tokens, "-n", 0);

    /// <summary>Tokens per second of one sequence.</summary>
    public double Decode(int tokens) => Bench("-p", 0, "-n", tokens);

    /// <summary>Tokens per second of several sequences together, without their prompts.</summary>
    public double Decode(int sequences, int tokens)
    {
        string output = Run("llama-batched-bench", "-m", options.Model, "-t", Text(options.Threads), "-c", Text(sequences * (tokens + 16) + 256), "-npp", "1", "-ntg", Text(tokens), "-npl", Text(sequences), "--output-format", "jsonl");
        string line = output.Split('\n').Last(text => text.StartsWith('{'));
        return JsonDocument.Parse(line).RootElement.GetProperty("speed_tg").GetDouble();
    }

    private double Bench(string first, int firstTokens, string second, int secondTokens, params string[] more)
    {
        string output = Run("llama-bench", ["-m", options.Model, "-t", Text(options.Threads), "-r", "1", first, Text(firstTokens), second, Text(secondTokens), "-o", "json", .. more]);
        return JsonDocument.Parse(output).RootElement[0].GetProperty("avg_ts").GetDouble();
    }

    private string Run(string program, params string[] arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(Path.Combine(folder, program), arguments) { RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false })
            ?? throw new InvalidOperationException($"{program} did not start");
        process.ErrorDataReceived += (_, _) => { };
        process.BeginErrorReadLine();
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException(FormattableString.Invariant($"{program} ended with {process.ExitCode}"));
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
