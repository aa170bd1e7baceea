using System.Text;
using System.Text.Json.Nodes;
using Qanat.TinyModel;
using static Qanat.Models.Tests.Sequences;

namespace Qanat.Models.Tests;

public sealed class HfCheckpointTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("qanat-hf-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private string Write(string architecture, GgmlType type = GgmlType.F32, int shards = 1, bool tied = false)
    {
        using var model = new RandomDecoder(RandomDecoder.Of(architecture), type, seed: 21, tied);
        HfFolderWriter.Write(model.File, _folder, shards);
        return _folder;
    }

    private static float[][] Logits(ModelSource source)
    {
        using Network network = Network.Load(source, new NetworkOptions { Threads = 1 });
        using var sequences = new Sequences(network, blockCount: 4, blockTokens: 16, seed: 1);
        return sequences.Step((new Sequence(RandomTokens(40, 5)), 40));
    }

    public static TheoryData<string, GgmlType> Folders => new MatrixTheoryData<string, GgmlType>([.. RandomDecoder.Architectures.Select(size => size.Architecture)], [GgmlType.F32, GgmlType.BF16]);

    [Theory]
    [MemberData(nameof(Folders))]
    public void A_folder_computes_what_the_file_of_the_same_model_computes(string architecture, GgmlType type)
    {
        int shards = type == GgmlType.F32 ? 1 : 3;
        float[][] expected;
        using (var model = new RandomDecoder(RandomDecoder.Of(architecture), type, seed: 21, tied: shards == 1))
        {
            HfFolderWriter.Write(model.File, _folder, shards);
            expected = Logits(model.File);
        }
        using var folder = HfCheckpoint.Open(_folder);
        Assert.Equal(architecture, folder.Text("general.architecture"));
        float[][] actual = Logits(folder);
        // Rates of forgetting are stored as logarithms in one and not in the other: the last bit can differ.
        double tolerance = !RandomDecoder.Of(architecture).HasStates ? 0 : type == GgmlType.F32 ? 1e-4 : 2e-2;
        for (int row = 0; row < expected.Length; row++)
            for (int i = 0; i < expected[row].Length; i++)
                Assert.InRange(Math.Abs(expected[row][i] - actual[row][i]), 0, tolerance);
    }

    [Fact]
    public void The_tiny_model_loads_from_a_folder_with_its_tokenizer_and_template()
    {
        string path = (TinyModelRecipe.Tiny with { Type = GgmlType.BF16 }).WriteTo(_folder), folder = Path.Combine(_folder, "Tiny Folder");
        using (GgufFile file = GgufFile.Open(path))
            HfFolderWriter.Write(file, folder, shards: 2);
        using LoadedModel fromFile = LoadedModel.Load(path, new LoadOptions { Threads = 1 }, null, TestContext.Current.CancellationToken);
        using LoadedModel fromFolder = LoadedModel.Load(folder, new LoadOptions { Threads = 1 }, null, TestContext.Current.CancellationToken);
        Assert.Equal("tiny-folder", fromFolder.Name);
        Assert.Equal(fromFile.Tokenizer.StopTokens.Order(), fromFolder.Tokenizer.StopTokens.Order());
        const string text = "Water for the village, 坎儿井, def f(): <|im_end|>";
        Assert.Equal(fromFile.Tokenizer.Encode(text, SpecialText.Parse), fromFolder.Tokenizer.Encode(text, SpecialText.Parse));
        Assert.Equal(fromFile.Network.Shape, fromFolder.Network.Shape);
    }

    [Theory]
    [InlineData("model_type", "\"llama\"", "the model type is \"llama\"")]
    [InlineData("num_hidden_layers", "null", "\"num_hidden_layers\" is missing")]
    [InlineData("num_hidden_layers", "3", "layers.2.input_layernorm.weight\" is missing")]
    [InlineData("hidden_size", "-1", "\"hidden_size\" is -1")]
    [InlineData("hidden_size", "65", "must have shape [65, vocabulary]")]
    [InlineData("intermediate_size", "64", "must have shape [64, 64]")]
    [InlineData("quantization_config", "{\"quant_method\": \"fp8\"}", "quantised in a way of their own")]
    [InlineData("rope_scaling", "{\"rope_type\": \"linear\", \"factor\": 2}", "\"linear\" is not supported")]
    [InlineData("rope_scaling", "{\"rope_type\": \"yarn\", \"factor\": 0.5}", "factor 0.5")]
    [InlineData("rope_scaling", "{\"rope_type\": \"yarn\", \"factor\": 4, \"attention_factor\": -1}", "must be above 0")]
    [InlineData("rope_scaling", "{\"rope_type\": \"yarn\", \"factor\": 4, \"truncate\": false}", "\"truncate\": false")]
    public void A_config_that_cannot_be_computed_is_named(string key, string value, string problem)
    {
        string path = Path.Combine(Write("qwen3"), "config.json");
        JsonObject config = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        config[key] = JsonNode.Parse(value);
        File.WriteAllText(path, config.ToJsonString());
        Assert.Contains(problem, Assert.Throws<ModelFileException>(() => HfCheckpoint.Open(_folder).Dispose()).Message, StringComparison.Ordinal);
    }

    /// <summary>Other engines ask for these keys, and for these kinds.</summary>
    [Theory]
    [InlineData("qwen3")]
    [InlineData("qwen35")]
    public void What_a_folder_becomes_says_what_other_engines_ask_for(string architecture)
    {
        Write(architecture);
        File.WriteAllText(Path.Combine(_folder, "README.md"), "---\nlibrary_name: transformers\nlicense: apache-2.0\n---\nlicense: none\n");
        using var folder = HfCheckpoint.Open(_folder);
        Assert.Equal("apache-2.0", folder.Text("general.license"));
        foreach (string key in new[] { "block_count", "context_length", "embedding_length", "feed_forward_length", "attention.head_count", "attention.head_count_kv", "attention.key_length", "attention.value_length" })
            Assert.Equal(GgufKind.UInt32, folder.Metadata[$"{architecture}.{key}"].Kind);
        Assert.Equal(folder.Integer($"{architecture}.attention.key_length", 1, 1024), folder.Integer($"{architecture}.attention.value_length", 1, 1024));
        if (architecture == "qwen35")
            Assert.Equal([2, 1, 1, 0], folder.Integers("qwen35.rope.dimension_sections"));
    }

    [Theory]
    [InlineData("no card", null)]
    [InlineData("---\ntags: [a]\n---\nlicense: mit", null)]
    [InlineData("---\nlicense: \"mit\"\n", "mit")]
    public void A_licence_is_what_the_head_of_the_card_says(string card, string? licence)
    {
        Write("qwen3");
        File.WriteAllText(Path.Combine(_folder, "README.md"), card);
        using var folder = HfCheckpoint.Open(_folder);
        Assert.Equal(licence, folder.TextOrNull("general.license"));
    }

    /// <summary>attention_factor is all that cosines and sines grow by; mscale and mscale_all_dim make a quotient; else it is YaRN's own.</summary>
    [Theory]
    [InlineData("", 1.1386294361119891)]
    [InlineData(", \"attention_factor\": 1.0", 1.0)]
    [InlineData(", \"attention_factor\": 1.5", 1.5)]
    [InlineData(", \"mscale\": 2, \"mscale_all_dim\": 1", 1.2772588722239782 / 1.1386294361119891)]
    [InlineData(", \"mscale\": 2", 1.1386294361119891)]
    public void Yarn_grows_by_what_the_folder_says(string more, double magnitude)
    {
        string path = Path.Combine(Write("qwen3"), "config.json");
        JsonObject config = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        config["rope_scaling"] = JsonNode.Parse($"{{\"rope_type\": \"yarn\", \"factor\": 4, \"original_max_position_embeddings\": 1024{more}}}");
        File.WriteAllText(path, config.ToJsonString());
        using var folder = HfCheckpoint.Open(_folder);
        Assert.Equal(magnitude, DecoderShape.Read(folder).Yarn!.Magnitude, 6);
    }

    [Fact]
    public void Vision_and_further_prediction_are_left_out_with_a_note()
    {
        string path = Path.Combine(Write("qwen35"), "model.safetensors");
        byte[] bytes = File.ReadAllBytes(path);
        long head = BitConverter.ToInt64(bytes);
        string json = Encoding.UTF8.GetString(bytes, 8, (int)head).Replace("\"__metadata__\"", "\"model.visual.blocks.0.attn.qkv.weight\":{\"dtype\":\"BF16\",\"shape\":[0],\"data_offsets\":[0,0]},\"mtp.fc.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[0],\"data_offsets\":[0,0]},\"__metadata__\"", StringComparison.Ordinal);
        byte[] text = Encoding.UTF8.GetBytes(json);
        File.WriteAllBytes(path, [.. BitConverter.GetBytes((long)text.Length), .. text, .. bytes.AsSpan(8 + (int)head)]);
        using var folder = HfCheckpoint.Open(_folder);
        Assert.Equal(2, folder.Notes.Count);
        Assert.Contains(folder.Notes, note => note.Contains("1 tensors for vision", StringComparison.Ordinal));
        Assert.NotEmpty(Logits(folder));
    }

    [Theory]
    [InlineData("../model.safetensors")]
    [InlineData("/etc/passwd")]
    [InlineData("")]
    public void An_index_names_files_beside_it_and_no_others(string name)
    {
        File.WriteAllText(Path.Combine(Write("qwen3"), "model.safetensors.index.json"), new JsonObject { ["weight_map"] = new JsonObject { ["a"] = name } }.ToJsonString());
        Assert.Contains("is not the name of a file beside it", Assert.Throws<ModelFileException>(() => HfCheckpoint.Open(_folder).Dispose()).Message, StringComparison.Ordinal);
    }

    /// <summary>Whatever bytes are changed, a folder loads or is refused: no crash, no hang, no other exception.</summary>
    [Fact]
    public void Damaged_folders_are_refused_in_words()
    {
        int inputs = int.TryParse(Environment.GetEnvironmentVariable("QANAT_FUZZ"), System.Globalization.CultureInfo.InvariantCulture, out int asked) ? asked : 2000;
        var random = new Random(7);
        foreach (string architecture in new[] { "qwen3", "qwen35moe" })
        {
            foreach (string name in new[] { "config.json", "model.safetensors" })
            {
                string path = Path.Combine(Write(architecture), name);
                byte[] whole = File.ReadAllBytes(path);
                int head = name == "config.json" ? whole.Length : 8 + (int)BitConverter.ToInt64(whole);
                for (int i = 0; i < inputs / 4; i++)
                {
                    File.WriteAllBytes(path, Damage([.. whole], head, random));
                    try
                    {
                        using var folder = HfCheckpoint.Open(_folder);
                        foreach (GgufTensor tensor in folder.Tensors)
                            folder.Read(tensor).Dispose();
                    }
                    catch (ModelFileException)
                    {
                    }
                }
                File.WriteAllBytes(path, whole);
            }
        }
    }

    private static byte[] Damage(byte[] bytes, int head, Random random)
    {
        for (int change = random.Next(1, 4); change > 0; change--)
        {
            int at = random.Next(head);
            switch (random.Next(5))
            {
                case 0:
                    bytes[at] = (byte)random.Next(256);
                    break;
                case 1:
                    // A digit becomes another: sizes and offsets that do not fit.
                    while (!char.IsAsciiDigit((char)bytes[at]))
                        at = (at + 1) % head;
                    bytes[at] = (byte)('0' + random.Next(10));
                    break;
                case 2:
                    bytes[random.Next(Math.Min(8, bytes.Length))] ^= (byte)(1 << random.Next(8));
                    break;
                case 3:
                    return bytes[..random.Next(bytes.Length)];
                default:
                    int to = random.Next(head), count = Math.Min(random.Next(1, 30), head - Math.Max(at, to));
                    bytes.AsSpan(at, count).CopyTo(bytes.AsSpan(to));
                    break;
            }
        }
        return bytes;
    }
}
