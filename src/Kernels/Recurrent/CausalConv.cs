using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace Qanat.Kernels;

/// <summary>A causal convolution of each channel over the rows of one sequence, then silu: y[t] = silu(sum over j of w[j] x[t - K + 1 + j]). Rows are replaced by their results.</summary>
public static unsafe class CausalConv
{
    /// <summary>Most inputs a result depends on.</summary>
    public const int KernelMax = 8;

    private const int ChannelsTogether = 256;

    /// <param name="rows">[count x rowStride]; channels [0, channels) of each row.</param>
    /// <param name="rowStride">Singles between rows.</param>
    /// <param name="count">At least 1.</param>
    /// <param name="channels">A multiple of 16.</param>
    /// <param name="weights">[kernel x weightStride], oldest input first.</param>
    /// <param name="weightStride">Channels between the weights of one input and of the next, as between the inputs in the states.</param>
    /// <param name="kernel">2 to <see cref="KernelMax"/>.</param>
    /// <param name="stateIn">[kernel - 1 x weightStride]: the inputs before the first row, oldest first; null: zeros.</param>
    /// <param name="stateOut">The same after the last row; may be stateIn.</param>
    public static void Run(float* rows, int rowStride, int count, int channels, float* weights, int weightStride, int kernel, float* stateIn, float* stateOut)
    {
        if (!Vector512.IsHardwareAccelerated)
        {
            Run_Vector256(rows, rowStride, count, channels, weights, weightStride, kernel, stateIn, stateOut);
            return;
        }
        Vector512<float>* window = stackalloc Vector512<float>[KernelMax];
        Vector512<float>* w = stackalloc Vector512<float>[KernelMax];
        for (int channel = 0; channel < channels; channel += Lanes.Count)
        {
            for (int j = 0; j < kernel; j++)
                w[j] = Vector512.Load(weights + (long)j * weightStride + channel);
            for (int j = 0; j < kernel - 1; j++)
                window[j] = stateIn is null ? Vector512<float>.Zero : Vector512.Load(stateIn + (long)j * weightStride + channel);
            float* x = rows + channel;
            for (int row = 0; row < count; row++, x += rowStride)
            {
                window[kernel - 1] = Vector512.Load(x);
                Vector512<float> sum = window[0] * w[0];
                for (int j = 1; j < kernel; j++)
                    sum = Vector512.FusedMultiplyAdd(window[j], w[j], sum);
                (sum / (Vector512<float>.One + Lanes.Exp(-sum))).Store(x);
                for (int j = 1; j < kernel; j++)
                    window[j - 1] = window[j];
            }
            for (int j = 0; j < kernel - 1; j++)
                window[j].Store(stateOut + (long)j * weightStride + channel);
        }
    }

    /// <summary>Row by row, with the last inputs of some channels in a ring: channel by channel a row would be read in pieces smaller than a line of the cache, far apart from each other.</summary>
    [SkipLocalsInit]
    private static void Run_Vector256(float* rows, int rowStride, int count, int channels, float* weights, int weightStride, int kernel, float* stateIn, float* stateOut)
    {
        float* memory = stackalloc float[KernelMax * ChannelsTogether];
        float** ring = stackalloc float*[KernelMax];
        for (int first = 0; first < channels; first += ChannelsTogether)
        {
            int together = Math.Min(ChannelsTogether, channels - first);
            for (int j = 0; j < kernel; j++)
            {
                ring[j] = memory + j * ChannelsTogether;
                if (j == kernel - 1)
                    continue;
                if (stateIn is null)
                    new Span<float>(ring[j], together).Clear();
                else
                    new Span<float>(stateIn + (long)j * weightStride + first, together).CopyTo(new Span<float>(ring[j], together));
            }
            float* x = rows + first;
            for (int row = 0; row < count; row++, x += rowStride)
            {
                new Span<float>(x, together).CopyTo(new Span<float>(ring[kernel - 1], together));
                for (int channel = 0; channel < together; channel += 8)
                {
                    float* w = weights + first + channel;
                    Vector256<float> sum = Vector256.Load(ring[0] + channel) * Vector256.Load(w);
                    for (int j = 1; j < kernel; j++)
                        sum = Vector256.FusedMultiplyAdd(Vector256.Load(ring[j] + channel), Vector256.Load(w + (long)j * weightStride), sum);
                    (sum / (Vector256<float>.One + Lanes.Exp(-sum))).Store(x + channel);
                }
                float* oldest = ring[0];
                for (int j = 1; j < kernel; j++)
                    ring[j - 1] = ring[j];
                ring[kernel - 1] = oldest;
            }
            for (int j = 0; j < kernel - 1; j++)
                new Span<float>(ring[j], together).CopyTo(new Span<float>(stateOut + (long)j * weightStride + first, together));
        }
    }

    /// <summary>Scalar twin of <see cref="Run"/>, bit for bit.</summary>
    public static void Run_Scalar(float* rows, int rowStride, int count, int channels, float* weights, int weightStride, int kernel, float* stateIn, float* stateOut)
    {
        for (int channel = 0; channel < channels; channel++)
        {
            float[] inputs = new float[kernel - 1 + count];
            for (int j = 0; j < kernel - 1; j++)
                inputs[j] = stateIn is null ? 0 : stateIn[(long)j * weightStride + channel];
            for (int row = 0; row < count; row++)
                inputs[kernel - 1 + row] = rows[(long)row * rowStride + channel];
            for (int row = 0; row < count; row++)
            {
                float sum = inputs[row] * weights[channel];
                for (int j = 1; j < kernel; j++)
                    sum = MathF.FusedMultiplyAdd(inputs[row + j], weights[(long)j * weightStride + channel], sum);
                rows[(long)row * rowStride + channel] = sum / (1 + Lanes.Exp(-sum));
            }
            for (int j = 0; j < kernel - 1; j++)
                stateOut[(long)j * weightStride + channel] = inputs[count + j];
        }
    }
}
