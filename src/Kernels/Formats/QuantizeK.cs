namespace Qanat.Kernels;

/// <summary>Blocks of 256 weights whose sub-blocks have integer scales. Per sub-block, a handful of ranges is tried; for each, the weights are rounded and the best scale (and minimum) for
/// those roundings follows from least squares. Larger weights count more: an error there moves a product further.</summary>
internal static class QuantizeK
{
    private const int Inputs = 256;
    private const int ScaleMax = 63;
    private const int Steps = 8;

    /// <summary>Q4_K and Q5_K: w = d * s * q - dmin * m.</summary>
    public static void WithMinima(ReadOnlySpan<float> x, Span<byte> target, int bits)
    {
        Span<float> scales = stackalloc float[8], minima = stackalloc float[8];
        float scaleMax = 0, minMax = 0;
        for (int sub = 0; sub < 8; sub++)
        {
            (scales[sub], minima[sub]) = FitRange(x.Slice(sub * 32, 32), (1 << bits) - 1);
            scaleMax = Math.Max(scaleMax, scales[sub]);
            minMax = Math.Max(minMax, minima[sub]);
        }
        target.Clear();
        Quantize.WriteHalf(target, scaleMax / ScaleMax);
        Quantize.WriteHalf(target[2..], minMax / ScaleMax);
        float d = Quantize.ReadHalf(target), dmin = Quantize.ReadHalf(target[2..]);
        for (int sub = 0; sub < 8; sub++)
        {
            int scale = Level(scales[sub], d), min = Level(minima[sub], dmin);
            StoreScale(target.Slice(4, 12), sub, scale, min);
            for (int i = 0; i < 32; i++)
                StoreValue(target[16..], bits, sub, i, Rounded(x[sub * 32 + i] + dmin * min, d * scale, (1 << bits) - 1));
        }
    }

    /// <summary>Q6_K: w = d * s * (q - 32).</summary>
    public static void SixBits(ReadOnlySpan<float> x, Span<byte> target)
    {
        Span<float> scales = stackalloc float[16];
        for (int sub = 0; sub < 16; sub++)
            scales[sub] = FitSigned(x.Slice(sub * 16, 16));
        target.Clear();
        // The scale of largest magnitude becomes -128: a signed byte goes one further below zero than above.
        Quantize.WriteHalf(target[208..], Quantize.Extreme(scales) / -128);
        float d = Quantize.ReadHalf(target[208..]);
        for (int sub = 0; sub < 16; sub++)
        {
            int scale = d == 0 ? 0 : (int)Math.Clamp(MathF.Round(scales[sub] / d), -128, 127);
            target[192 + sub] = (byte)(sbyte)scale;
            for (int i = sub * 16; i < sub * 16 + 16; i++)
            {
                int value = d * scale == 0 ? 32 : (int)Math.Clamp(MathF.Round(x[i] / (d * scale)), -32, 31) + 32;
                target[i / 128 * 64 + i % 64] |= (byte)((value & 15) << (i % 128 < 64 ? 0 : 4));
                target[128 + i / 128 * 32 + i % 32] |= (byte)(value >> 4 << i % 128 / 32 * 2);
            }
        }
    }

    /// <summary>Scale and minimum, neither below 0, with w about scale * q - min for q in 0..most.</summary>
    private static (float Scale, float Min) FitRange(ReadOnlySpan<float> x, int most)
    {
        float low = 0, high = 0, squares = 0;
        foreach (float value in x)
        {
            (low, high) = (Math.Min(low, value), Math.Max(high, value));
            squares += value * value;
        }
        if (high == low)
            return (0, -low);
        float typical = MathF.Sqrt(squares / x.Length);
        (float Scale, float Min) best = ((high - low) / most, -low);
        float least = Error(x, typical, best, most);
        for (int step = 0; step < Steps; step++)
        {
            // Ranges from a little wider than the numbers' own to one that clips their extremes.
            float inverse = (most + 0.25f * (step - 3)) / (high - low);
            float n = 0, q1 = 0, q2 = 0, x1 = 0, xq = 0;
            foreach (float value in x)
            {
                float weight = typical + Math.Abs(value);
                float q = Math.Clamp(MathF.Round((value - low) * inverse), 0, most);
                n += weight;
                q1 += weight * q;
                q2 += weight * q * q;
                x1 += weight * value;
                xq += weight * value * q;
            }
            float determinant = n * q2 - q1 * q1;
            if (determinant <= 0)
                continue;
            (float Scale, float Min) fit = ((n * xq - x1 * q1) / determinant, (q1 * xq - q2 * x1) / determinant);
            if (fit.Min < 0)
                fit = (xq / q2, 0);
            float error = Error(x, typical, fit, most);
            if (error < least)
                (best, least) = (fit, error);
        }
        return best;
    }

    private static float Error(ReadOnlySpan<float> x, float typical, (float Scale, float Min) fit, int most)
    {
        if (!(fit.Scale > 0))
            return float.PositiveInfinity;
        float inverse = 1 / fit.Scale, error = 0;
        foreach (float value in x)
        {
            float difference = fit.Scale * Math.Clamp(MathF.Round((value + fit.Min) * inverse), 0, most) - fit.Min - value;
            error += (typical + Math.Abs(value)) * difference * difference;
        }
        return error;
    }

    /// <summary>The scale with w about scale * q for q in -32..31; its sign lets the extreme number take the lowest value.</summary>
    private static float FitSigned(ReadOnlySpan<float> x)
    {
        float extreme = Quantize.Extreme(x);
        if (extreme == 0)
            return 0;
        float best = 0, gain = -1;
        for (int step = 0; step < Steps; step++)
        {
            float inverse = (-32 + 0.25f * (step - 2)) / extreme;
            float xq = 0, q2 = 0;
            foreach (float value in x)
            {
                float q = Math.Clamp(MathF.Round(value * inverse), -32, 31);
                xq += value * value * value * q;
                q2 += value * value * q * q;
            }
            // With the best scale xq / q2, the squared error is what all squares weigh less xq^2 / q2.
            if (q2 > 0 && xq * xq > gain * q2)
                (best, gain) = (xq / q2, xq * xq / q2);
        }
        return gain < 0 ? extreme / -32 : best;
    }

    private static int Level(float value, float unit) => unit == 0 ? 0 : (int)Math.Clamp(MathF.Round(value / unit), 0, ScaleMax);

    private static int Rounded(float value, float unit, int most) => unit == 0 ? 0 : (int)Math.Clamp(MathF.Round(value / unit), 0, most);

    private static void StoreScale(Span<byte> packed, int sub, int scale, int min)
    {
        if (sub < 4)
        {
            packed[sub] |= (byte)scale;
            packed[sub + 4] |= (byte)min;
            return;
        }
        packed[sub + 4] = (byte)(scale & 15 | (min & 15) << 4);
        packed[sub - 4] |= (byte)(scale >> 4 << 6);
        packed[sub] |= (byte)(min >> 4 << 6);
    }

    /// <param name="target">After the scales.</param>
    private static void StoreValue(Span<byte> target, int bits, int sub, int i, int value)
    {
        if (bits == 5)
            target[i] |= (byte)(value >> 4 << sub);
        target[(bits == 5 ? 32 : 0) + sub / 2 * 32 + i] |= (byte)((value & 15) << sub % 2 * 4);
    }
}
