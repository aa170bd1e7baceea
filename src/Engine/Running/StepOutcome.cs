using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace Qanat.Engine;

/// <summary>
/// Collects what a step did to each of its sequences and turns it into the fact that is handed out. The fact and what is in it (one SequenceStep per sequence, one GeneratedToken per token and
/// the array around each, the text) is all that a step allocates.
/// </summary>
internal sealed class StepOutcome
{
    private struct Entry
    {
        public int PromptTokensComputed;
        public int CachedPromptTokens;
        public bool HasToken;
        public int ReasoningTokens;
        public string Text;
        public FinishReason? Finish;
        public string? Failure;
        public ImmutableArray<float> Reading;
    }

    private readonly StepWork _work;
    private readonly Entry[] _entries;
    private readonly GeneratedToken?[] _generated;
    private readonly int[] _sampled;
    private readonly long[] _phaseWork;
    private readonly long[] _phaseNs;
    private StepPlan? _plan;

    public StepOutcome(StepWork work, int sequencesMax)
    {
        _work = work;
        _entries = new Entry[sequencesMax];
        _generated = new GeneratedToken?[sequencesMax];
        _sampled = new int[sequencesMax];
        _phaseWork = new long[2 * sequencesMax];
        _phaseNs = new long[2 * sequencesMax];
    }

    /// <summary>One token per row of logits.</summary>
    public ReadOnlySpan<int> Sampled => _sampled;

    public void Begin(StepPlan plan)
    {
        _plan = plan;
        for (int i = 0; i < plan.Slices.Count; i++) _entries[i] = new Entry { Text = "", Reading = [] };
    }

    public void Choose(int logitIndex, GeneratedToken token)
    {
        _generated[logitIndex] = token;
        _sampled[logitIndex] = token.Token;
    }

    public void Computed(PlannedSlice slice)
    {
        ref Entry entry = ref EntryOf(slice);
        entry.PromptTokensComputed = slice.PromptTokensComputed;
        entry.CachedPromptTokens = slice.CachedPromptTokens;
        entry.HasToken = slice.Generates;
    }

    public void Read(PlannedSlice slice, ImmutableArray<float> reading) => EntryOf(slice).Reading = reading;

    public void Think(PlannedSlice slice, int tokens) => EntryOf(slice).ReasoningTokens = tokens;

    public void Say(PlannedSlice slice, string text) => EntryOf(slice).Text = text;

    public void Finish(PlannedSlice slice, FinishReason reason) => EntryOf(slice).Finish = reason;

    public void Fail(PlannedSlice slice, string failure) => EntryOf(slice).Failure = failure;

    /// <summary>The fact of this step; its time is split by the work of the rows: those of prompt tokens are prefill, those of generated tokens decode.</summary>
    public StepFact ToFact(long index, long startNs, long endNs)
    {
        List<PlannedSlice> slices = _plan!.Slices;
        for (int i = 0; i < slices.Count; i++) (_phaseWork[2 * i], _phaseWork[2 * i + 1]) = WorkOf(slices[i]);
        StepTime.Split(endNs - startNs, _phaseWork.AsSpan(0, 2 * slices.Count), _phaseNs);

        var steps = new SequenceStep[slices.Count];
        for (int i = 0; i < steps.Length; i++)
        {
            ref Entry entry = ref _entries[i];
            ImmutableArray<GeneratedToken> tokens = entry.HasToken ? [_generated[slices[i].LogitIndex]!] : [];
            steps[i] = new SequenceStep(slices[i].Sequence.Id, entry.PromptTokensComputed, tokens, entry.Text, entry.Finish, _phaseNs[2 * i], _phaseNs[2 * i + 1])
            {
                CachedPromptTokens = entry.CachedPromptTokens,
                ReasoningTokens = entry.ReasoningTokens,
                StoppedBy = entry.Finish == FinishReason.Stop ? slices[i].Sequence.Text.StoppedBy : null,
                Failure = entry.Failure,
                Reading = entry.Failure is null ? entry.Reading : [],
            };
        }
        return new StepFact(index, startNs, endNs, ImmutableCollectionsMarshal.AsImmutableArray(steps));
    }

    private (long Prefill, long Decode) WorkOf(PlannedSlice slice)
    {
        int prefillRows = Math.Clamp(slice.Sequence.PromptLength - slice.FirstPosition, 0, slice.RowCount);
        int decodeRows = slice.RowCount - prefillRows;
        long prefill = _work.OfRows(slice.FirstPosition, prefillRows);
        long decode = _work.OfRows(slice.FirstPosition + prefillRows, decodeRows);
        long head = slice.WantsLogits ? _work.PerLogitRow : 0;
        return decodeRows > 0 ? (prefill, decode + head) : (prefill + head, decode);
    }

    private ref Entry EntryOf(PlannedSlice slice) => ref _entries[slice.Index];
}
