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

    /// <summary>When weights are packed for the kernels.</summary>
    public WeightPacking Packing { get; init; }

    /// <summary>Told after each layer how many are read, and of how many; what it throws ends the reading.</summary>
    public Action<int, int>? LayerRead { get; init; }
}

/// <summary>When weights are packed for the kernels. The numbers that come out are the same.</summary>
public enum WeightPacking
{
    /// <summary>Before the network is there: its file may then be closed.</summary>
    AtLoad,

    /// <summary>By <see cref="Network.PackNext"/>. Until then steps read the file's rows, which takes longer and needs the file open: it becomes the network's, to be closed when all is packed.</summary>
    Later,
}
