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

    /// <summary>ADR 20: nats, of what is computed in singles.</summary>
    private const double DivergenceMax = 0.001;

    /// <summary>Of the reference's two logits, where our greedy token is another.</summary>
    private const double GapMax = 0.05;

    /// <summary>How much further from the reference than llama.cpp we may be where activations are rounded.</summary>
    private const double RoundingMax = 1.25;

    /// <summary>Asks ADR 64's three questions of a model file.</summary>
    /// <param name="node">Runs a script of node's in the folder of the bench.</param>
    /// <returns>Distances, and in "held" whether all of the gate holds.</returns>
    public static JsonObject Run(string path, int newTokens, Action<string[]> node)
    {
        using GgufFile file = GgufFile.Open(path);
        BpeTokenizer tokenizer = BpeTokenizer.FromGguf(file);
        int[][] prompts = [.. Texts.Select(text => tokenizer.Encode(text, SpecialText.AsPlainText))];
        string folder = Directory.CreateTempSubdirectory("qanat-parity-").FullName;
        try
        {
            string singles = Path.Combine(folder, "singles.gguf");
            SinglesFile.Write(file, singles);
            Peer theirs = Ask(path, flashAttention: false, forced: null), again = Ask(path, flashAttention: true, theirs.Tokens);
            // The reference has its own favourites, and is asked along the same tokens.
            Peer reference = Ask(singles, flashAttention: false, theirs.Tokens);
            float[][] ours = Compute(file, prompts, theirs, newTokens);
            using GgufFile exact = GgufFile.Open(singles);

            Distance oursInSingles = Distance.Between(reference, Compute(exact, prompts, theirs, newTokens));
            Distance oursRounded = Distance.Between(reference, ours), theirsRounded = Distance.Between(reference, theirs.Logits);
            Distance fromThem = Distance.Between(theirs, ours), themselves = Distance.Between(theirs, again.Logits);
            bool arithmetic = oursInSingles.Divergence <= DivergenceMax && oursInSingles.WidestGap <= GapMax;
            // In singles nothing is rounded, and the first question is the whole.
            bool alreadyExact = file.Tensors.All(tensor => tensor.Type == GgmlType.F32);
            bool rounding = alreadyExact || oursRounded.Divergence <= RoundingMax * theirsRounded.Divergence;
            // Recurrent layers and the choice of experts hardly change with flash attention: there it does not tell how much rounding alone does.
            bool? near = alreadyExact || file.Text("general.architecture") is not ("qwen2" or "qwen3") ? null : fromThem.Divergence <= themselves.Divergence;
            return new JsonObject
            {
                ["model"] = Path.GetFileName(path),
                ["prompts"] = prompts.Length,
                ["tokens_each"] = newTokens,
                ["in singles, qanat from llama.cpp"] = oursInSingles.ToJson(arithmetic),
                ["rounded, qanat from the model in singles"] = oursRounded.ToJson(rounding),
                ["rounded, llama.cpp from the model in singles"] = theirsRounded.ToJson(),
                ["rounded, qanat from llama.cpp"] = fromThem.ToJson(near),
                ["rounded, llama.cpp with flash attention from llama.cpp"] = themselves.ToJson(),
                ["held"] = arithmetic && rounding && near is not false,
            };
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }

        Peer Ask(string model, bool flashAttention, int[][]? forced) => Peer.Ask(folder, model, prompts, newTokens, flashAttention, forced, node);
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

        /// <param name="held">What the gate says of it; null where it only stands beside.</param>
        public JsonObject ToJson(bool? held = null)
        {
            JsonObject distance = new() { ["tokens_that_differ"] = Different, ["of"] = Positions, ["widest_gap"] = Rounded(WidestGap), ["divergence_nats"] = Rounded(Divergence) };
            if (held is { } holds) distance["held"] = holds;
            return distance;

            static double Rounded(double value) => double.Parse(value.ToString("G3", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
        }
    }
}
