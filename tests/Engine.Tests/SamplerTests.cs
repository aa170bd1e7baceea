using System.Collections.Immutable;
using CsCheck;

namespace Qanat.Engine.Tests;

public sealed class SamplerTests
{
    private static readonly float[] Flat = new float[64];

    private static Sequence SequenceOf(SamplingOptions options, ImmutableArray<int> prompt, params int[] answer)
    {
        var sequence = new Sequence(Rig.Request(Rig.Id(1), prompt, 100) with { Sampling = options }, new FairnessGroup("g"), 0, 4);
        foreach (int token in answer) sequence.Append(token);
        return sequence;
    }

    private static int Choose(float[] logits, SamplingOptions options, params int[] answer) => new Sampler(logits.Length).Choose(logits, SequenceOf(options, [0], answer));

    /// <summary>Rows with many equal logits, large and small differences and infinities, of lengths that leave a rest in every vector width.</summary>
    private static readonly Gen<float[]> GenRow = Gen.OneOf(
        Gen.Float[-30, 30].Array[1, 700],
        Gen.Int[-3, 3].Select(i => (float)i).Array[1, 700],
        Gen.Frequency((9, Gen.Float[-1, 1]), (1, Gen.Const(float.NegativeInfinity))).Array[2, 300].Where(row => row.Any(float.IsFinite)),
        Gen.Select(Gen.Float[-2, 2].Array[2, 5000], Gen.Float[1, 40], (row, factor) => row.Select(x => x * factor).ToArray()));

    private static readonly Gen<SamplingOptions> GenOptions =
        Gen.Select(
            Gen.Frequency((1, Gen.Const(0f)), (6, Gen.Float[0.05f, 3]), (1, Gen.Const(1e-6f))),
            Gen.Frequency((2, Gen.Const(0)), (3, Gen.Int[1, 50]), (2, Gen.Int[200, 800])),
            Gen.Frequency((1, Gen.Const(1f)), (3, Gen.Float[0.01f, 1])),
            Gen.Frequency((2, Gen.Const(0f)), (1, Gen.Float[0, 1])),
            Gen.ULong,
            (temperature, topK, topP, minP, seed) => new SamplingOptions { Temperature = temperature, TopK = topK, TopP = Math.Max(topP, 1e-6f), MinP = minP, Seed = seed });

    [Fact]
    public void The_fast_path_draws_the_token_its_slow_twin_draws()
    {
        Gen.Select(GenRow, GenOptions).Sample((row, options) =>
        {
            float[] before = [.. row];
            int fast = Choose(row, options);
            int slow = SamplerScalar.Draw(before, options, Sampler.RandomAt(options.Seed, 0, 0));
            Assert.Equal(before, row);
            Assert.Equal(slow, fast);
        }, iter: 3000);
    }

    /// <summary>So flat and so long that tokens are told apart by every digit of their weights, and some by none.</summary>
    [Fact]
    public void The_fast_path_draws_the_same_token_from_long_flat_rows()
    {
        Gen<float[]> flat = Gen.Select(Gen.Float[-1, 1].Array[4500, 9000], Gen.OneOf(Gen.Const(1f), Gen.Const(1e-2f), Gen.Const(1e-5f), Gen.Const(1e-8f), Gen.Const(0f)), (row, factor) => row.Select(x => x * factor).ToArray());
        Gen.Select(flat, Gen.Float[0.01f, 0.999f], Gen.Float[0.2f, 2], Gen.ULong).Sample((row, topP, temperature, seed) =>
        {
            var options = new SamplingOptions { Temperature = temperature, TopP = topP, Seed = seed };
            Assert.Equal(SamplerScalar.Draw(row, options, Sampler.RandomAt(seed, 0, 0)), Choose(row, options));
        }, iter: 60);
    }

    /// <summary>What the fast path relies on: the heaviest tokens are the first in key order, however little they differ.</summary>
    [Fact]
    public void Of_neighbouring_logits_the_lower_never_weighs_more()
    {
        for (float binade = 1e-8f; binade < 20; binade *= 2)
            for (float begin = binade; begin < 2 * binade; begin += binade / 8)
            {
                float distance = begin;
                for (int i = 0, last = Distribution.One; i < 2000; i++, distance = MathF.BitIncrement(distance))
                {
                    int weight = Distribution.WeightOf(-distance, 0, 1);
                    Assert.InRange(weight, 0, last);
                    last = weight;
                }
            }
        Assert.Equal(Distribution.One, Distribution.WeightOf(2.5f, 2.5f, 0.7f));
        Assert.Equal(0, Distribution.WeightOf(float.NegativeInfinity, 0, 1));
    }

    [Fact]
    public void Greedy_takes_the_largest_logit_and_the_lowest_token_among_equals()
    {
        float[] row = [.. Flat];
        Assert.Equal(0, Choose(row, new SamplingOptions { Temperature = 0 }));
        row[40] = row[17] = row[63] = 3;
        Assert.Equal(17, Choose(row, new SamplingOptions { Temperature = 0 }));
    }

    [Fact]
    public void Frequencies_follow_the_softmax_of_the_scaled_logits()
    {
        float[] logits = [0, 1, 2, 3, float.NegativeInfinity, 2.5f];
        var options = new SamplingOptions { Temperature = 0.7f };
        double[] expected = [.. logits.Select(l => Math.Exp(l / 0.7))];
        double sum = expected.Sum();
        var counts = new int[logits.Length];
        const int draws = 40_000;
        for (int seed = 0; seed < draws; seed++) counts[Choose(logits, options with { Seed = (ulong)seed })]++;
        double chiSquare = 0;
        for (int i = 0; i < logits.Length; i++)
        {
            if (expected[i] == 0)
            {
                Assert.Equal(0, counts[i]);
                continue;
            }
            double e = expected[i] / sum * draws;
            chiSquare += (counts[i] - e) * (counts[i] - e) / e;
        }
        // 4 degrees of freedom; 23.5 has a chance of 1 in 10,000, and the seeds are fixed.
        Assert.InRange(chiSquare, 0, 23.5);
    }

    [Fact]
    public void Random_numbers_of_neighbouring_positions_choices_and_seeds_are_independent()
    {
        var seen = new HashSet<ulong>();
        var ones = new int[64];
        for (ulong seed = 0; seed < 20; seed++)
            for (int choice = 0; choice < 20; choice++)
                for (int position = 0; position < 50; position++)
                {
                    ulong random = Sampler.RandomAt(seed, choice, position);
                    Assert.True(seen.Add(random));
                    for (int bit = 0; bit < 64; bit++) ones[bit] += (int)(random >> bit & 1);
                }
        // 20,000 draws: mean 10,000, standard deviation 71.
        Assert.All(ones, count => Assert.InRange(count, 9_640, 10_360));
    }

    [Fact]
    public void Top_k_top_p_and_min_p_keep_only_the_likeliest()
    {
        float[] logits = [.. Enumerable.Range(0, 600).Select(i => -0.01f * i)];
        HashSet<int> Drawn(SamplingOptions options) => [.. Enumerable.Range(0, 3000).Select(seed => Choose(logits, options with { Seed = (ulong)seed }))];
        Assert.Equal(Enumerable.Range(0, 3), Drawn(new SamplingOptions { TopK = 3 }).Order());
        Assert.InRange(Drawn(new SamplingOptions { TopK = 300 }).Max(), 250, 299);
        Assert.Equal([0, 1], Drawn(new SamplingOptions { MinP = 0.985f }).Order());
        Assert.Equal([0], Drawn(new SamplingOptions { TopP = 0.001f }));
        Assert.Equal(Enumerable.Range(0, 2), Drawn(new SamplingOptions { TopK = 3, TopP = 0.6f }).Order());
    }

    [Fact]
    public void Bias_moves_a_logit_and_can_forbid_or_force_a_token()
    {
        float[] row = [.. Flat];
        row[5] = 1;
        var greedy = new SamplingOptions { Temperature = 0 };
        Assert.Equal(9, Choose(row, greedy with { LogitBias = ImmutableDictionary<int, float>.Empty.Add(9, 100) }));
        Assert.Equal(0, Choose(row, greedy with { LogitBias = ImmutableDictionary<int, float>.Empty.Add(5, -100) }));
    }

    [Fact]
    public void Presence_and_frequency_penalties_count_the_answer_and_repetition_counts_the_prompt_too()
    {
        float[] row = [0.5f, 2.9f, 3, 2, 0, -1, 0, 0];
        var greedy = new SamplingOptions { Temperature = 0 };
        Assert.Equal(2, Choose(row, greedy with { PresencePenalty = 0.05f }, 2, 2));
        Assert.Equal(1, Choose(row, greedy with { PresencePenalty = 0.2f }, 2, 2));
        Assert.Equal(1, Choose(row, greedy with { FrequencyPenalty = 0.07f }, 2, 2));
        Assert.Equal(2, Choose(row, greedy with { FrequencyPenalty = 0.07f }, 2));
        Assert.Equal(1, Choose(row, greedy with { RepetitionPenalty = 1.2f }, 2));
        // Token 2 in the prompt: repetition counts it, presence does not.
        Assert.Equal(1, new Sampler(8).Choose(row, SequenceOf(greedy with { RepetitionPenalty = 1.2f }, [2])));
        Assert.Equal(2, new Sampler(8).Choose(row, SequenceOf(greedy with { PresencePenalty = 2 }, [2])));
        // A negative logit is multiplied, so that repetition makes it less likely too.
        float[] negative = [-1, -1.1f];
        Assert.Equal(1, new Sampler(2).Choose(negative, SequenceOf(greedy with { RepetitionPenalty = 1.5f }, [0])));
        Assert.Equal([0.5f, 2.9f, 3, 2, 0, -1, 0, 0], row);
    }

    [Fact]
    public void Logprobs_are_the_log_softmax_of_the_models_own_logits()
    {
        Gen.Select(Gen.Float[-20, 20].Array[2, 3000], Gen.Int[0, 20]).Sample((row, top) =>
        {
            var sampler = new Sampler(row.Length);
            int token = sampler.Choose(row, SequenceOf(new SamplingOptions { Temperature = 2, TopK = 3, PresencePenalty = 1, Seed = 3 }, [0], 1));
            GeneratedToken described = sampler.Describe(row, token, top);
            Assert.Equal(SamplerScalar.Logprob(row, token), described.Logprob, 1e-4);
            int[] best = [.. Enumerable.Range(0, row.Length).OrderByDescending(i => row[i]).ThenBy(i => i).Take(top)];
            Assert.Equal(best, described.Top.Select(t => t.Token));
            foreach (TokenLogprob t in described.Top) Assert.Equal(SamplerScalar.Logprob(row, t.Token), t.Logprob, 1e-4);
        }, iter: 300);
        Assert.True(float.IsNaN(new Sampler(64).Describe(Flat, 3, -1).Logprob));
        Assert.Empty(new Sampler(64).Describe(Flat, 3, 0).Top);
    }

    [Theory]
    [InlineData(float.NaN, 0f)]
    [InlineData(float.NaN, 1f)]
    [InlineData(float.PositiveInfinity, 1f)]
    public void Logits_that_are_no_numbers_are_refused(float bad, float temperature)
    {
        for (int place = 0; place < 64; place += 21)
        {
            float[] row = [.. Flat];
            row[place] = bad;
            Assert.Throws<InvalidLogitsException>(() => Choose(row, new SamplingOptions { Temperature = temperature }));
        }
    }

    [Fact]
    public void A_row_that_allows_nothing_is_refused()
    {
        float[] row = [.. Enumerable.Repeat(float.NegativeInfinity, 64)];
        Assert.Throws<InvalidLogitsException>(() => Choose(row, new SamplingOptions()));
    }
}
