using System.Buffers;
using System.Globalization;
using System.Text;

namespace Qanat.Engine;

/// <summary>What a request must fulfil before it may wait: everything the step loop relies on.</summary>
internal static class RequestCheck
{
    /// <exception cref="ArgumentException">The request cannot be run; the message says why.</exception>
    public static void Check(SequenceRequest request, int vocabulary, int contextLength)
    {
        if (request.Prompt.IsDefaultOrEmpty) throw new ArgumentException("The prompt is empty.", nameof(request));
        int answer = request.Reading is null ? 1 : 0;
        if (request.Prompt.Length + answer > contextLength)
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"The prompt has {request.Prompt.Length} tokens, but prompt and answer together can have {contextLength}."), nameof(request));
        foreach (int token in request.Prompt) RequireToken(token, vocabulary);
        if (request.Reading is { Tokens.IsDefault: true }) throw new ArgumentException("The tokens of a reading must be a list; an empty one reads the hidden vector.", nameof(request));
        foreach (int token in request.Reading?.Tokens ?? []) RequireToken(token, vocabulary);
        if (request.MaxNewTokens < 1) throw new ArgumentException("MaxNewTokens must be at least 1.", nameof(request));
        if (request.StopStrings.IsDefault) throw new ArgumentException("StopStrings must be a list, which may be empty.", nameof(request));
        foreach (string stop in request.StopStrings)
            if (stop.Length == 0 || !IsWellFormed(stop)) throw new ArgumentException("A stop string must be text of at least one character.", nameof(request));
        Check(request.Sampling, vocabulary);
    }

    private static void Check(SamplingOptions sampling, int vocabulary)
    {
        Require(float.IsFinite(sampling.Temperature) && sampling.Temperature >= 0, "Temperature must be 0 or more.");
        Require(sampling.TopK >= 0, "TopK must be 0 (off) or more.");
        Require(sampling.TopP is > 0 and <= 1, "TopP must be above 0 and at most 1.");
        Require(sampling.MinP is >= 0 and <= 1, "MinP must be between 0 and 1.");
        Require(float.IsFinite(sampling.RepetitionPenalty) && sampling.RepetitionPenalty > 0, "RepetitionPenalty must be above 0.");
        Require(float.IsFinite(sampling.PresencePenalty) && float.IsFinite(sampling.FrequencyPenalty), "Penalties must be numbers.");
        foreach ((int token, float bias) in sampling.LogitBias)
        {
            RequireToken(token, vocabulary);
            Require(float.IsFinite(bias), "A logit bias must be a number.");
        }
    }

    private static void RequireToken(int token, int vocabulary)
    {
        if (token < 0 || token >= vocabulary) throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"Token {token} is not in the model's vocabulary of {vocabulary}."), nameof(token));
    }

    private static void Require(bool holds, string message)
    {
        if (!holds) throw new ArgumentException(message);
    }

    private static bool IsWellFormed(string text)
    {
        for (int at = 0, used; at < text.Length; at += used)
            if (Rune.DecodeFromUtf16(text.AsSpan(at), out _, out used) != OperationStatus.Done) return false;
        return true;
    }
}
