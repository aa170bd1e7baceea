using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Qanat.Models;

namespace Qanat.Bench;

/// <summary>The tokenizer beside the Rust library (npm `tokenizers`) on the lines of some files, in turns, and whether the ids are the same. One thread each; the peer's time is that of its calls alone.</summary>
internal static class Tokenizing
{
    private const int Rounds = 5;

    /// <param name="tokenizerPath">A tokenizer.json.</param>
    /// <param name="textPaths">Files of text; each line is encoded by itself, as messages of a chat are.</param>
    public static void Print(string tokenizerPath, IEnumerable<string> textPaths, TextWriter output)
    {
        string here = AppContext.BaseDirectory;
        if (!Directory.Exists(Path.Combine(here, "node_modules")))
            Run("npm", here, ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]);
        string[] lines = [.. textPaths.SelectMany(File.ReadLines).Where(line => line.Length > 0)];
        int bytes = lines.Sum(System.Text.Encoding.UTF8.GetByteCount);
        string stringsPath = Path.Combine(here, "strings.json"), idsPath = Path.Combine(here, "ids.json");
        File.WriteAllText(stringsPath, JsonSerializer.Serialize(lines));

        BpeTokenizer tokenizer = BpeTokenizer.FromTokenizerJson(tokenizerPath);
        double[] ours = new double[Rounds], theirs = new double[Rounds];
        int[][] ids = [];
        for (int round = 0; round < Rounds; round++)
        {
            // The first pass of a process is not measured, neither here nor there.
            if (round == 0) _ = Encode();
            long began = Stopwatch.GetTimestamp();
            ids = Encode();
            ours[round] = bytes / 1e6 / Stopwatch.GetElapsedTime(began).TotalSeconds;
            theirs[round] = bytes / 1e6 / double.Parse(Run("node", here, ["tokenize.mjs", Path.GetFullPath(tokenizerPath), stringsPath, idsPath]), CultureInfo.InvariantCulture);
        }
        int[][] expected = JsonSerializer.Deserialize<int[][]>(File.ReadAllText(idsPath))!;
        int wrong = ids.Zip(expected).Count(pair => !pair.First.AsSpan().SequenceEqual(pair.Second)) + Math.Abs(ids.Length - expected.Length);
        double ratio = Median(ours.Zip(theirs, (a, b) => a / b));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{lines.Length} lines, {bytes} bytes, {ids.Sum(line => line.Length)} tokens; lines with other ids: {wrong}"));
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"encoding {Median(ours):F1} MB/s   npm tokenizers {Median(theirs):F1} MB/s   ratio {ratio:F2}"));

        int[][] Encode() => [.. lines.Select(line => tokenizer.Encode(line, SpecialText.Parse))];
    }

    private static string Run(string program, string folder, string[] arguments)
    {
        ProcessStartInfo start = new(program, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, UseShellExecute = false };
        start.Environment["TOKENIZERS_PARALLELISM"] = "false";
        using Process process = Process.Start(start)!;
        string output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException(string.Create(CultureInfo.InvariantCulture, $"{program} ended with {process.ExitCode}"));
    }

    private static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return sorted[sorted.Length / 2];
    }
}
