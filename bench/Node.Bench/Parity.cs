using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Models;

namespace Qanat.Bench;

/// <summary>One model file computed by llama.cpp and by us: the same greedy tokens, nearly the same logits. What tests/Conformance.Tests shows of small models, of a whole one.</summary>
internal static class Parity
{
    private static readonly string[] Texts =
    [
        "What does a token cost, and who pays for the idle hours of the machine?",
        "每一个词元的成本是多少？谁来支付空闲的机器时间？",
        "def share(water, fields):\n    return {field: water / len(fields) for field in fields}\n",
        "Цена: 100 ₽. 🙂🚀💧 naïve café, 3.14159",
    ];

    /// <param name="node">Runs a script of node's in the folder of the bench.</param>
    public static JsonObject Run(string path, int newTokens, Action<string[]> node)
    {
        using GgufFile file = GgufFile.Open(path);
        BpeTokenizer tokenizer = BpeTokenizer.FromGguf(file);
        int[][] prompts = [.. Texts.Select(text => tokenizer.Encode(text, SpecialText.AsPlainText))];
        string folder = Directory.CreateTempSubdirectory("qanat-parity-").FullName;
        try
        {
            var theirs = Peer.Ask(folder, path, prompts, newTokens, flashAttention: false, forced: null, node);
            Distance itself = Distance.Between(theirs, Peer.Ask(folder, path, prompts, newTokens, flashAttention: true, theirs.Tokens, node).Logits);
            Distance ours = Distance.Between(theirs, Compute(file, prompts, theirs, newTokens));
            return new JsonObject { ["model"] = Path.GetFileName(path), ["prompts"] = prompts.Length, ["tokens_each"] = newTokens, ["qanat"] = ours.ToJson(), ["llama.cpp with flash attention"] = itself.ToJson() };
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Our logits along the peer's own tokens, so that one difference does not make all later ones.</summary>
    private static float[][] Compute(GgufFile file, int[][] prompts, Peer peer, int newTokens)
    {
        using Network network = Network.Load(file, new NetworkOptions());
        var logits = new float[prompts.Length][];
        for (int prompt = 0; prompt < prompts.Length; prompt++)
        {
            int[] tokens = [.. prompts[prompt], .. peer.Tokens[prompt][..^1]];
            using KvCache cache = network.CreateKvCache((tokens.Length + 31) / 32, 32, 1);
            int[] blocks = [.. Enumerable.Range(0, cache.BlockCount)];
            logits[prompt] = network.Forward(new StepBatch
            {
                Tokens = tokens,
                Positions = [.. Enumerable.Range(0, tokens.Length)],
                Slices = [new StepSlice(0, tokens.Length, 0, blocks.Length, StepSlice.None, cache.StateCount > 0 ? 0 : StepSlice.None)],
                BlockTables = blocks,
                LogitRows = [.. Enumerable.Range(prompts[prompt].Length - 1, newTokens)],
            }, cache).ToArray();
        }
        return logits;
    }

    /// <param name="Logits">Of each prompt, those that its new tokens were chosen from.</param>
    private sealed record Peer(int[][] Tokens, int Vocabulary, float[][] Logits)
    {
        public static Peer Ask(string folder, string model, int[][] prompts, int newTokens, bool flashAttention, int[][]? forced, Action<string[]> node)
        {
            string request = Path.Combine(folder, "request.json"), answer = Path.Combine(folder, "answer.json"), logits = Path.Combine(folder, "logits.bin");
            File.WriteAllText(request, JsonSerializer.Serialize(new { model = Path.GetFullPath(model), prompts, newTokens, texts = Array.Empty<string>(), flashAttention, forced }));
            node(["parity.mjs", request, answer, logits]);
            JsonNode told = JsonNode.Parse(File.ReadAllText(answer))!;
            int vocabulary = told["vocabulary"]!.GetValue<int>();
            var rows = new float[prompts.Length][];
            using FileStream stream = File.OpenRead(logits);
            for (int prompt = 0; prompt < rows.Length; prompt++)
                stream.ReadExactly(System.Runtime.InteropServices.MemoryMarshal.AsBytes((rows[prompt] = new float[newTokens * vocabulary]).AsSpan()));
            return new Peer(told["tokens"]!.Deserialize<int[][]>()!, vocabulary, rows);
        }
    }

    /// <param name="Different">Positions whose greedy token is another.</param>
    /// <param name="WidestGap">At those, the largest difference of the peer's own logits between its choice and the other.</param>
    /// <param name="Divergence">Kullback-Leibler divergence from the peer's distribution, in nats, mean over positions.</param>
    private sealed record Distance(int Different, int Positions, double WidestGap, double Divergence)
    {
        public static Distance Between(Peer peer, float[][] others)
        {
            (int different, int positions, double widest, double divergence) = (0, 0, 0, 0);
            for (int prompt = 0; prompt < others.Length; prompt++)
            {
                for (int step = 0; step < peer.Tokens[prompt].Length; step++, positions++)
                {
                    ReadOnlySpan<float> theirs = peer.Logits[prompt].AsSpan(step * peer.Vocabulary, peer.Vocabulary), other = others[prompt].AsSpan(step * peer.Vocabulary, peer.Vocabulary);
                    divergence += KullbackLeibler(theirs, other);
                    int best = Best(other), chosen = Best(theirs);
                    if (best == chosen) continue;
                    different++;
                    widest = Math.Max(widest, theirs[chosen] - theirs[best]);
                }
            }
            return new Distance(different, positions, widest, divergence / positions);
        }

        private static double KullbackLeibler(ReadOnlySpan<float> theirs, ReadOnlySpan<float> other)
        {
            double theirLog = LogSum(theirs), otherLog = LogSum(other), sum = 0;
            for (int i = 0; i < theirs.Length; i++) sum += Math.Exp(theirs[i] - theirLog) * (theirs[i] - theirLog - (other[i] - otherLog));
            return sum;
        }

        private static double LogSum(ReadOnlySpan<float> logits)
        {
            double top = logits[Best(logits)], sum = 0;
            foreach (float logit in logits) sum += Math.Exp(logit - top);
            return top + Math.Log(sum);
        }

        private static int Best(ReadOnlySpan<float> logits)
        {
            int best = 0;
            for (int i = 1; i < logits.Length; i++)
                if (logits[i] > logits[best]) best = i;
            return best;
        }

        public JsonObject ToJson() => new() { ["tokens_that_differ"] = Different, ["of"] = Positions, ["widest_gap"] = Math.Round(WidestGap, 5), ["divergence_nats"] = double.Parse(Divergence.ToString("G3", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture) };
    }
}
