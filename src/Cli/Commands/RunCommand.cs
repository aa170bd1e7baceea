using System.CommandLine;
using Qanat.Engine;
using Qanat.Kernels;
using Qanat.Local;
using Qanat.Models;

namespace Qanat.Cli;

/// <summary>qanat run: a chat in the terminal with a model file, without a server.</summary>
internal static class RunCommand
{
    public static Command Build(Shared shared)
    {
        Argument<string> file = new("model") { Description = "A model file (GGUF), a folder with *.safetensors, or OWNER/NAME of a model that was pulled." };
        Argument<string?> prompt = new("prompt") { Description = "A question to answer before leaving; without it, a chat.", Arity = ArgumentArity.ZeroOrOne };
        Option<string?> system = new("--system") { Description = "What the model is told before the chat." };
        Option<int?> threads = Shared.Threads();
        Option<KvFormat> kv = Shared.Kv();
        Option<int?> kvMegabytes = Shared.Within(new Option<int?>("--kv-mb") { Description = "Memory for keys and values, in MB: it bounds how long a chat may get. Default: half of what the weights leave free, 512 to 4,096." }, QanatConfiguration.MegabytesMax);
        Option<int?> stateMegabytes = Shared.StateMegabytes();
        Option<float?> temperature = new("--temperature") { Description = "0 always takes the likeliest token. Default: what the model comes with, else 0.7." };
        Option<long?> seed = new("--seed") { Description = "The same seed gives the same answers." };
        Option<int?> maxTokens = new("--max-tokens") { Description = "Tokens of an answer at most. Default: as many as there is room for." };
        Option<bool> noThinking = new("--no-thinking") { Description = "Answer at once, where the model can." };
        Command command = new("run", "Chat with a model file in the terminal, without a server.") { file, prompt, system, threads, kv, kvMegabytes, stateMegabytes, temperature, seed, maxTokens, noThinking };
        command.SetAction((parsed, cancel) => Shared.RunAsync(async () =>
        {
            string path = ModelPull.Find(shared.Data(parsed), parsed.GetRequiredValue(file));
            ModelMemory memory = ModelMemory.For(path);
            EngineOptions engine = new() { KvBytesMax = Shared.Bytes(parsed.GetValue(kvMegabytes)) ?? memory.Kv, StateBytesMax = Shared.Bytes(parsed.GetValue(stateMegabytes)) ?? memory.States };
            await using LocalModel model = await LoadAsync(path, new LocalModelOptions { Threads = parsed.GetValue(threads), Kv = parsed.GetValue(kv), Engine = engine }, cancel);
            TerminalChat chat = new(model, System.Console.In, System.Console.Out, colours: !System.Console.IsOutputRedirected, TimeProvider.System)
            {
                System = parsed.GetValue(system),
                Temperature = parsed.GetValue(temperature) ?? (model.Sampling.Temperature is null ? 0.7f : null),
                Seed = parsed.GetValue(seed),
                AnswerTokensMax = parsed.GetValue(maxTokens) is { } most ? Math.Max(1, most) : null,
                Thinks = parsed.GetValue(noThinking) ? false : null,
            };
            // The first Ctrl-C ends an answer that runs; with none, the program.
            ConsoleCancelEventHandler stop = (_, pressed) => pressed.Cancel = chat.TryStop();
            System.Console.CancelKeyPress += stop;
            try
            {
                if (parsed.GetValue(prompt) is not { } question) await chat.RunAsync(isInteractive: !System.Console.IsInputRedirected, cancel);
                else if (!await chat.AskAsync(question, cancel)) throw new OperationCanceledException("The answer was stopped.");
            }
            catch (ArgumentException refused)
            {
                throw new CommandException(TerminalChat.Sentence(refused), refused);
            }
            finally
            {
                System.Console.CancelKeyPress -= stop;
            }
        }));
        return command;
    }

    private static async Task<LocalModel> LoadAsync(string path, LocalModelOptions options, CancellationToken cancel)
    {
        try
        {
            return await Task.Run(() => LocalModel.Load(path, options, new LineProgress(), cancel), cancel);
        }
        catch (ModelFileException error)
        {
            throw new CommandException(error.Message, error);
        }
    }
}
