using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Bench;

// parity FILE.gguf [tokens]: greedy tokens and logits of that many tokens after each of four prompts, ours and those of llama.cpp (node-llama-cpp), beside the same model in singles (ADR 64); as JSON, and 1 if the gate does not hold.
// engine FILE.gguf [prompt] [gen] [threads] [rounds]: `qanat bench` and llama.cpp (node-llama-cpp) on the same file, with the same threads, in turn; medians and ratios as JSON.
if (args is not ["engine" or "parity", { } file, ..])
{
    Console.Error.WriteLine("usage: engine FILE.gguf [prompt 512] [gen 128] [threads 2] [rounds 3] | parity FILE.gguf [tokens 64]");
    return 2;
}
int[] numbers = [.. args.Skip(2).Select(int.Parse)];
(int prompt, int generate, int threads, int rounds) = (At(0, 512), At(1, 128), At(2, 2), At(3, 3));
string here = AppContext.BaseDirectory;
if (!Directory.Exists(Path.Combine(here, "node_modules")))
    Run("npm", here, ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"]);

if (args[0] == "parity")
{
    JsonObject parity = Parity.Run(file, At(0, 64), script => Run("node", here, script));
    Console.WriteLine(parity.ToJsonString(new JsonSerializerOptions { WriteIndented = true }));
    return parity["held"]!.GetValue<bool>() ? 0 : 1;
}
string framework = Path.GetFileName(here.TrimEnd(Path.DirectorySeparatorChar));
string configuration = new DirectoryInfo(here).Parent!.Name;
string qanat = Path.GetFullPath(Path.Combine(here, "../../../../../src/Cli/bin", configuration, framework, "qanat.dll"));
List<JsonNode> ours = [], theirs = [];
for (int round = 0; round < rounds; round++)
{
    ours.Add(Run("dotnet", here, [qanat, "bench", file, "--prompt", $"{prompt}", "--gen", $"{generate}", "--threads", $"{threads}", "--repeats", "3", "--json"]));
    theirs.Add(Run("node", here, ["peer.mjs", Path.GetFullPath(file), $"{prompt}", $"{generate}", $"{threads}", "3"]));
}
JsonObject result = new() { ["model"] = Path.GetFileName(file), ["prompt"] = prompt, ["gen"] = generate, ["threads"] = threads, ["rounds"] = rounds, ["kernels"] = ours[0]["kernels"]?.ToString() };
foreach (string figure in (string[])["prefill_tokens_per_s", "decode_tokens_per_s", "load_s", "peak_rss_bytes"])
{
    double mine = Median(ours, figure), peers = Median(theirs, figure);
    result[figure] = new JsonObject { ["qanat"] = Math.Round(mine, 3), ["llama.cpp (node-llama-cpp)"] = Math.Round(peers, 3), ["ratio"] = Math.Round(mine / peers, 3) };
}
Console.WriteLine(result.ToJsonString(new JsonSerializerOptions { WriteIndented = true }));
return 0;

int At(int index, int standard) => index < numbers.Length ? numbers[index] : standard;

static double Median(List<JsonNode> runs, string figure)
{
    double[] values = [.. runs.Select(run => run[figure]!.GetValue<double>()).Order()];
    return values[values.Length / 2];
}

static JsonNode Run(string program, string folder, string[] arguments)
{
    ProcessStartInfo start = new(program, arguments) { WorkingDirectory = folder, RedirectStandardOutput = true, UseShellExecute = false };
    start.Environment["NODE_LLAMA_CPP_SKIP_DOWNLOAD"] = "true";
    using Process process = Process.Start(start)!;
    string output = process.StandardOutput.ReadToEnd();
    process.WaitForExit();
    if (process.ExitCode != 0) throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}.");
    int json = output.IndexOf('{', StringComparison.Ordinal);
    return json < 0 ? new JsonObject() : JsonNode.Parse(output[json..])!;
}
