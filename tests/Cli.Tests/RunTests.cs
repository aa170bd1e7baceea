using Qanat.Engine;
using Qanat.Local;
using Qanat.Models;
using Qanat.TinyModel;

namespace Qanat.Cli.Tests;

/// <summary>qanat run: lines go in, a chat comes out.</summary>
public sealed class RunTests : IAsyncLifetime
{
    private readonly string folder = Directory.CreateTempSubdirectory("qanat-run-").FullName;
    private LocalModel model = null!;

    public ValueTask InitializeAsync()
    {
        model = LocalModel.Load(TinyModelRecipe.Tiny.WriteTo(folder), new LocalModelOptions { Threads = 1, Engine = new EngineOptions { KvBytesMax = 4 << 20 } });
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await model.DisposeAsync();
        Directory.Delete(folder, recursive: true);
    }

    private async Task<string> RunAsync(bool isInteractive, bool colours, params string[] lines)
    {
        using var output = new StringWriter();
        TerminalChat chat = new(model, new StringReader(string.Join('\n', lines)), output, colours, TimeProvider.System) { Seed = 3, Temperature = 0.7f, AnswerTokensMax = 24 };
        await chat.RunAsync(isInteractive, TestContext.Current.CancellationToken);
        return output.ToString();
    }

    /// <summary>The account under an answer without what differs from run to run.</summary>
    private static string[] Accounts(string output) => [.. output.Split('\n').Where(line => line.StartsWith('[')).Select(line => line.Split(" tokens")[0])];

    [Fact]
    public async Task Questions_are_answered_in_turn_and_each_answer_is_accounted_for()
    {
        string output = await RunAsync(isInteractive: false, colours: false, "Hello", "", "And now?", "/exit", "never asked");
        string[] accounts = Accounts(output);
        Assert.Equal(2, accounts.Length);
        // The second prompt holds the first turn and its answer.
        Assert.True(PromptOf(accounts[1]) > PromptOf(accounts[0]) + 5, output);
        Assert.DoesNotContain(">>>", output, StringComparison.Ordinal);
        Assert.DoesNotContain("\e[", output, StringComparison.Ordinal);
        static int PromptOf(string account) => int.Parse(account[1..].Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture);
    }

    [Fact]
    public async Task The_same_seed_says_the_same_and_a_forgotten_chat_begins_anew()
    {
        string output = await RunAsync(isInteractive: false, colours: false, "Hello", "/clear", "Hello");
        string[] answers = output.Split("The chat is forgotten.");
        Assert.Equal(Accounts(answers[0]), Accounts(answers[1]));
        Assert.Equal(answers[0].Split("\n[")[0].Trim(), answers[1].Split("\n[")[0].Trim());
    }

    [Fact]
    public async Task An_answer_that_fails_is_told_in_a_sentence_and_the_chat_goes_on()
    {
        string path = Path.Combine(folder, "broken.gguf");
        File.Copy(TinyModelRecipe.Tiny.WriteTo(folder), path);
        long at;
        using (GgufFile file = GgufFile.Open(path)) at = file.Tensor("output_norm.weight").Offset;
        using (FileStream written = File.OpenWrite(path))
        {
            written.Position = at;
            written.Write(BitConverter.GetBytes(float.NaN));
        }
        await using LocalModel broken = LocalModel.Load(path, new LocalModelOptions { Threads = 1, Engine = new EngineOptions { KvBytesMax = 4 << 20 } }, cancel: TestContext.Current.CancellationToken);
        using var output = new StringWriter();
        await new TerminalChat(broken, new StringReader("Hello\nAgain\n/system Be brief."), output, colours: false, TimeProvider.System).RunAsync(isInteractive: false, TestContext.Current.CancellationToken);
        Assert.Equal(3, output.ToString().Split("The answer failed: ").Length);
        Assert.Contains("The model is told so", output.ToString(), StringComparison.Ordinal);
        Assert.Equal(1, await Shared.RunAsync(() => new TerminalChat(broken, TextReader.Null, TextWriter.Null, colours: false, TimeProvider.System).AskAsync("Hello", TestContext.Current.CancellationToken)));
    }

    [Fact]
    public async Task A_model_is_not_quantised_over_itself()
    {
        string path = TinyModelRecipe.Tiny.WriteTo(folder), link = Path.Combine(folder, "link.gguf");
        File.CreateSymbolicLink(link, path);
        byte[] before = await File.ReadAllBytesAsync(path, TestContext.Current.CancellationToken);
        Assert.Equal(1, await CommandTree.Build().Parse(["quantize", path, link, "--force"]).InvokeAsync(cancellationToken: TestContext.Current.CancellationToken));
        Assert.Equal(before, await File.ReadAllBytesAsync(path, TestContext.Current.CancellationToken));
        string smaller = Path.Combine(folder, "smaller.gguf");
        Assert.Equal(0, await CommandTree.Build().Parse(["quantize", link, smaller]).InvokeAsync(cancellationToken: TestContext.Current.CancellationToken));
        Assert.True(File.Exists(smaller));
    }

    [Fact]
    public void What_the_weights_leave_free_is_shared_by_keys_values_and_states()
    {
        Assert.Equal(new ModelMemory(512L << 20, 256L << 20), ModelMemory.Of(100L << 20));
        Assert.Equal(new ModelMemory(1L << 30, 512L << 20), ModelMemory.Of(2L << 30));
        Assert.Equal(new ModelMemory(4L << 30, 1L << 30), ModelMemory.Of(64L << 30));
    }

    [Fact]
    public async Task Commands_change_what_follows_and_say_so()
    {
        string output = await RunAsync(isInteractive: false, colours: false, "/system Be brief.", "/think off", "/temperature 0", "/seed 5", "/seed", "/think maybe", "/temperature hot", "/nonsense", "/help");
        foreach (string said in new[] { "The model is told so from now on.", "Thinking is off.", "The temperature is 0.", "The seed is 5.", "Every answer has a seed of its own.", "'/think maybe' is no command", "'/temperature hot' is no command", "'/nonsense' is no command", "/clear             forget the chat" })
            Assert.Contains(said, output, StringComparison.Ordinal);
        Assert.Empty(Accounts(output));
    }

    [Fact]
    public async Task A_system_text_and_thinking_reach_the_prompt()
    {
        string[] accounts = Accounts(await RunAsync(isInteractive: false, colours: false, "Hello", "/clear", "/system Be brief.", "Hello", "/clear", "/system", "/think off", "Hello"));
        int[] prompts = [.. accounts.Select(account => int.Parse(account[1..].Split(' ')[0], System.Globalization.CultureInfo.InvariantCulture))];
        Assert.Equal(3, prompts.Length);
        Assert.True(prompts[1] > prompts[0] && prompts[2] > prompts[0], string.Join(", ", prompts));
    }

    [Fact]
    public async Task At_a_terminal_it_greets_and_prompts_in_colours()
    {
        string output = await RunAsync(isInteractive: true, colours: true, "/exit");
        Assert.StartsWith($"{model.Name} (", output, StringComparison.Ordinal);
        Assert.Contains("\e[1m>>> \e[0m", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_question_that_is_too_long_is_refused_and_the_chat_goes_on()
    {
        string output = await RunAsync(isInteractive: false, colours: false, string.Join(' ', Enumerable.Repeat("water", 5000)), "Hello");
        Assert.Contains("the model has room for", output, StringComparison.Ordinal);
        Assert.Single(Accounts(output));
    }
}
