using Qanat.Kernels;

namespace Qanat.Models;

/// <summary>How a network computes.</summary>
public sealed record NetworkOptions
{
    /// <summary>Threads that compute, including the caller's; null: one per physical core.</summary>
    public int? Threads { get; init; }

    /// <summary>The instruction set; null: the fastest of this machine.</summary>
    public CpuTier? Tier { get; init; }

    /// <summary>How keys and values are kept: bytes take about half the memory of halves and cost a little precision.</summary>
    public KvFormat Kv { get; init; }
}
