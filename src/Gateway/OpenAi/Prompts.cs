using System.Collections.Immutable;

namespace Qanat.Gateway;

/// <summary>What every kind of generation request has in common.</summary>
internal static class Prompts
{
    /// <summary>Tokenizes unless the text cannot fit anyway: a giant text is refused by its length, before it costs time.</summary>
    /// <param name="characters">UTF-16 units of the text; each becomes at least one byte.</param>
    public static ImmutableArray<int> Checked(ServedModel model, string param, long characters, Func<int[]> tokenize)
    {
        if (characters / model.TokenBytesMax > model.ContextLength) throw Refusal.TooLong(param, model);
        // Only its upstream knows the tokens.
        if (model.IsOutside) return [];
        return CheckLength(ImmutableArray.Create(tokenize()), model, param);
    }

    public static ImmutableArray<int> CheckLength(ImmutableArray<int> prompt, ServedModel model, string param)
    {
        if (prompt.IsEmpty) throw Refusal.Value(param, "the prompt must not be empty.");
        if (prompt.Length < model.ContextLength) return prompt;
        throw new ApiException(400, Refusal.InvalidRequest, "context_length_exceeded", FormattableString.Invariant(
            $"The prompt has {prompt.Length} tokens; {model.Name} has room for {model.ContextLength} tokens, prompt and answer together. Shorten it."), param);
    }

    public static bool IncludeUsage(JsonFields fields) => fields.Object("stream_options")?.Flag("include_usage") ?? false;

    /// <summary>For which of the tenant's users the request is: `safety_identifier`, or `user` as it was called before (ADR 51).</summary>
    public static string? UserTag(JsonFields fields, GatewayOptions options)
    {
        string name = fields.Text("safety_identifier") is null ? "user" : "safety_identifier";
        string? tag = fields.Text(name);
        if (tag?.Length > options.UserTagLengthMax) throw Refusal.Value(fields.PathOf(name), FormattableString.Invariant($"at most {options.UserTagLengthMax} characters are allowed."));
        return string.IsNullOrEmpty(tag) ? null : tag;
    }
}
