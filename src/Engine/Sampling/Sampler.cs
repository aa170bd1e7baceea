using System.Collections.Immutable;
using System.Globalization;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Qanat.Engine;

/// <summary>The model gave logits no token can be chosen by.</summary>
internal sealed class InvalidLogitsException(string message) : Exception(message);

/// <summary>
/// Chooses the next token: logit bias, repetition, presence and frequency penalties, what the answer must be, temperature, top-k, top-p, min-p, in this order. The random number depends on the seed, the choice and
/// the position alone, so the same request gives the same tokens whatever else is in the batch. One instance serves one engine thread.
/// </summary>
internal sealed class Sampler(int vocabulary)
{
    /// <summary>Up to here top-k is found by one pass that keeps a short list; above, by the whole distribution. Models recommend 20 to 40.</summary>
    private const int ShortListMax = 256;

    private readonly Distribution _distribution = new(vocabulary);
    private readonly TopList _short = new(ShortListMax);
    private float[]? _masked;
    private readonly int[] _occurrences = new int[vocabulary];
    private readonly List<(int Token, float Logit)> _changed = new(4096);

    /// <summary>The next token of a sequence whose last token gave these logits. The logits are changed while it works and restored before it returns.</summary>
    /// <param name="logits">[vocabulary]</param>
    /// <exception cref="InvalidLogitsException">A logit is not a number, or the largest one is infinite.</exception>
    public int Choose(Span<float> logits, Sequence sequence)
    {
        SamplingOptions options = sequence.Request.Sampling;
        Adjust(logits, sequence, options);
        try
        {
            if (sequence.Constraint is { } constraint) logits = Masked(logits, constraint.Allowed);
            float max = Max(logits);
            if (!float.IsFinite(max)) throw new InvalidLogitsException(string.Create(CultureInfo.InvariantCulture, $"The model's largest logit is {max}: its weights or its input are broken."));
            if (options.Temperature == 0) return IndexOf(logits, max);
            ulong random = RandomAt(options.Seed, sequence.Id.Choice, sequence.Generated);
            return options.TopK is > 0 and <= ShortListMax ? DrawFromShortList(logits, max, options, random) : _distribution.Draw(logits, max, options, random);
        }
        finally
        {
            for (int i = _changed.Count - 1; i >= 0; i--) logits[_changed[i].Token] = _changed[i].Logit;
            _changed.Clear();
        }
    }

    /// <summary>The token with its logprob and alternatives under the model's own distribution (log-softmax of its logits).</summary>
    /// <param name="topLogprobs">How many alternatives; -1: no logprobs at all.</param>
    public GeneratedToken Describe(ReadOnlySpan<float> logits, int token, int topLogprobs)
    {
        if (topLogprobs < 0) return new GeneratedToken(token, float.NaN, []);
        double normalizer = LogSumExp(logits);
        _short.Fill(logits, Math.Min(topLogprobs, ShortListMax));
        var top = new TokenLogprob[_short.Count];
        for (int i = 0; i < top.Length; i++) top[i] = new TokenLogprob(_short.Tokens[i], (float)(_short.Logits[i] - normalizer));
        return new GeneratedToken(token, (float)(logits[token] - normalizer), ImmutableCollectionsMarshal.AsImmutableArray(top));
    }

    /// <summary>64 random bits that belong to one token of one choice under one seed (SplitMix64's finalizer, chained).</summary>
    public static ulong RandomAt(ulong seed, int choice, int position)
    {
        unchecked
        {
            ulong z = Mix(seed + 0x9e3779b97f4a7c15);
            z = Mix(z ^ ((ulong)(uint)choice * 0xd1342543de82ef95 + 0x2545f4914f6cdd1d));
            return Mix(z ^ ((ulong)(uint)position * 0xda942042e4dd58b5 + 0x9e3779b97f4a7c15));
        }

        static ulong Mix(ulong z)
        {
            unchecked
            {
                z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
                z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
                return z ^ (z >> 31);
            }
        }
    }

    // ---- bias and penalties --------------------------------------------------------------------------------------

    /// <summary>Repetition (Keskar et al. 2019, CTRL) counts prompt and answer; presence and frequency (OpenAI) the answer alone.</summary>
    private void Adjust(Span<float> logits, Sequence sequence, SamplingOptions options)
    {
        foreach ((int token, float bias) in sequence.LogitBias) Change(logits, token, logits[token] + bias);
        if (options.RepetitionPenalty != 1)
        {
            foreach (int token in sequence.Tokens)
            {
                if (_occurrences[token]++ > 0) continue;
                Change(logits, token, logits[token] > 0 ? logits[token] / options.RepetitionPenalty : logits[token] * options.RepetitionPenalty);
            }
            foreach (int token in sequence.Tokens) _occurrences[token] = 0;
        }
        if (options.PresencePenalty == 0 && options.FrequencyPenalty == 0) return;
        ReadOnlySpan<int> answer = sequence.Tokens[sequence.PromptLength..];
        foreach (int token in answer) _occurrences[token]++;
        foreach (int token in answer)
        {
            if (_occurrences[token] == 0) continue;
            Change(logits, token, logits[token] - options.PresencePenalty - options.FrequencyPenalty * _occurrences[token]);
            _occurrences[token] = 0;
        }
    }

    private void Change(Span<float> logits, int token, float logit)
    {
        _changed.Add((token, logits[token]));
        logits[token] = logit;
    }

    /// <summary>The logits with those of tokens that may not come at minus infinity, in a buffer of its own: restoring most of a vocabulary would take longer.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private Span<float> Masked(ReadOnlySpan<float> logits, ReadOnlySpan<ulong> allowed)
    {
        _masked ??= new float[_occurrences.Length];
        Array.Fill(_masked, float.NegativeInfinity);
        for (int word = 0; word < allowed.Length; word++)
        {
            int from = word * 64;
            if (allowed[word] == ulong.MaxValue)
            {
                logits.Slice(from, 64).CopyTo(_masked.AsSpan(from));
                continue;
            }
            for (ulong bits = allowed[word]; bits != 0; bits &= bits - 1)
            {
                int token = from + BitOperations.TrailingZeroCount(bits);
                _masked[token] = logits[token];
            }
        }
        return _masked.AsSpan(0, logits.Length);
    }

    // ---- drawing -------------------------------------------------------------------------------------------------

    private int DrawFromShortList(ReadOnlySpan<float> logits, float max, SamplingOptions options, ulong random)
    {
        _short.Fill(logits, options.TopK);
        Span<int> tokens = stackalloc int[_short.Count];
        Span<int> weights = stackalloc int[_short.Count];
        _short.Tokens.CopyTo(tokens);
        ulong total = 0;
        for (int i = 0; i < weights.Length; i++) total += (ulong)(weights[i] = Distribution.WeightOf(_short.Logits[i], max, options.Temperature));

        ulong target = options.TopP < 1 ? Distribution.NucleusWeight(options.TopP, total) : total;
        int least = Distribution.LeastWeight(options.MinP);
        int kept = 0;
        for (ulong sum = 0; kept < weights.Length && sum < target && weights[kept] >= least; kept++) sum += (ulong)weights[kept];

        tokens[..kept].Sort(weights[..kept]);
        total = 0;
        foreach (int weight in weights[..kept]) total += (ulong)weight;
        ulong drawn = Distribution.Scale(random, total);
        int chosen = 0;
        while (drawn >= (ulong)weights[chosen]) drawn -= (ulong)weights[chosen++];
        return tokens[chosen];
    }

    /// <summary>The maximum; NaN when any logit is NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Max(ReadOnlySpan<float> row)
    {
        var lanes = new Vector<float>(float.NegativeInfinity);
        int i = 0;
        for (; i <= row.Length - Vector<float>.Count; i += Vector<float>.Count) lanes = Vector.Max(lanes, new Vector<float>(row[i..]));
        float max = float.NegativeInfinity;
        for (int lane = 0; lane < Vector<float>.Count; lane++) max = MathF.Max(max, lanes[lane]);
        for (; i < row.Length; i++) max = MathF.Max(max, row[i]);
        return max;
    }

    /// <summary>First token with the logit: among equals the lowest wins.</summary>
    private static int IndexOf(ReadOnlySpan<float> row, float logit) => row.IndexOf(logit);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double LogSumExp(ReadOnlySpan<float> row)
    {
        const int stride = 1024;
        float max = Max(row);
        double sum = 0;
        for (int from = 0; from < row.Length; from += stride)
        {
            ReadOnlySpan<float> part = row[from..Math.Min(row.Length, from + stride)];
            Vector<float> lanes = Vector<float>.Zero;
            int i = 0;
            for (; i <= part.Length - Vector<float>.Count; i += Vector<float>.Count) lanes += Vector.Exp(new Vector<float>(part[i..]) - new Vector<float>(max));
            sum += Vector.Sum(lanes);
            for (; i < part.Length; i++) sum += MathF.Exp(part[i] - max);
        }
        return max + Math.Log(sum);
    }
}
