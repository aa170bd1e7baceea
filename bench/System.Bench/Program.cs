using System.Text.Json;
using Qanat.Bench;

const string Usage =
    """
    Measures the network beside llama.cpp on one GGUF file, in turns, and prints medians and ratios.
    usage: System.Bench MODEL.gguf [--threads N] [--rounds N] [--prompt TOKENS] [--decode TOKENS] [--parallel 4,8,16] [--json FILE]
    LLAMA_BIN names the folder of llama-bench and llama-batched-bench; without it only our own numbers are printed.
    """;

if (args is [OwnRun.LoadOnly, string model, string threads])
{
    using var loaded = new OwnRun(new BenchOptions { Model = model, Threads = BenchOptions.Number(threads) });
    loaded.Prefill(1);
    return 0;
}
if (args is [OwnRun.PeakOnly, string file, .. string[] numbers])
{
    int[] read = [.. numbers.Select(BenchOptions.Number)];
    OwnRun.FindPeak(file, read[0], read[1], read[2], read.AsSpan(3));
    return 0;
}
if (args.Length == 0 || args[0].StartsWith('-') || args.Length % 2 == 0)
{
    Console.Error.WriteLine(Usage);
    return 2;
}
var options = new BenchOptions { Model = args[0] };
for (int i = 1; i < args.Length; i += 2)
{
    switch (args[i])
    {
        case "--threads": options = options with { Threads = BenchOptions.Number(args[i + 1]) }; break;
        case "--rounds": options = options with { Rounds = BenchOptions.Number(args[i + 1]) }; break;
        case "--prompt": options = options with { PromptTokens = BenchOptions.Number(args[i + 1]) }; break;
        case "--decode": options = options with { DecodeTokens = BenchOptions.Number(args[i + 1]) }; break;
        case "--parallel": options = options with { Parallel = [.. args[i + 1].Split(',', StringSplitOptions.RemoveEmptyEntries).Select(BenchOptions.Number)] }; break;
        case "--json": options = options with { Json = args[i + 1] }; break;
        default:
            Console.Error.WriteLine(Usage);
            return 2;
    }
}

BenchReport report = Comparison.Run(options, Console.Out);
if (options.Json is { } path)
    File.WriteAllText(path, JsonSerializer.Serialize(report, BenchReport.Layout));
return 0;
