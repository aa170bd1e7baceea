using System.Globalization;
using Qanat.Models;
using Qanat.TinyModel;

namespace Qanat.Conformance.Tests;

/// <summary>The same GGUF file computed by llama.cpp and by us: the same greedy tokens, nearly the same logits, the same token ids.</summary>
public sealed class LlamaCppParityTests(ITestOutputHelper log)
{
    /// <summary>Of each answer; QANAT_PARITY_TOKENS asks for longer ones.</summary>
    private static readonly int NewTokens = int.TryParse(Environment.GetEnvironmentVariable("QANAT_PARITY_TOKENS"), NumberStyles.None, CultureInfo.InvariantCulture, out int tokens) && tokens is > 0 and <= 768 ? tokens : 32;

    /// <summary>Nats: the gate for every type.</summary>
    private const double DivergenceMax = 0.001;

    /// <summary>Without rounded weights; keys and values are halves all the same.</summary>
    private const double DivergenceMaxOfSingles = 1e-4;

    /// <summary>Of llama.cpp's two best logits, where ours come in the other order.</summary>
    private const double GapMax = 0.05;

    // English, Chinese, code, emoji and more, of different lengths.
    private static readonly string[] _texts =
    [
        "Hello",
        "The quick brown fox jumps over the lazy dog.",
        "What does a token cost, and who pays for the idle hours of the machine?",
        "In the town of Yazd the water clock was a bowl with a small hole, floating in a larger bowl; when it sank, one share had passed.",
        "Once upon a time",
        "坎儿井是一种地下水渠。",
        "每一个词元的成本是多少？谁来支付空闲的机器时间？",
        "通义千问是阿里云推出的大语言模型，支持多种语言。",
        "春眠不觉晓，处处闻啼鸟。夜来风雨声，花落知多少。",
        "你好",
        "def fibonacci(n):\n    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)\n",
        "public static int Sum(ReadOnlySpan<int> values)\n{\n    int sum = 0;\n    foreach (int value in values)\n        sum += value;\n    return sum;\n}\n",
        "SELECT tenant, SUM(cost) FROM journal GROUP BY tenant HAVING SUM(cost) > 100;",
        "{\"model\": \"qanat-tiny\", \"messages\": [{\"role\": \"user\", \"content\": \"Hi\"}]}",
        "<html><body><p class='a'>x &lt; y</p></body></html>",
        "🙂🚀💧 water 🏜️ desert 👩‍🔧",
        "¿Cuánto cuesta? Ça coûte 3,50 €. Größe: 10 m². Цена: 100 ₽.",
        "قنات یک کانال زیرزمینی است که آب را به روستاها می‌رساند.",
        "日本語のテキストと한국어 텍스트를 섞어서.",
        "1234567890 3.14159 1e-6 0xdeadbeef\t\ttabs   and   spaces\n\n\nlines",
    ];

    /// <summary>Activations are rounded before each product (to bytes, halves or bfloat16), so the last bit of a sum can become a whole step, and layers magnify that: two right
    /// computations differ by the noise of the rounding itself. How much that is, llama.cpp tells by differing from itself when its flash attention is switched on.
    /// We must be no further from it than that, and agree on every token.</summary>
    [Theory]
    [InlineData(GgmlType.F32)]
    [InlineData(GgmlType.F16)]
    [InlineData(GgmlType.BF16)]
    [InlineData(GgmlType.Q8_0)]
    public void Greedy_tokens_and_logits_equal_those_of_llama_cpp(GgmlType type) =>
        Compare(type.ToString(), (TinyModelRecipe.Tiny with { Type = type }).WriteTo(Path.Combine(Path.GetTempPath(), "qanat-models")), _texts);

    /// <summary>The same for files that our quantiser wrote, with an output head of six bits and, in the mixed files, two types in one model.</summary>
    [Theory]
    [InlineData(QuantMix.Q4_0)]
    [InlineData(QuantMix.Q4_1)]
    [InlineData(QuantMix.Q5_0)]
    [InlineData(QuantMix.Q5_1)]
    [InlineData(QuantMix.Q4_K_M)]
    [InlineData(QuantMix.Q5_K_M)]
    [InlineData(QuantMix.Q6_K)]
    public void Greedy_tokens_and_logits_of_quantised_files_equal_those_of_llama_cpp(QuantMix mix)
    {
        string path = Path.Combine(Directory.CreateTempSubdirectory("qanat-quantised-").FullName, FormattableString.Invariant($"tiny-{mix}.gguf"));
        try
        {
            using (GgufFile source = GgufFile.Open((TinyModelRecipe.Tiny with { Type = GgmlType.F32 }).WriteTo(Path.Combine(Path.GetTempPath(), "qanat-models"))))
            using (FileStream target = File.Create(path))
                GgufQuantizer.Write(source, mix, target, threads: 2, progress: null, TestContext.Current.CancellationToken);
            Compare(mix.ToString(), path, [.. _texts.Where((_, i) => i % 3 == 1)]);
        }
        finally
        {
            Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);
        }
    }

    public static TheoryData<string> Folders => [.. TinyModelRecipe.TinyOfEach.Select(recipe => recipe.Architecture)];

    /// <summary>A folder as Hugging Face lays it out, written as one GGUF file: llama.cpp finds all it asks for, and answers as we do. Keys of attention are wider than the hidden size over the heads.</summary>
    [Theory]
    [MemberData(nameof(Folders))]
    public void A_folder_that_was_quantised_is_read_by_llama_cpp(string architecture)
    {
        string folder = Directory.CreateTempSubdirectory("qanat-folder-").FullName, path = Path.Combine(folder, "quantised.gguf");
        try
        {
            TinyModelRecipe recipe = TinyModelRecipe.TinyOfEach.Single(recipe => recipe.Architecture == architecture) with { Type = GgmlType.BF16 };
            using (GgufFile file = GgufFile.Open(recipe.WriteTo(Path.Combine(Path.GetTempPath(), "qanat-models"))))
                HfFolderWriter.Write(file, Path.Combine(folder, "model"), shards: 2);
            using (ModelSource source = ModelSource.OpenAny(Path.Combine(folder, "model")))
            using (FileStream target = File.Create(path))
                GgufQuantizer.Write(source, QuantMix.Q8_0, target, threads: 2, progress: null, TestContext.Current.CancellationToken);
            AssertNear($"{architecture} from a folder", path, GapMax, DivergenceMax, 7);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>What a file says of YaRN beside its factor changes what both compute.</summary>
    [Fact]
    public void A_factor_of_attention_stretches_as_in_llama_cpp()
    {
        TinyModelRecipe recipe = TinyModelRecipe.Tiny with { Type = GgmlType.F32, Name = "qanat-tiny-yarn-attention", Yarn = new YarnScaling(4, 1024, 32, 1) { AttentionFactor = 1.25f }, ContextLength = 4096 };
        AssertNear("YaRN with a factor of attention", recipe.WriteTo(Path.Combine(Path.GetTempPath(), "qanat-models")), 0, DivergenceMaxOfSingles, 5);
    }

    public static TheoryData<string, GgmlType> Architectures => new MatrixTheoryData<string, GgmlType>([.. TinyModelRecipe.TinyOfEach.Where(recipe => recipe.Architecture != "qwen3").Select(recipe => recipe.Architecture)], [GgmlType.F32, GgmlType.Q8_0]);

    /// <summary>The other architectures. With experts a rounding can send a row to another expert, which flash attention hardly ever makes happen in llama.cpp itself; and recurrent layers do not
    /// change with it at all. So the gate is the divergence alone, and a token may differ only where llama.cpp's own two best are closer than the noise. Those in singles stretch their positions (YaRN) as well.</summary>
    [Theory]
    [MemberData(nameof(Architectures))]
    public void Every_architecture_answers_as_llama_cpp_does(string architecture, GgmlType type)
    {
        TinyModelRecipe recipe = TinyModelRecipe.TinyOfEach.Single(recipe => recipe.Architecture == architecture) with { Type = type };
        if (type == GgmlType.F32) recipe = recipe with { Name = recipe.Name + "-yarn", Yarn = new YarnScaling(4, 1024, 32, 1), ContextLength = 4096 };
        string path = recipe.WriteTo(Path.Combine(Path.GetTempPath(), "qanat-models"));
        AssertNear($"{architecture} {type}", path, type == GgmlType.F32 ? 0 : GapMax, type == GgmlType.F32 ? DivergenceMaxOfSingles : DivergenceMax, 3);
    }

    /// <param name="every">Of so many texts one is asked about.</param>
    private void AssertNear(string what, string path, double gapMax, double divergenceMax, int every)
    {
        using GgufFile file = GgufFile.Open(path);
        BpeTokenizer tokenizer = BpeTokenizer.FromGguf(file);
        int[][] prompts = [.. _texts.Where((_, i) => i % every == 2).Select(text => tokenizer.Encode(text, SpecialText.AsPlainText))];
        LlamaCppPeer peer = LlamaCppPeer.Ask(path, prompts, NewTokens, []);
        LogitDistance ours = Compute(file, prompts, peer);
        log.WriteLine(FormattableString.Invariant($"{what}: {prompts.Length} prompts x {NewTokens} tokens; we differ from llama.cpp by {ours}"));

        Assert.InRange(ours.Divergence, 0, divergenceMax);
        Assert.InRange(ours.WidestGap, 0, gapMax);
    }

    private void Compare(string type, string path, string[] texts)
    {
        using GgufFile file = GgufFile.Open(path);
        BpeTokenizer tokenizer = BpeTokenizer.FromGguf(file);
        int[][] prompts = [.. texts.Select(text => tokenizer.Encode(text, SpecialText.AsPlainText))];
        LlamaCppPeer peer = LlamaCppPeer.Ask(path, prompts, NewTokens, texts);

        for (int i = 0; i < texts.Length; i++)
            Assert.Equal(peer.TextTokens[i], prompts[i]);

        LlamaCppPeer again = LlamaCppPeer.AskAgain(path, prompts, NewTokens, peer);
        var itself = LogitDistance.Between(peer, again.Logits);
        LogitDistance ours = Compute(file, prompts, peer);
        log.WriteLine(FormattableString.Invariant($"{type}: {prompts.Length} prompts x {NewTokens} tokens; we differ from llama.cpp by {ours}"));
        log.WriteLine(FormattableString.Invariant($"{type}: llama.cpp with flash attention differs from itself by {itself}"));

        Assert.InRange(ours.Relative, 0, 1.25 * itself.Relative);
        Assert.InRange(ours.Divergence, 0, DivergenceMax);
        // Over thousands of tokens two of llama.cpp's logits will once be closer than its own noise.
        if (NewTokens > 32) Assert.InRange(ours.WidestGap, 0, GapMax);
        else Assert.Equal(0, ours.Different);
    }

    /// <summary>Our logits along the peer's own tokens, so that one difference does not make all later ones.</summary>
    private static LogitDistance Compute(GgufFile file, int[][] prompts, LlamaCppPeer peer)
    {
        using Network network = Network.Load(file, new NetworkOptions());
        int vocabulary = network.Shape.Vocabulary;
        Assert.Equal(vocabulary, peer.Vocabulary);
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
                Slices = [new StepSlice(0, tokens.Length, 0, blocks.Length, StepSlice.None, 0)],
                BlockTables = blocks,
                LogitRows = [.. Enumerable.Range(prompts[prompt].Length - 1, NewTokens)],
            }, cache).ToArray();
        }
        return LogitDistance.Between(peer, (prompt, step) => logits[prompt].AsSpan(step * vocabulary, vocabulary));
    }
}
