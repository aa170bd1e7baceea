using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using Qanat.Books;

namespace Qanat.Gateway;

/// <summary>Reads the body of POST /v1/completions: a prompt may be a text, tokens, or an array of either.</summary>
internal sealed class CompletionRequests(ServedModels models, GatewayOptions options, SamplingFields sampling)
{
    /// <summary>What OpenAI's API generates when max_tokens is not given.</summary>
    private const int MaxTokensDefault = 16;

    public GenerationRequest Read(JsonFields fields, Caller caller)
    {
        ServedModel model = models.Find(fields.RequiredText("model"));
        ImmutableArray<ImmutableArray<int>> prompts = ReadPrompts(fields, model);
        int choices = (int)(fields.Integer("n", 1, options.ChoicesMax) ?? 1);
        if ((long)choices * prompts.Length > options.ChoicesMax)
            throw Refusal.Value(prompts.Length > 1 ? "prompt" : "n", FormattableString.Invariant($"prompts times n may be at most {options.ChoicesMax}."));
        if (fields.Integer("best_of", 1, options.ChoicesMax) is { } bestOf && bestOf != choices)
            throw Refusal.Unsupported("best_of", "only the value of 'n' is allowed.");
        if (!string.IsNullOrEmpty(fields.Text("suffix"))) throw Refusal.Unsupported("suffix", "text cannot be inserted before a suffix.");
        int topLogprobs = (int)(ReadTopLogprobs(fields) ?? -1);
        bool echo = fields.Flag("echo") ?? false;
        if (echo && topLogprobs >= 0) throw Refusal.Unsupported("echo", "log probabilities of the prompt are not computed; ask for one or the other.");
        Call first = new(caller, Operation.Completion, model.Name, prompts[0], choices, fields.IntegerAtLeast("max_tokens", 1) ?? MaxTokensDefault, sampling.Read(fields, model),
            sampling.ReadStop(fields), topLogprobs, fields.Flag("ignore_eos") ?? false, Prompts.UserTag(fields, options))
        {
            LoopTokensMax = SamplingFields.ReadLoop(fields),
        };
        ImmutableArray<string> echoTexts = echo ? [.. prompts.Select(prompt => TextOf(prompt, model))] : [];
        return new GenerationRequest(model, [.. prompts.Select((prompt, index) => first with { Prompt = prompt, PromptText = TextAt(fields, index) })], fields.Flag("stream") ?? false, Prompts.IncludeUsage(fields), echoTexts);
    }

    /// <summary>A count; also true and false, which some clients send here as in chat.</summary>
    private long? ReadTopLogprobs(JsonFields fields)
    {
        if (fields.TryGet("logprobs", out JsonElement value) && value.ValueKind is JsonValueKind.True or JsonValueKind.False) return value.GetBoolean() ? 0 : null;
        return fields.Integer("logprobs", 0, options.TopLogprobsMax);
    }

    private ImmutableArray<ImmutableArray<int>> ReadPrompts(JsonFields fields, ServedModel model)
    {
        const string param = "prompt";
        if (!fields.TryGet(param, out JsonElement value)) throw Refusal.Missing(param);
        if (value.ValueKind == JsonValueKind.String) return [Encode(value, model, param)];
        if (value.ValueKind != JsonValueKind.Array) throw Refusal.Type(param, "a string, an array of strings, or an array of tokens", JsonFields.Kind(value));
        if (value.GetArrayLength() == 0) throw Refusal.Value(param, "it must not be empty.");
        if (value[0].ValueKind == JsonValueKind.Number) return [ReadTokens(value, model, param)];
        if (value.GetArrayLength() > options.ChoicesMax) throw Refusal.Value(param, FormattableString.Invariant($"at most {options.ChoicesMax} prompts are allowed."));
        ImmutableArray<ImmutableArray<int>>.Builder prompts = ImmutableArray.CreateBuilder<ImmutableArray<int>>(value.GetArrayLength());
        foreach (JsonElement item in value.EnumerateArray())
        {
            string itemParam = FormattableString.Invariant($"{param}[{prompts.Count}]");
            prompts.Add(item.ValueKind == JsonValueKind.Array ? ReadTokens(item, model, itemParam) : Encode(item, model, itemParam));
        }
        return prompts.MoveToImmutable();
    }

    /// <summary>A prompt that came as text, for engines that read it themselves; null: it came as tokens.</summary>
    private static string? TextAt(JsonFields fields, int index)
    {
        fields.TryGet("prompt", out JsonElement value);
        if (value.ValueKind == JsonValueKind.Array) value = value[index];
        if (value.ValueKind != JsonValueKind.String) return null;
        return value.GetString() is { Length: > 0 } text ? text : throw Refusal.Value("prompt", "the prompt must not be empty.");
    }

    private static ImmutableArray<int> Encode(JsonElement value, ServedModel model, string param)
    {
        string text = JsonFields.TextOf(value, param);
        return Prompts.Checked(model, param, text.Length, () => model.Encode(text));
    }

    public static ImmutableArray<int> ReadTokens(JsonElement value, ServedModel model, string param)
    {
        if (value.GetArrayLength() >= model.ContextLength) throw Refusal.TooLong(param, model);
        ImmutableArray<int>.Builder tokens = ImmutableArray.CreateBuilder<int>(value.GetArrayLength());
        foreach (JsonElement item in value.EnumerateArray())
        {
            string itemParam = FormattableString.Invariant($"{param}[{tokens.Count}]");
            long? token = JsonFields.IntegerOf(item, itemParam);
            if (token is not { } id || id < 0 || id >= model.VocabularySize) throw Refusal.Value(itemParam, FormattableString.Invariant($"a token is an integer from 0 to {model.VocabularySize - 1}."));
            tokens.Add((int)id);
        }
        return Prompts.CheckLength(tokens.MoveToImmutable(), model, param);
    }

    private static string TextOf(ImmutableArray<int> tokens, ServedModel model)
    {
        ArrayBufferWriter<byte> bytes = new();
        foreach (int token in tokens)
            bytes.Write(TokenText.BytesOf(model, token));
        return Encoding.UTF8.GetString(bytes.WrittenSpan);
    }
}
