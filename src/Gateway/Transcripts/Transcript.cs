using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Qanat.Books;
using Qanat.Models;

namespace Qanat.Gateway;

/// <summary>A prompt and what was answered to it, kept because the tenant asked for that.</summary>
/// <param name="Id">Of the request, as in the books.</param>
/// <param name="Shortened">It was longer than may be kept: the rest of the prompt, or of the answers, is missing.</param>
public sealed record Transcript(string Id, string At, string Model, string Operation, ImmutableArray<TranscriptMessage> Messages, ImmutableArray<TranscriptAnswer> Answers, bool Shortened)
{
    /// <summary>The prompt of a completion; null: it was a chat.</summary>
    public string? Prompt { get; init; }

    private static readonly TranscriptJson Json = new(new JsonSerializerOptions
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    });

    /// <summary>As <see cref="ToText"/> writes it.</summary>
    internal static Schema Schema => Schema.Of(Json.Transcript).Called("Transcript");

    public string ToText() => JsonSerializer.Serialize(this, Json.Transcript);
    public static Transcript Parse(string text) => JsonSerializer.Deserialize(text, Json.Transcript)!;
}

public sealed record TranscriptMessage(string Role, string Content, string? Reasoning, ImmutableArray<TranscriptToolCall> ToolCalls);

/// <param name="End">Why it ended; null: nobody saw its end, because the client left.</param>
public sealed record TranscriptAnswer(int Choice, string Text, string? Reasoning, ImmutableArray<TranscriptToolCall> ToolCalls, string? End);

public sealed record TranscriptToolCall(string Name, string Arguments);

[JsonSerializable(typeof(Transcript))]
internal sealed partial class TranscriptJson : JsonSerializerContext;

/// <summary>Writes a transcript down while it takes place. Prompt and answers may each be so long; what is beyond is left out.</summary>
internal sealed class TranscriptDraft(Call call)
{
    /// <summary>Of the prompt, and of all answers together: with six bytes for each, the most that JSON makes of one, both fit a document.</summary>
    public const int CharsMax = 300_000;

    private readonly SortedDictionary<int, Answer> answers = [];
    private int answerCharsLeft = CharsMax;
    private bool shortened;
    private Admitted? admitted;

    public RequestId? Id => admitted?.Id;

    public void Take(CallEvent happened)
    {
        switch (happened)
        {
            case Admitted begun:
                admitted = begun;
                break;
            case Delta delta:
                foreach (AnswerPiece piece in delta.Pieces) Of(delta.Choice).Add(piece, Cut);
                break;
            case ChoiceFinished finished:
                Of(finished.Choice).End = AdminJson.Text(finished.Reason);
                break;
        }
    }

    /// <param name="prompt">What was asked when it was no chat.</param>
    public Transcript Finish(string? prompt)
    {
        int promptCharsLeft = CharsMax;
        string Keep(string text) => Take(text, ref promptCharsLeft);
        ImmutableArray<TranscriptMessage> messages =
        [
            .. (call.Conversation?.Messages ?? []).Select(message => new TranscriptMessage(AdminJson.Text(message.Role), Keep(message.Content), message.ReasoningContent is { } thought ? Keep(thought) : null,
                [.. message.ToolCalls.Select(made => new TranscriptToolCall(Keep(made.Name), Keep(made.ArgumentsJson)))])),
        ];
        string? asked = prompt is null ? null : Keep(prompt);
        ImmutableArray<TranscriptAnswer> told = [.. answers.Select(pair => pair.Value.ToTranscript(pair.Key))];
        return new Transcript(admitted!.Id.ToString(), admitted.At.ToDateTimeOffset().ToString("O", CultureInfo.InvariantCulture), call.Model.Value, AdminJson.Text(call.Operation), messages, told, shortened) { Prompt = asked };
    }

    private Answer Of(int choice) => answers.TryGetValue(choice, out Answer? known) ? known : answers[choice] = new Answer();

    private string Cut(string text) => Take(text, ref answerCharsLeft);

    private string Take(string text, ref int left)
    {
        if (text.Length <= left)
        {
            left -= text.Length;
            return text;
        }
        shortened = true;
        string kept = text[..left];
        left = 0;
        return kept;
    }

    private sealed class Answer
    {
        private readonly StringBuilder text = new(), reasoning = new();
        private readonly SortedDictionary<int, (string Name, StringBuilder Arguments)> calls = [];

        public string? End { get; set; }

        public void Add(AnswerPiece piece, Func<string, string> cut)
        {
            switch (piece)
            {
                case TextPiece part:
                    text.Append(cut(part.Text));
                    break;
                case ReasoningPiece thought:
                    reasoning.Append(cut(thought.Text));
                    break;
                case ToolCallStart start:
                    calls[start.Index] = (cut(start.Name), new StringBuilder());
                    break;
                case ToolCallArguments more when calls.TryGetValue(more.Index, out (string Name, StringBuilder Arguments) made):
                    made.Arguments.Append(cut(more.Fragment));
                    break;
            }
        }

        public TranscriptAnswer ToTranscript(int choice) => new(choice, text.ToString(), reasoning.Length > 0 ? reasoning.ToString() : null,
            [.. calls.Values.Select(made => new TranscriptToolCall(made.Name, made.Arguments.ToString()))], End);
    }
}
