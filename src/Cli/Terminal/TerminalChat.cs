using System.Globalization;
using Microsoft.Extensions.AI;
using Qanat.Local;
using Qanat.Models;
using ChatMessage = Microsoft.Extensions.AI.ChatMessage;
using ChatRole = Microsoft.Extensions.AI.ChatRole;

namespace Qanat.Cli;

/// <summary>A chat in lines of text: questions in, answers out as they come, thoughts dim, and under each answer what it took.</summary>
internal sealed class TerminalChat(LocalModel model, TextReader input, TextWriter output, bool colours, TimeProvider clock)
{
    private const string Help = """
        /system TEXT       tell the model something before the chat; alone: nothing
        /think on|off      whether it thinks before it answers; alone: as the model likes
        /temperature X     0 always takes the likeliest token
        /seed N            the same seed gives the same answers; alone: another each time
        /clear             forget the chat
        /exit              leave (as Ctrl-D does); Ctrl-C ends an answer
        """;

    private readonly IChatClient chat = model.ChatClient();
    private readonly List<ChatMessage> turns = [];
    private readonly Lock gate = new();
    private CancellationTokenSource? answering;

    public string? System { get; set; }

    /// <summary>Null: as the model's makers advise.</summary>
    public float? Temperature { get; set; }

    public long? Seed { get; set; }

    /// <summary>Tokens of an answer; null: as many as there is room for.</summary>
    public int? AnswerTokensMax { get; init; }

    /// <summary>Null: as the model likes.</summary>
    public bool? Thinks { get; set; }

    /// <summary>Ends the answer that runs; false: none does.</summary>
    public bool TryStop()
    {
        lock (gate)
        {
            answering?.Cancel();
            return answering is not null;
        }
    }

    /// <summary>Reads questions and commands until the input ends or /exit.</summary>
    public async Task RunAsync(bool isInteractive, CancellationToken cancel)
    {
        if (isInteractive) await output.WriteLineAsync($"{model.Name}{(model.Notice is { } notice ? $" ({notice})" : "")}. /help tells the commands.");
        while (!cancel.IsCancellationRequested)
        {
            if (isInteractive) await output.WriteAsync(Style("1", ">>> "));
            await output.FlushAsync(cancel);
            string? line = await input.ReadLineAsync(cancel);
            if (line is null || line.Trim() is "/exit" or "/bye" or "/quit") return;
            if (line.StartsWith('/')) await output.WriteLineAsync(Command(line));
            else if (!string.IsNullOrWhiteSpace(line)) await TryAskAsync(line, cancel);
        }
    }

    private async Task TryAskAsync(string question, CancellationToken cancel)
    {
        try
        {
            await AskAsync(question, cancel);
        }
        catch (ArgumentException refused)
        {
            await output.WriteLineAsync(Sentence(refused));
        }
        catch (AnswerFailedException failed)
        {
            await output.WriteLineAsync();
            await output.WriteLineAsync(failed.Message);
        }
    }

    /// <summary>Answers one question; what was said so far belongs to it.</summary>
    /// <returns>False: the answer was stopped.</returns>
    /// <exception cref="ArgumentException">The question cannot be put to the model; it is as if it had not been asked.</exception>
    /// <exception cref="AnswerFailedException">The same, when the model failed while it answered.</exception>
    public async Task<bool> AskAsync(string question, CancellationToken cancel)
    {
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        lock (gate) answering = stopping;
        turns.Add(new ChatMessage(ChatRole.User, question));
        List<ChatResponseUpdate> updates = [];
        long began = clock.GetTimestamp();
        TimeSpan? first = null;
        bool isStopped = false;
        try
        {
            bool isThinking = false;
            await foreach (ChatResponseUpdate update in chat.GetStreamingResponseAsync(turns, Options(), stopping.Token))
            {
                first ??= clock.GetElapsedTime(began);
                updates.Add(update);
                foreach (AIContent content in update.Contents) isThinking = await WriteAsync(content, isThinking);
                await output.FlushAsync(CancellationToken.None);
            }
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            isStopped = true;
        }
        catch (Exception refused) when (refused is ArgumentException or AnswerFailedException)
        {
            turns.RemoveAt(turns.Count - 1);
            throw;
        }
        finally
        {
            lock (gate) answering = null;
        }
        ChatResponse answer = updates.ToChatResponse();
        turns.AddRange(answer.Messages);
        await output.WriteLineAsync();
        await output.WriteLineAsync(Style("2", Account(answer, isStopped, first, clock.GetElapsedTime(began))));
        return !isStopped;
    }

    /// <summary>A refusal without the name of the parameter that .NET puts behind it.</summary>
    public static string Sentence(ArgumentException refused) => refused.Message.Split(" (Parameter '")[0];

    /// <summary>Carries out a line that begins with a slash; gives what to say to it.</summary>
    private string Command(string line)
    {
        string[] words = line.Split(' ', 2, StringSplitOptions.TrimEntries);
        string? value = words.Length > 1 && words[1].Length > 0 ? words[1] : null;
        switch (words[0])
        {
            case "/help" or "/?":
                return Help;
            case "/clear":
                turns.Clear();
                return "The chat is forgotten.";
            case "/system":
                System = value;
                return value is null ? "The model is told nothing." : "The model is told so from now on.";
            case "/think" when value is null or "on" or "off":
                Thinks = value is null ? null : value == "on";
                return value is null ? "The model thinks as it likes." : $"Thinking is {value}.";
            case "/temperature" when float.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out float given) && given is >= 0 and <= 2:
                Temperature = given;
                return string.Create(CultureInfo.InvariantCulture, $"The temperature is {given}.");
            case "/seed" when value is null || long.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out _):
                Seed = value is null ? null : long.Parse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
                return value is null ? "Every answer has a seed of its own." : $"The seed is {value}.";
            default:
                return $"'{line}' is no command. /help tells them.";
        }
    }

    private ChatOptions Options()
    {
        ChatOptions options = new() { Temperature = Temperature, Seed = Seed, Instructions = System, MaxOutputTokens = AnswerTokensMax };
        if (Thinks is { } thinks) options.AdditionalProperties = new() { ["enable_thinking"] = thinks };
        return options;
    }

    /// <returns>Whether the model was thinking.</returns>
    private async Task<bool> WriteAsync(AIContent content, bool wasThinking)
    {
        if (content is TextReasoningContent thought) await output.WriteAsync(Style("2", thought.Text));
        if (content is not TextContent said) return wasThinking || content is TextReasoningContent;
        if (wasThinking) await output.WriteAsync("\n\n");
        await output.WriteAsync(said.Text);
        return false;
    }

    private static string Account(ChatResponse answer, bool isStopped, TimeSpan? first, TimeSpan took)
    {
        string start = first is { } begun ? string.Create(CultureInfo.InvariantCulture, $"first after {begun.TotalSeconds:0.00} s") : "nothing came";
        if (answer.Usage is not { OutputTokenCount: { } tokens } usage) return $"[{(isStopped ? "stopped" : "ended")}; {start}]";
        double seconds = (took - (first ?? took)).TotalSeconds;
        string speed = tokens > 1 && seconds > 0 ? string.Create(CultureInfo.InvariantCulture, $", {(tokens - 1) / seconds:0.0} tokens/s") : "";
        string thought = usage.ReasoningTokenCount > 0 ? string.Create(CultureInfo.InvariantCulture, $", {usage.ReasoningTokenCount} of them thought") : "";
        string cut = answer.FinishReason == ChatFinishReason.Length ? "; cut off by a limit" : "";
        return string.Create(CultureInfo.InvariantCulture, $"[{usage.InputTokenCount} -> {tokens} tokens{thought}{speed}, {start}{cut}]");
    }

    private string Style(string code, string text) => colours && text.Length > 0 ? $"\e[{code}m{text}\e[0m" : text;
}
