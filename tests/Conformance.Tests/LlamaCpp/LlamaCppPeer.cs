using System.Runtime.InteropServices;
using System.Text.Json;

namespace Qanat.Conformance.Tests;

/// <summary>What llama.cpp, through node-llama-cpp, makes of prompts: greedy tokens, and the logits each was chosen from.</summary>
internal sealed class LlamaCppPeer
{
    private readonly float[] _logits;
    private readonly int _newTokens;

    private LlamaCppPeer(Answer answer, float[] logits, int newTokens)
    {
        Tokens = answer.Tokens;
        TextTokens = answer.TextTokens;
        Vocabulary = answer.Vocabulary;
        _logits = logits;
        _newTokens = newTokens;
    }

    /// <summary>Per prompt, the greedy tokens.</summary>
    public int[][] Tokens { get; }

    /// <summary>Per text, its token ids.</summary>
    public int[][] TextTokens { get; }

    public int Vocabulary { get; }

    /// <summary>The logits that the token at <paramref name="step"/> of a prompt's answer was chosen from.</summary>
    public ReadOnlySpan<float> Logits(int prompt, int step) => _logits.AsSpan((prompt * _newTokens + step) * Vocabulary, Vocabulary);

    /// <summary>Runs the peer; skips the test when node or its packages are missing.</summary>
    public static LlamaCppPeer Ask(string model, int[][] prompts, int newTokens, string[] texts) => Ask(new Request(model, prompts, newTokens, texts, FlashAttention: false, Forced: null));

    /// <summary>The same model computed in the peer's other way, with flash attention, along the tokens it chose in the first.</summary>
    public static LlamaCppPeer AskAgain(string model, int[][] prompts, int newTokens, LlamaCppPeer first) => Ask(new Request(model, prompts, newTokens, [], FlashAttention: true, Forced: first.Tokens));

    private static LlamaCppPeer Ask(Request asked)
    {
        string packages = NodePackages.Install(Path.Combine(AppContext.BaseDirectory, "LlamaCpp"));
        string folder = Directory.CreateTempSubdirectory("qanat-llama-").FullName;
        try
        {
            string request = Path.Combine(folder, "request.json"), answer = Path.Combine(folder, "answer.json"), logits = Path.Combine(folder, "logits.bin");
            File.WriteAllText(request, JsonSerializer.Serialize(asked, JsonSerializerOptions.Web));
            NodePackages.Run(packages, "peer.mjs", request, answer, logits);
            return new LlamaCppPeer(JsonSerializer.Deserialize<Answer>(File.ReadAllText(answer), JsonSerializerOptions.Web)!, MemoryMarshal.Cast<byte, float>(File.ReadAllBytes(logits)).ToArray(), asked.NewTokens);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private sealed record Request(string Model, int[][] Prompts, int NewTokens, string[] Texts, bool FlashAttention, int[][]? Forced);

    private sealed record Answer(int[][] Tokens, int[][] TextTokens, int Vocabulary);
}
