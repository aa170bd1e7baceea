using System.Runtime.InteropServices;

namespace Qanat.Kernels;

/// <summary>The functions of <see cref="AttentionAssembler"/>, assembled and mapped when they are first asked for; they live as long as the process.</summary>
internal sealed unsafe class AttentionCode
{
    private const int CacheLineBytes = 64;

    private static readonly Lazy<AttentionCode?> _halves = new(() => Load(halves: true)), _singles = new(() => Load(halves: false));

    // Indexed by the number of queries. Native, so that jobs can point to them.
    private readonly nint* _functions = (nint*)NativeMemory.AllocZeroed(2 * (AttentionAssembler.QueriesMax + 1), (nuint)sizeof(nint));

    /// <summary>For numbers that are kept as halves; null where such code cannot run.</summary>
    public static AttentionCode? Halves => _halves.Value;

    /// <summary>For numbers that were widened to singles; null where such code cannot run.</summary>
    public static AttentionCode? Singles => _singles.Value;

    public delegate* unmanaged[SuppressGCTransition]<ScoreArgs*, void>* Score => (delegate* unmanaged[SuppressGCTransition]<ScoreArgs*, void>*)_functions;

    public delegate* unmanaged[SuppressGCTransition]<GatherArgs*, void>* Gather => (delegate* unmanaged[SuppressGCTransition]<GatherArgs*, void>*)(_functions + AttentionAssembler.QueriesMax + 1);

    public delegate* unmanaged[SuppressGCTransition]<ShareArgs*, void> Round { get; private set; }

    /// <summary>How many of the queries that are left the next call takes: there are functions for one, two, four and six.</summary>
    public static int Together(int left) => left >= AttentionAssembler.QueriesMax ? AttentionAssembler.QueriesMax : left >= 4 ? 4 : left >= 2 ? 2 : 1;

    private static AttentionCode? Load(bool halves)
    {
        if (EmittedKernels.Ymm.Refusal is not null)
            return null;
        var code = new AttentionCode();
        using var bytes = new MemoryStream();
        Span<int> starts = stackalloc int[2 * (AttentionAssembler.QueriesMax + 1)];
        for (int queries = AttentionAssembler.QueriesMax; queries > 0; queries = Together(queries - 1))
        {
            starts[queries] = Append(bytes, new AttentionAssembler(halves, queries).Score());
            starts[AttentionAssembler.QueriesMax + 1 + queries] = Append(bytes, new AttentionAssembler(halves, queries).Gather());
            if (queries == 1)
                break;
        }
        int round = Append(bytes, AttentionAssembler.Round());
        nint first;
        try
        {
            first = ExecutableMemory.Map(bytes.ToArray());
        }
        catch (PlatformNotSupportedException)
        {
            return null;
        }
        for (int i = 0; i < starts.Length; i++)
            code._functions[i] = first + starts[i];
        code.Round = (delegate* unmanaged[SuppressGCTransition]<ShareArgs*, void>)(first + round);
        return code;
    }

    private static int Append(MemoryStream bytes, byte[] function)
    {
        bytes.SetLength((bytes.Length + CacheLineBytes - 1) / CacheLineBytes * CacheLineBytes);
        bytes.Position = bytes.Length;
        var start = (int)bytes.Length;
        bytes.Write(function);
        return start;
    }
}
