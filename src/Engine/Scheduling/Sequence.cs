using System.Diagnostics;
using Qanat.Models;

namespace Qanat.Engine;

internal enum SequenceState { Waiting, Running, Ended }

/// <summary>
/// One choice of one request on its way through the engine. It has tokens, some of which are computed (their keys and values are in its blocks); a step lets the
/// computed ones catch up with the rest. When all are computed, the last one's logits give the next token. That is all: there is no prefill and no decode phase.
/// </summary>
internal sealed class Sequence
{
    private readonly int _blockTokens;
    private int[] _tokens;
    private readonly List<ulong> _blockHashes = [];

    public Sequence(SequenceRequest request, FairnessGroup group, long arrival, int blockTokens)
    {
        Request = request;
        Group = group;
        Arrival = arrival;
        PromptLength = request.Prompt.Length;
        AllowedNewTokens = request.AllowedNewTokens;
        Text = new TextStream(request.StopStrings);
        LogitBias = [.. request.Sampling.LogitBias];
        Constraint = request.Constraint?.Begin();
        Thought = new Thought(request.Thinking);
        _blockTokens = blockTokens;
        // Room for a good part of the answer, so that most sequences never grow their arrays between steps.
        int expected = PromptLength + Math.Min(request.MaxNewTokens, 1024);
        _tokens = new int[expected];
        request.Prompt.CopyTo(_tokens);
        Count = PromptLength;
        _blockHashes.EnsureCapacity(expected / blockTokens + 1);
        Blocks.EnsureCapacity(expected / blockTokens + 1);
    }

    public SequenceRequest Request { get; }
    public SequenceId Id => Request.Id;
    public FairnessGroup Group { get; }

    /// <summary>The request's bias as an array, for the step loop.</summary>
    public KeyValuePair<int, float>[] LogitBias { get; }

    /// <summary>Smaller is older. Kept through preemptions, so that the oldest sequence always gets on.</summary>
    public long Arrival { get; }

    public SequenceState State { get; set; }

    /// <summary>Its answer as text.</summary>
    public TextStream Text { get; }

    /// <summary>Where its answer stands in what it must be; null: it may be anything.</summary>
    public ConstraintCursor? Constraint { get; }

    public Thought Thought { get; }

    /// <summary>The token that comes next whatever the model would choose: its thought is over its limit, and what the answer must be allows it to be ended. Null: the model chooses.</summary>
    public int? ForcedToken => Thought.Forced is { } token && Constraint?.Allows(token) != false ? token : null;

    public int PromptLength { get; }

    /// <summary>Prompt and generated tokens.</summary>
    public ReadOnlySpan<int> Tokens => _tokens.AsSpan(0, Count);

    public int Count { get; private set; }
    public int Generated => Count - PromptLength;
    public int AllowedNewTokens { get; set; }

    /// <summary>It has generated what it may for now: it keeps its blocks and is not planned.</summary>
    public bool IsPaused => Generated >= AllowedNewTokens;

    /// <summary>Tokens whose keys and values are in the blocks.</summary>
    public int Computed { get; set; }

    /// <summary>Tokens after these whose keys and values the plan in the making copies from another block.</summary>
    public int Copied { get; set; }

    /// <summary>Rows the plan in the making gives it.</summary>
    public int Planned { get; set; }

    /// <summary>Where the next rows begin: behind what is computed, copied or planned.</summary>
    public int Reached => Computed + Copied + Planned;

    /// <summary>Rows between that and what is there.</summary>
    public int Lag => Count - Reached;

    /// <summary>Number of the last plan that could give it nothing more.</summary>
    public long SkippedInPlan { get; set; }

    /// <summary>Its part of the KV cache, in order of position.</summary>
    public List<int> Blocks { get; } = [];

    /// <summary>How many of its blocks are full and can be found by others.</summary>
    public int RegisteredBlocks { get; set; }

    /// <summary>Where the recurrent state after the computed tokens is; None before the first, and for networks without states.</summary>
    public int Memory { get; set; } = StatePool.None;

    /// <summary>Where the state after the planned rows goes; None while none are planned.</summary>
    public int NextMemory { get; set; } = StatePool.None;

    /// <summary>Positions at which its state is kept; null for networks without states.</summary>
    public Checkpoints? Checkpoints { get; init; }

    /// <summary>The block whose checkpoint stands last in what it generated; None: none yet.</summary>
    public int TrailingCheckpoint { get; set; } = Block.None;

    /// <summary>Prompt tokens that were reported as computed or as read from the cache.</summary>
    public int ReportedPromptTokens { get; set; }

    public void Append(int token)
    {
        if (Count == _tokens.Length) Array.Resize(ref _tokens, Count * 2);
        _tokens[Count++] = token;
    }

    public ReadOnlySpan<int> TokensOfBlock(int index) => _tokens.AsSpan(index * _blockTokens, _blockTokens);

    /// <summary>Hash of everything up to the end of a full block.</summary>
    public ulong HashOfBlock(int index)
    {
        Debug.Assert((index + 1) * _blockTokens <= Count, "the block is not full yet");
        while (_blockHashes.Count <= index)
        {
            int next = _blockHashes.Count;
            _blockHashes.Add(BlockPool.Chain(next == 0 ? 0 : _blockHashes[next - 1], TokensOfBlock(next)));
        }
        return _blockHashes[index];
    }
}
