using System.Collections.Immutable;
using System.Numerics;
using CsCheck;

namespace Qanat.Books.Tests;

public class AllocationTests
{
    private static readonly Gen<Int128> Total = Gen.Select(Gen.Long, Gen.ULong, (high, low) => new Int128(unchecked((ulong)(high >> 20)), low));
    private static readonly Gen<long[]> Weights = Gen.Frequency((8, Gen.Long[0, 1000]), (1, Gen.Long[0, long.MaxValue]), (1, Gen.Const(0L))).Array[1, 12].Where(w => w.Any(x => x > 0));

    [Fact]
    public void Parts_sum_to_the_whole_and_each_lies_between_its_floor_and_ceiling() => Gen.Select(Total, Weights).Sample((total, weights) =>
    {
        ImmutableArray<Money> parts = Allocation.Split(new Money(total, Currency.Usd), weights);
        BigInteger sum = weights.Aggregate(BigInteger.Zero, (s, w) => s + w);
        Assert.Equal(total, parts.Aggregate(Int128.Zero, (s, p) => s + p.Picos));
        for (int i = 0; i < weights.Length; i++)
        {
            // |part x sum - total x weight| < sum  <=>  the part is less than one pico from the exact share.
            Assert.True(BigInteger.Abs((BigInteger)parts[i].Picos * sum - (BigInteger)total * weights[i]) < sum);
            if (weights[i] == 0) Assert.True(parts[i].IsZero);
        }
    });

    [Fact]
    public void A_part_is_the_first_of_two_whatever_its_size() => Gen.Select(Gen.OneOf(Total, Gen.Long.Select(narrow => (Int128)narrow), Gen.Long[-9, 9].Select(small => (Int128)small)), Gen.OneOf(Gen.Long[0, 5], Gen.Long[0, long.MaxValue]), Gen.OneOf(Gen.Long[0, 5], Gen.Long[0, long.MaxValue])).Where((_, a, b) => a > 0 || b > 0)
        .Sample((total, weight, other) => Assert.Equal(Allocation.Split(total, (ReadOnlySpan<Int128>)[weight, other])[0], Allocation.Part(total, weight, other)));

    [Fact]
    public void A_part_refuses_what_a_split_refuses()
    {
        Assert.Equal(0, Allocation.Part((Int128)0, 0, 0));
        Assert.Throws<ArgumentException>(() => Allocation.Part((Int128)1, 0, 0));
        Assert.Throws<ArgumentException>(() => Allocation.Part((Int128)1, -1, 2));
        Assert.Throws<ArgumentException>(() => Allocation.Part((Int128)1, 2, -1));
        Assert.Equal(Int128.MinValue, Allocation.Part(Int128.MinValue, 1, 0));
    }

    [Fact]
    public void Of_equal_remainders_the_earlier_part_gets_the_pico()
    {
        Assert.Equal([34L, 33, 33], Allocation.Split(100L, [1, 1, 1]));
        Assert.Equal([34L, 34, 33], Allocation.Split(101L, [1, 1, 1]));
        Assert.Equal([-34L, -33, -33], Allocation.Split(-100L, [1, 1, 1]));
    }

    [Fact]
    public void The_largest_remainder_is_rounded_up_first() => Assert.Equal([1L, 3, 6], Allocation.Split(10L, [13, 28, 59]));

    [Fact]
    public void A_larger_weight_never_gets_less() => Gen.Select(Gen.Long[0, 1_000_000], Weights).Sample((total, weights) =>
    {
        ImmutableArray<long> parts = Allocation.Split(total, weights);
        for (int i = 0; i < weights.Length; i++)
            for (int j = 0; j < weights.Length; j++)
                if (weights[i] > weights[j]) Assert.True(parts[i] >= parts[j]);
    });

    [Fact]
    public void Nothing_can_be_split_over_nothing_but_zero()
    {
        Assert.Equal([0L, 0], Allocation.Split(0L, [0, 0]));
        Assert.Throws<ArgumentException>(() => Allocation.Split(1L, [0, 0]));
        Assert.Throws<ArgumentException>(() => Allocation.Split(1L, []));
        Assert.Throws<ArgumentException>(() => Allocation.Split(1L, [2, -1]));
    }

    [Fact]
    public void The_extremes_split_exactly()
    {
        ImmutableArray<Int128> parts = Allocation.Split(Int128.MaxValue, (ReadOnlySpan<Int128>)[Int128.MaxValue, Int128.MaxValue, 1]);
        Assert.Equal(Int128.MaxValue, parts[0] + parts[1] + parts[2]);
        Assert.Equal(Int128.MinValue, Allocation.Split(Int128.MinValue, (ReadOnlySpan<Int128>)[1])[0]);
    }
}
