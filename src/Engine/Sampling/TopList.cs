using System.Numerics;
using System.Runtime.CompilerServices;

namespace Qanat.Engine;

/// <summary>The best few of many logits, best first: higher logit first, lower token first among equals. One pass over the row that looks at single lanes only where one of them can enter.</summary>
internal sealed class TopList(int capacity)
{
    private readonly int[] _tokens = new int[capacity];
    private readonly float[] _logits = new float[capacity];

    public int Capacity => _tokens.Length;
    public int Count { get; private set; }
    public ReadOnlySpan<int> Tokens => _tokens.AsSpan(0, Count);
    public ReadOnlySpan<float> Logits => _logits.AsSpan(0, Count);

    /// <param name="row">[vocabulary] logits without NaN.</param>
    /// <param name="count">How many to keep; at most the capacity.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Fill(ReadOnlySpan<float> row, int count)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(count, Capacity);
        Count = 0;
        if (count == 0) return;
        int token = 0;
        for (; token < row.Length && Count < count; token++) Insert(token, row[token], count);
        for (; token <= row.Length - Vector<float>.Count; token += Vector<float>.Count)
        {
            var lanes = new Vector<float>(row[token..]);
            if (!Vector.GreaterThanAny(lanes, new Vector<float>(_logits[Count - 1]))) continue;
            for (int lane = 0; lane < Vector<float>.Count; lane++) Insert(token + lane, lanes[lane], count);
        }
        for (; token < row.Length; token++) Insert(token, row[token], count);
    }

    /// <summary>Tokens come in ascending order, so an equal logit never displaces one that is there.</summary>
    private void Insert(int token, float logit, int limit)
    {
        if (Count == limit)
        {
            if (!(logit > _logits[Count - 1])) return;
        }
        else
        {
            Count++;
        }
        int slot = Count - 1;
        for (; slot > 0 && logit > _logits[slot - 1]; slot--)
        {
            _logits[slot] = _logits[slot - 1];
            _tokens[slot] = _tokens[slot - 1];
        }
        _logits[slot] = logit;
        _tokens[slot] = token;
    }
}
