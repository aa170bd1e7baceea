using System.Collections.Immutable;
using System.Text;
using Qanat.Engine;
using Qanat.Models;

namespace Qanat.Gateway;

internal enum PartKind { Reasoning, Text, ToolCall, Foreign }

/// <summary>A run of an answer: thoughts, text, or the call of a tool.</summary>
internal sealed class ToldPart(PartKind kind, string id = "", string name = "")
{
    private readonly StringBuilder text = new();

    public PartKind Kind { get; } = kind;

    /// <summary>Of a tool call.</summary>
    public string Id { get; } = id;
    public string Name { get; } = name;

    /// <summary>Of a tool call: as much of its arguments as was told.</summary>
    public string Text => text.ToString();

    /// <summary>The arguments of a tool call that is complete: an object without fields when the model gave none.</summary>
    public string Arguments => text.Length == 0 ? "{}" : text.ToString();

    /// <summary>Of a thought: its seal, after which nothing is added to it; null: nobody sealed it.</summary>
    public string? Signature { get; set; }

    public void Add(string more) => text.Append(more);
}

/// <summary>What one choice of an answer has said so far.</summary>
internal sealed class ToldChoice(int index)
{
    private readonly List<ToldPart> blocks = [];
    private readonly List<ToldPart> parts = [];
    private readonly List<ToldPart> toolCalls = [];
    private List<GeneratedToken>? tokens;
    private List<string>? toldLogprobs;

    public int Index { get; } = index;

    /// <summary>All of it, with what only Anthropic's API has words for.</summary>
    public IReadOnlyList<ToldPart> Blocks => blocks;

    /// <summary>What every API has words for.</summary>
    public IReadOnlyList<ToldPart> Parts => parts;
    public IReadOnlyList<ToldPart> ToolCalls => toolCalls;
    public string Text => Joined(PartKind.Text);
    public string Reasoning => Joined(PartKind.Reasoning);
    public AnswerEnd End { get; set; }

    /// <summary>Where log probabilities are wanted: all tokens, or what an upstream told of them instead.</summary>
    public IReadOnlyList<GeneratedToken> Tokens => tokens ?? (IReadOnlyList<GeneratedToken>)[];
    public IReadOnlyList<string> ToldLogprobs => toldLogprobs ?? (IReadOnlyList<string>)[];

    /// <summary>The stop string that ended it; null: none did.</summary>
    public string? StoppedBy { get; set; }

    public void Add(AnswerPiece piece)
    {
        switch (piece)
        {
            case TextPiece told: Current(PartKind.Text).Add(told.Text); break;
            case ReasoningPiece told: Current(PartKind.Reasoning).Add(told.Text); break;
            case ToolCallStart start:
                toolCalls.Add(Begin(new ToldPart(PartKind.ToolCall, start.Id, start.Name)));
                break;
            case ToolCallArguments told: toolCalls[told.Index].Add(told.Fragment); break;
            case ThoughtSignature told when blocks is [.., { Kind: PartKind.Reasoning } thought]: thought.Signature = told.Text; break;
            case ForeignBlock told:
                blocks.Add(new ToldPart(PartKind.Foreign));
                blocks[^1].Add(told.Json);
                break;
        }
    }

    public void Add(ImmutableArray<GeneratedToken> more, ImmutableArray<string> told)
    {
        (tokens ??= []).AddRange(more);
        (toldLogprobs ??= []).AddRange(told);
    }

    private ToldPart Current(PartKind kind) => blocks is [.., { Signature: null } last] && last.Kind == kind ? last : Begin(new ToldPart(kind));

    private ToldPart Begin(ToldPart part)
    {
        blocks.Add(part);
        parts.Add(part);
        return part;
    }

    private string Joined(PartKind kind) => string.Concat(parts.Where(part => part.Kind == kind).Select(part => part.Text));
}
