using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Qanat.Kernels;

namespace Qanat.Engine;

/// <summary>
/// The distribution a token is drawn from, in fixed point: a token weighs round(exp((logit - max) / temperature) * 2^30). Sums of integers do not depend on their order,
/// so this vectorised form draws exactly the token that <see cref="SamplerScalar"/> draws. What weighs less than 2^-31 of the likeliest token weighs nothing.
/// Filters keep a prefix of the tokens in key order (higher logit first, lower token first among equals): top-k its first k, top-p the shortest prefix that holds p of what top-k left,
/// min-p what weighs at least that part of the likeliest.
/// Loops over the vocabulary are compiled fully at once (AggressiveOptimization): unoptimised, the first answers would wait some 10 ms for each token.
/// </summary>
internal sealed class Distribution(int vocabulary)
{
    public const int One = 1 << 30;
    private const int WalkStride = 4096;

    /// <summary>Bits of a weight that one pass tells tokens apart by: the highest eleven, then eleven more, then the last eight.</summary>
    private const int DigitBits = 11, FirstShift = 19;

    /// <summary>So few tokens are put in order sooner than they are told apart further.</summary>
    private const int FewTokens = 2048;

    private readonly int[] _weights = new int[vocabulary];
    private readonly int[] _candidates = new int[vocabulary];
    private readonly ulong[] _digitSums = new ulong[(One >> FirstShift) + 1];

    /// <summary>Fixed-point weight of one logit; the same arithmetic as a lane of <see cref="Fill"/>.</summary>
    public static int WeightOf(float logit, float max, float temperature) => WeightsOf(Vector256.Create(logit), Vector256.Create(max), Vector256.Create(temperature))[0];

    /// <summary>The weight that min-p asks for; at least 1, because what weighs nothing is never drawn.</summary>
    public static int LeastWeight(float minP) => Math.Max(1, (int)Math.Ceiling((double)minP * One));

    /// <summary>The sum that top-p asks for; at least 1.</summary>
    public static ulong NucleusWeight(float topP, ulong total) => Math.Max(1, (ulong)Math.Ceiling((double)topP * total));

    /// <summary>A random number scaled to [0, total).</summary>
    public static ulong Scale(ulong random, ulong total) => Math.BigMul(random, total, out _);

    /// <summary>Draws a token of the row under the options' filters. The row has no NaN and <paramref name="max"/> is its finite maximum.</summary>
    public int Draw(ReadOnlySpan<float> row, float max, SamplingOptions options, ulong random)
    {
        Span<int> weights = _weights.AsSpan(0, row.Length);
        ulong total = Fill(row, max, options.Temperature, weights);
        int least = LeastWeight(options.MinP);
        (float cutLogit, int cutToken) = FindCut(row, weights, total, options);
        if (least > 1 || cutToken < int.MaxValue) total = Mask(row, weights, cutLogit, cutToken, least);
        return Walk(weights, Scale(random, total));
    }

    // The exponential errs by a unit in its last place: of two numbers hardly apart the lower could weigh more. On a grid of 2^-22, which a sum beside 3 has, it never does.
    // Between 0.5 and 2^30 + 0.5, hence the conversion that has no rule for other numbers.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<int> WeightsOf(Vector256<float> logits, Vector256<float> max, Vector256<float> temperature) =>
        Vector256.ConvertToInt32Native(Exponential.OfNegative((logits - max) / temperature + Vector256.Create(3f) - Vector256.Create(3f)) * Vector256.Create((float)One) + Vector256.Create(0.5f));

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static ulong Fill(ReadOnlySpan<float> row, float max, float temperature, Span<int> weights)
    {
        Vector256<float> maxLanes = Vector256.Create(max), temperatureLanes = Vector256.Create(temperature);
        Vector256<long> sum = Vector256<long>.Zero;
        int token = 0;
        for (; token <= row.Length - Vector256<float>.Count; token += Vector256<float>.Count)
        {
            Vector256<int> lanes = WeightsOf(Vector256.Create(row.Slice(token, Vector256<float>.Count)), maxLanes, temperatureLanes);
            lanes.CopyTo(weights[token..]);
            (Vector256<long> low, Vector256<long> high) = Vector256.Widen(lanes);
            sum += low + high;
        }
        long total = Vector256.Sum(sum);
        for (; token < row.Length; token++) total += weights[token] = WeightOf(row[token], max, temperature);
        return (ulong)total;
    }

    /// <summary>The last token in key order that top-k and top-p keep; int.MaxValue when they keep all.</summary>
    private (float Logit, int Token) FindCut(ReadOnlySpan<float> row, ReadOnlySpan<int> weights, ulong total, SamplingOptions options)
    {
        Span<int> candidates = default;
        bool cuts = false;
        if (options.TopK > 0 && options.TopK < row.Length)
        {
            candidates = Gather(weights, options.TopK);
            int kept = KeepPrefix(candidates, row, weights, (ulong)options.TopK, Measure.Tokens);
            cuts = kept == options.TopK;
            candidates = candidates[..kept];
            total = Sum(candidates, weights);
        }
        if (options.TopP < 1)
        {
            ulong target = NucleusWeight(options.TopP, total);
            if (candidates.IsEmpty) candidates = AroundTheCut(weights, ref target);
            candidates = candidates[..KeepPrefix(candidates, row, weights, target, Measure.Weight)];
            cuts = true;
        }
        return cuts ? (row[candidates[^1]], candidates[^1]) : (float.NegativeInfinity, int.MaxValue);
    }

    private enum Measure { Tokens, Weight }

    /// <summary>Tokens so heavy that they are at least as many as asked for; all that weigh anything when those are fewer. Most rows need only their heaviest thousandth.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private Span<int> Gather(ReadOnlySpan<int> weights, int tokens)
    {
        for (int shift = 20; ; shift -= 4)
        {
            int count = Collect(weights, 1 << shift, int.MaxValue, int.MaxValue);
            if (shift == 0 || count >= tokens) return _candidates.AsSpan(0, count);
        }
    }

    /// <summary>Tokens of nearly one weight, at which the sum of the heaviest ones reaches the target: digit by digit, as a radix sort would, so that the work grows with the vocabulary alone, however flat the row is.</summary>
    /// <param name="target">At most what all weigh together; becomes what is left of it for the tokens that are returned.</param>
    private Span<int> AroundTheCut(ReadOnlySpan<int> weights, scoped ref ulong target)
    {
        SumByFirstDigit(weights, _digitSums);
        int shift = FirstShift, least = DigitThatReaches(ref target) << shift;
        while (true)
        {
            int most = least + (1 << shift) - 1, count = Collect(weights, Math.Max(1, least), most, shift == 0 ? int.MaxValue : FewTokens);
            if (count <= FewTokens || shift == 0) return _candidates.AsSpan(0, count);
            int next = Math.Max(0, shift - DigitBits);
            SumByDigit(weights, least, most, next, _digitSums);
            least += DigitThatReaches(ref target) << next;
            shift = next;
        }
    }

    /// <summary>What the tokens within bounds weigh together, told apart by the digit of their weights above the least one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void SumByDigit(ReadOnlySpan<int> weights, int least, int most, int shift, Span<ulong> sums)
    {
        sums.Clear();
        var leastLanes = new Vector<int>(least);
        var mostLanes = new Vector<int>(most);
        for (int token = 0; token < weights.Length; token += Vector<int>.Count)
        {
            int end = Math.Min(weights.Length, token + Vector<int>.Count);
            if (end - token == Vector<int>.Count)
            {
                var lanes = new Vector<int>(weights[token..]);
                if ((Vector.GreaterThanOrEqual(lanes, leastLanes) & Vector.LessThanOrEqual(lanes, mostLanes)) == Vector<int>.Zero) continue;
            }
            foreach (int weight in weights[token..end])
                if (weight >= least && weight <= most) sums[(weight - least) >> shift] += (ulong)weight;
        }
    }

    /// <summary>What the tokens of each first digit weigh together. Most rows have few that weigh much: the others are summed without being told apart.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void SumByFirstDigit(ReadOnlySpan<int> weights, Span<ulong> sums)
    {
        sums.Clear();
        var second = new Vector<int>(1 << FirstShift);
        Vector<long> light = Vector<long>.Zero;
        int token = 0;
        for (; token <= weights.Length - Vector<int>.Count; token += Vector<int>.Count)
        {
            var lanes = new Vector<int>(weights[token..]);
            if (Vector.GreaterThanOrEqualAny(lanes, second))
            {
                foreach (int weight in weights.Slice(token, Vector<int>.Count)) sums[weight >> FirstShift] += (ulong)weight;
                continue;
            }
            Vector.Widen(lanes, out Vector<long> low, out Vector<long> high);
            light += low + high;
        }
        sums[0] += (ulong)Vector.Sum(light);
        for (; token < weights.Length; token++) sums[weights[token] >> FirstShift] += (ulong)weights[token];
    }

    /// <summary>The highest digit down to which the sums reach the target, from which the sums above it are taken.</summary>
    private int DigitThatReaches(ref ulong target)
    {
        int digit = _digitSums.Length - 1;
        for (; digit > 0 && _digitSums[digit] < target; digit--) target -= _digitSums[digit];
        return digit;
    }

    /// <summary>Lists the tokens whose weights are within bounds, in order, and says how many they are; a number above the limit means that there are more than that.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private int Collect(ReadOnlySpan<int> weights, int least, int most, int limit)
    {
        int[] candidates = _candidates;
        var leastLanes = new Vector<int>(least);
        var mostLanes = new Vector<int>(most);
        int count = 0, token = 0;
        while (token < weights.Length && count <= limit)
        {
            if (token <= weights.Length - Vector<int>.Count)
            {
                var lanes = new Vector<int>(weights[token..]);
                if ((Vector.GreaterThanOrEqual(lanes, leastLanes) & Vector.LessThanOrEqual(lanes, mostLanes)) == Vector<int>.Zero)
                {
                    token += Vector<int>.Count;
                    continue;
                }
            }
            for (int end = Math.Min(weights.Length, token + Vector<int>.Count); token < end; token++)
                if (weights[token] >= least && weights[token] <= most) candidates[count++] = token;
        }
        return count;
    }

    /// <summary>Quickselect: brings the shortest prefix in key order whose measure reaches the target to the front, its last token last, and returns its length (all when none reaches it).</summary>
    private static int KeepPrefix(Span<int> tokens, ReadOnlySpan<float> row, ReadOnlySpan<int> weights, ulong target, Measure measure)
    {
        int from = 0, to = tokens.Length;
        while (from < to)
        {
            int middle = PartitionAtMedianOfThree(tokens, row, from, to);
            ulong before = measure == Measure.Tokens ? (ulong)(middle - from) : Sum(tokens[from..middle], weights);
            ulong pivot = measure == Measure.Tokens ? 1 : (ulong)weights[tokens[middle]];
            if (target <= before)
            {
                to = middle;
            }
            else if (target <= before + pivot)
            {
                return middle + 1;
            }
            else
            {
                target -= before + pivot;
                from = middle + 1;
            }
        }
        return from;
    }

    private static int PartitionAtMedianOfThree(Span<int> tokens, ReadOnlySpan<float> row, int from, int to)
    {
        int last = to - 1;
        int middle = from + (to - from) / 2;
        if (Precedes(row, tokens[middle], tokens[from])) (tokens[middle], tokens[from]) = (tokens[from], tokens[middle]);
        if (Precedes(row, tokens[last], tokens[from])) (tokens[last], tokens[from]) = (tokens[from], tokens[last]);
        if (Precedes(row, tokens[middle], tokens[last])) (tokens[middle], tokens[last]) = (tokens[last], tokens[middle]);
        int pivot = tokens[last];
        int place = from;
        for (int i = from; i < last; i++)
        {
            if (!Precedes(row, tokens[i], pivot)) continue;
            (tokens[i], tokens[place]) = (tokens[place], tokens[i]);
            place++;
        }
        (tokens[place], tokens[last]) = (tokens[last], tokens[place]);
        return place;
    }

    private static bool Precedes(ReadOnlySpan<float> row, int a, int b) => row[a] > row[b] || (row[a] == row[b] && a < b);

    private static ulong Sum(ReadOnlySpan<int> tokens, ReadOnlySpan<int> weights)
    {
        ulong sum = 0;
        foreach (int token in tokens) sum += (ulong)weights[token];
        return sum;
    }

    /// <summary>Sets the weights of everything behind the cut, and of everything lighter than the least weight, to zero; returns the sum of the rest.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static ulong Mask(ReadOnlySpan<float> row, Span<int> weights, float cutLogit, int cutToken, int least)
    {
        ulong total = 0;
        var cutLanes = new Vector<float>(cutLogit);
        var leastLanes = new Vector<int>(least);
        int token = 0;
        Vector<long> sum = Vector<long>.Zero;
        for (; token <= row.Length - Vector<float>.Count; token += Vector<float>.Count)
        {
            var logits = new Vector<float>(row[token..]);
            var lanes = new Vector<int>(weights[token..]);
            Vector<int> upTo = Vector.LessThanOrEqual(Vector.CreateSequence(token, 1), new Vector<int>(cutToken));
            Vector<int> keep = (Vector.GreaterThan(logits, cutLanes) | (Vector.Equals(logits, cutLanes) & upTo)) & Vector.GreaterThanOrEqual(lanes, leastLanes);
            lanes &= keep;
            lanes.CopyTo(weights[token..]);
            Vector.Widen(lanes, out Vector<long> low, out Vector<long> high);
            sum += low + high;
        }
        total += (ulong)Vector.Sum(sum);
        for (; token < row.Length; token++)
        {
            bool keep = weights[token] >= least && (row[token] > cutLogit || (row[token] == cutLogit && token <= cutToken));
            if (!keep) weights[token] = 0;
            total += (ulong)weights[token];
        }
        return total;
    }

    /// <summary>The first token, in order of token number, at which the running sum of weights exceeds the drawn number.</summary>
    private static int Walk(ReadOnlySpan<int> weights, ulong drawn)
    {
        int from = 0;
        for (; from + WalkStride <= weights.Length; from += WalkStride)
        {
            ulong stride = SumOfStride(weights.Slice(from, WalkStride));
            if (drawn < stride) break;
            drawn -= stride;
        }
        for (; from < weights.Length; from++)
        {
            if (drawn < (ulong)weights[from]) return from;
            drawn -= (ulong)weights[from];
        }
        throw new System.Diagnostics.UnreachableException("The drawn number is not below the sum of the weights.");
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static ulong SumOfStride(ReadOnlySpan<int> weights)
    {
        Vector<long> sum = Vector<long>.Zero;
        for (int i = 0; i < weights.Length; i += Vector<int>.Count)
        {
            Vector.Widen(new Vector<int>(weights[i..]), out Vector<long> low, out Vector<long> high);
            sum += low + high;
        }
        return (ulong)Vector.Sum(sum);
    }
}
