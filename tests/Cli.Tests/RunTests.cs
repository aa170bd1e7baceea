using Qanat.Engine;
using Qanat.Local;
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
