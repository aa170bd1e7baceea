using Qanat.Kernels;

namespace Qanat.Models.Tests;

/// <summary>Truths about the parts of a decoder that hold whatever the weights are.</summary>
public sealed unsafe class OracleTests
{
    [Theory]
    [InlineData(128, 8)]
    [InlineData(512, 10)]
    [InlineData(4, 4)]
    public void Weights_of_experts_sum_to_1_exactly_when_they_are_normalised(int experts, int used)
    {
        var random = new Random(7);
        for (int round = 0; round < 100; round++)
        {
            float[] scores = [.. Enumerable.Range(0, experts).Select(_ => (float)(random.NextDouble() * 16 - 8))];
            int[] chosen = new int[used], again = new int[used];
            float[] weights = new float[used], plain = new float[used];
            ExpertChoice.Choose([.. scores], normalises: true, chosen, weights);
            ExpertChoice.Choose([.. scores], normalises: false, again, plain);
            Assert.Equal(chosen, again);
            Assert.Equal(used, chosen.Distinct().Count());
            Assert.Equal(scores.OrderDescending().Take(used), chosen.Select(expert => scores[expert]));
            Assert.Equal(1, weights.Sum(weight => (double)weight), 6);
            double all = scores.Sum(score => Math.Exp(score));
            Assert.Equal(chosen.Sum(expert => Math.Exp(scores[expert]) / all), plain.Sum(weight => (double)weight), 6);
            if (used < experts) Assert.True(plain.Sum() < 1 - 1e-6);
            for (int i = 0; i < used; i++) Assert.Equal(plain[i] / plain[0], weights[i] / weights[0], 1e-5f);
        }
    }

    [Fact]
    public void Dimensions_beyond_the_rotary_part_are_left_as_they_are()
    {
        const int HeadDim = 256, Rotary = 64;
        var random = new Random(3);
        float[] before = [.. Enumerable.Range(0, HeadDim).Select(_ => (float)(random.NextDouble() - 0.5))];
        float[] after = [.. before];
        float[] angles = new float[Rotary];
        fixed (float* head = after, turns = angles)
        {
            Rope.Angles(777, Rope.Frequencies(Rotary, 1e7), turns);
            Rope.Head(head, turns, Rotary / 2);
        }
        Assert.True(before.AsSpan(Rotary).SequenceEqual(after.AsSpan(Rotary)));
        for (int i = 0; i < Rotary / 2; i++)
        {
            Assert.NotEqual(before[i], after[i]);
            // A turn keeps the length of the pair (i, i + 32).
            Assert.Equal(Length(before, i), Length(after, i), 5);
        }
        static double Length(float[] head, int i) => Math.Sqrt((double)head[i] * head[i] + (double)head[i + Rotary / 2] * head[i + Rotary / 2]);
    }

    [Fact]
    public void Positions_that_are_equal_on_every_axis_turn_as_one_position_does()
    {
        // Interleaved sections of time, height and width (11, 11, 10): frequency i belongs to one of the axes, and text has the same position on all.
        int[] sections = [11, 11, 10];
        double[] frequencies = Rope.Frequencies(64, 1e7);
        var plain = new float[64];
        var sectioned = new float[64];
        fixed (float* target = plain)
            Rope.Angles(4321, frequencies, target);
        int[] positions = [4321, 4321, 4321];
        for (int i = 0; i < 32; i++)
        {
            int axis = i % 3 == 1 && i < 3 * sections[1] ? 1 : i % 3 == 2 && i < 3 * sections[2] ? 2 : 0;
            (double sine, double cosine) = Math.SinCos(positions[axis] * frequencies[i]);
            (sectioned[i], sectioned[32 + i]) = ((float)cosine, (float)sine);
        }
        Assert.Equal(sectioned, plain);
    }
}
