using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Qanat.Engine;
using Qanat.Kernels;

namespace Qanat.Cli;

/// <summary>qanat bench: how fast a model file runs on this machine.</summary>
internal static class BenchCommand
{
    public static Command Build(Shared shared)
    {
        Argument<string> file = new("file") { Description = "A GGUF file, a folder with *.safetensors, or OWNER/NAME of a model that was pulled." };
        Option<int> prompt = Count("--prompt", "Prompt tokens per sequence.", 512);
        Option<int> generate = Count("--gen", "Tokens to generate per sequence.", 128);
        Option<int> parallel = Count("--parallel", "Sequences at the same time.", 1, new EngineOptions().WaitingMax);
        Option<int> repeats = Count("--repeats", "Runs; the median counts.", 3);
        Option<int?> threads = Shared.Threads();
        Option<KvFormat> kv = Shared.Kv();
        Command bench = new("bench", "Measure prompt and generation speed, memory and load time of a model file.") { file, prompt, generate, parallel, repeats, threads, kv };
        bench.SetAction((parsed, cancel) => Shared.RunAsync(async () =>
        {
            Benchmark benchmark = new(ModelPull.Find(shared.Data(parsed), parsed.GetRequiredValue(file)), parsed.GetValue(prompt), parsed.GetValue(generate), parsed.GetValue(parallel), parsed.GetValue(threads), parsed.GetValue(repeats), parsed.GetValue(kv));
            JsonObject result = await benchmark.RunAsync(new LineProgress(), cancel);
            shared.Terminal(parsed).Table(result, new JsonArray(result.DeepClone()),
                new Column("model", "model"), new Column("prefill tok/s", "prefill_tokens_per_s", Align.Right, Rounded), new Column("decode tok/s", "decode_tokens_per_s", Align.Right, Rounded),
                new Column("loaded MB", "loaded_rss_bytes", Align.Right, Megabytes), new Column("peak MB", "peak_rss_bytes", Align.Right, Megabytes), new Column("load s", "load_s", Align.Right, Rounded), new Column("kernels", "kernels"));
        }));
        return bench;
    }

    private static Option<int> Count(string name, string description, int standard, int most = int.MaxValue) => Shared.Within(new Option<int>(name) { Description = description, DefaultValueFactory = _ => standard }, most);

    private static string Rounded(string text) => double.Parse(text, CultureInfo.InvariantCulture).ToString("0.00", CultureInfo.InvariantCulture);
    private static string Megabytes(string text) => (long.Parse(text, CultureInfo.InvariantCulture) >> 20).ToString(CultureInfo.InvariantCulture);
}
