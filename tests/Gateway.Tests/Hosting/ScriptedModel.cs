using System.Text;
using Qanat.Books;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway.Tests;

/// <summary>A model whose tokens are bytes, so that tests can say prompts and answers in text.</summary>
internal static class ScriptedModel
{
    public const string Name = "scripted-1";
    public const int EndOfTurn = 256;
    public const int ContextLength = 4096;

    private static readonly byte[][] ByteTokens = [.. Enumerable.Range(0, 256).Select(value => new[] { (byte)value })];

    public static ServedModel Served(string? notice = null, int contextLength = ContextLength, SamplingDefaults? sampling = null) => new()
    {
        Name = new ModelName(Name),
        Notice = notice,
        ServedSince = new Instant(1_700_000_000_000_000_000),
        ContextLength = contextLength,
        VocabularySize = 257,
        TokenBytesMax = 1,
        Sampling = sampling ?? SamplingDefaults.None,
        Engine = () => new EngineStatus(0, 0, 100, 0, 0, 0, 0, 0, 0, "scripted"),
        RenderChat = chat => [.. Tokens(string.Concat(chat.Messages.Select(Line)) + "assistant" + (chat.Thinking == Thinking.ModelDefault ? "" : "/" + chat.Thinking) + ":"), EndOfTurn],
        Reading = new ReadModel(4, text => [.. Tokens(text)], (task, text) => [.. Tokens($"{task}:{text}")], 1, 0, (task, query, document) => [.. Tokens(document)]),
        Encode = text => [.. Tokens(text)],
        Bytes = token => token < 256 ? ByteTokens[token] : [],
        SpecialTextOf = token => token == EndOfTurn ? "<|end|>" : null,
    };

    /// <summary>The same, served by an upstream: nobody here knows its tokens.</summary>
    public static ServedModel Outside() => new()
    {
        Name = new ModelName(Name),
        Notice = null,
        ServedSince = new Instant(1_700_000_000_000_000_000),
        ContextLength = ContextLength,
        VocabularySize = int.MaxValue,
        TokenBytesMax = 256,
        IsOutside = true,
        Engine = () => new EngineStatus(0, 0, 0, 0, 0, 0, 0, 0, 0, "upstream"),
        RenderChat = _ => [],
        Encode = _ => [],
        Bytes = _ => default,
        SpecialTextOf = _ => null,
    };

    public static IEnumerable<int> Tokens(string text) => Encoding.UTF8.GetBytes(text).Select(value => (int)value);

    /// <summary>The text of a prompt, with special tokens by name.</summary>
    public static string TextOf(IEnumerable<int> tokens) => string.Concat(tokens.Select(token => token == EndOfTurn ? "<|end|>" : ((char)token).ToString()));

    private static string Line(ChatMessage message) =>
        $"{message.Role}: {(message.ReasoningContent is { } reasoning ? $"({reasoning}) " : "")}{message.Content}{string.Concat(message.ToolCalls.Select(call => $"[{call.Id} {call.Name} {call.ArgumentsJson}]"))}{(message.ToolCallId is { } id ? $"[{id}]" : "")}\n";
}
