using System.Runtime.InteropServices;
using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Qanat.Kernels;

/// <summary>What an assembled loop needs to score some queries against key groups that follow one another.</summary>
internal unsafe struct ScoreArgs
{
    /// <summary>[Groups][Dims][16 tokens].</summary>
    public void* Keys;

    /// <summary>As many queries as the function scores, [Dims] each.</summary>
    public float** Queries;

    /// <summary>[queries][Groups x 16].</summary>
    public float* Scores;

    /// <summary>Bytes from a query's scores to the next one's.</summary>
    public nint ScoreStride;

    /// <summary>A multiple of 16.</summary>
    public nint Dims;

    /// <summary>At least 1.</summary>
    public nint Groups;
}

/// <summary>What an assembled loop needs to make exponentials the weights of a query.</summary>
internal unsafe struct ShareArgs
{
    /// <summary>[Groups x 16], replaced.</summary>
    public float* Weights;

    public nint Groups;
    public float Share;
}

/// <summary>What an assembled loop needs to add weighted values to the sums of some queries.</summary>
internal unsafe struct GatherArgs
{
    /// <summary>[Tokens][16 x Slices]. Moved on by the loop.</summary>
    public void* Values;

    /// <summary>Bytes from a token's values to the next one's.</summary>
    public nint ValueStride;

    /// <summary>[queries][Tokens].</summary>
    public float* Weights;

    /// <summary>Bytes from a query's weights to the next one's.</summary>
    public nint WeightStride;

    /// <summary>At least 1.</summary>
    public nint Tokens;

    /// <summary>[queries][16 x Slices], added to.</summary>
    public float* Sums;

    /// <summary>Bytes from a query's sums to the next one's.</summary>
    public nint SumStride;

    /// <summary>Parts of 16 dimensions; at least 1.</summary>
    public nint Slices;
}

/// <summary>Attention's inner loops as 256-bit code for AVX2, FMA and F16C, in the System V convention: functions void(ScoreArgs*), void(GatherArgs*) and void(ShareArgs*).
/// Two vectors of each of up to six queries are summed in twelve registers, so that eight loads feed twelve multiplications, as many as the processor can start meanwhile. Halves are widened where they are
/// multiplied, so that no second copy of keys and values takes room in the nearest cache. The same operations in the same order as <see cref="Attention"/>'s loops in C#.</summary>
/// <param name="halves">Keys and values are halves, else singles.</param>
/// <param name="queries">1 to <see cref="QueriesMax"/>.</param>
internal sealed class AttentionAssembler(bool halves, int queries)
{
    /// <summary>Most queries of one function.</summary>
    public const int QueriesMax = 6;

    private const int VectorBytes = 32;
    private const int DimsPerTurn = 4;

    private readonly Assembler _code = new(64);

    private int LanesBytes => KvLayout.GroupTokens * (halves ? sizeof(ushort) : sizeof(float));

    /// <summary>ymm0-11: sums; ymm12-13: 16 keys' numbers of one dimension. rax: next keys; rdx: scores; rcx: their stride; r10: bytes from the next dimension to the ends of the queries, which stand in registers.</summary>
    public byte[] Score()
    {
        Label group = _code.CreateLabel(), dims = _code.CreateLabel();
        _code.push(rbx);
        _code.push(r12);
        _code.push(r13);
        _code.push(r14);
        _code.mov(rax, Argument<ScoreArgs>(nameof(ScoreArgs.Keys)));
        _code.mov(rcx, Argument<ScoreArgs>(nameof(ScoreArgs.ScoreStride)));
        _code.mov(r14, Argument<ScoreArgs>(nameof(ScoreArgs.Queries)));
        _code.mov(r10, Argument<ScoreArgs>(nameof(ScoreArgs.Dims)));
        for (int q = 0; q < queries; q++)
        {
            _code.mov(Query(q), __qword_ptr[r14 + q * 8]);
            _code.lea(Query(q), Query(q) + r10 * sizeof(float));
        }
        _code.mov(rdx, Argument<ScoreArgs>(nameof(ScoreArgs.Scores)));
        _code.mov(r9, Argument<ScoreArgs>(nameof(ScoreArgs.Groups)));
        _code.Label(ref group);
        _code.mov(r10, Argument<ScoreArgs>(nameof(ScoreArgs.Dims)));
        _code.shl(r10, 2);
        _code.neg(r10);
        for (int i = 0; i < 2 * queries; i++)
            _code.vxorps(Sum(i), Sum(i), Sum(i));
        _code.Label(ref dims);
        for (int d = 0; d < DimsPerTurn; d++)
        {
            Load(rax + d * LanesBytes);
            for (int q = 0; q < queries; q++)
                Multiply(q, Query(q) + r10 + d * sizeof(float));
        }
        _code.add(rax, DimsPerTurn * LanesBytes);
        _code.add(r10, DimsPerTurn * sizeof(float));
        _code.jnz(dims);
        _code.mov(r14, rdx);
        for (int q = 0; q < queries; q++)
        {
            for (int half = 0; half < 2; half++)
                _code.vmovups(__ymmword_ptr[r14 + half * VectorBytes], Sum(2 * q + half));
            _code.add(r14, rcx);
        }
        _code.add(rdx, 2 * VectorBytes);
        _code.dec(r9);
        _code.jnz(group);
        _code.pop(r14);
        _code.pop(r13);
        _code.pop(r12);
        _code.pop(rbx);
        return End();
    }

    /// <summary>ymm0-11: sums; ymm12-13: 16 dimensions of a value. rax: next value; rsi, r11: next weight of the first and the fourth query; rcx: from a query's weights to the next one's.</summary>
    public byte[] Gather()
    {
        Label slice = _code.CreateLabel(), tokens = _code.CreateLabel();
        _code.mov(rcx, Argument<GatherArgs>(nameof(GatherArgs.WeightStride)));
        _code.mov(r8, Argument<GatherArgs>(nameof(GatherArgs.ValueStride)));
        _code.mov(rdx, Argument<GatherArgs>(nameof(GatherArgs.Sums)));
        _code.mov(r9, Argument<GatherArgs>(nameof(GatherArgs.Slices)));
        _code.Label(ref slice);
        EachSum((sum, place) => _code.vmovups(sum, place));
        _code.mov(rsi, Argument<GatherArgs>(nameof(GatherArgs.Weights)));
        _code.lea(r11, rcx + rcx * 2);
        _code.add(r11, rsi);
        _code.mov(rax, Argument<GatherArgs>(nameof(GatherArgs.Values)));
        _code.mov(r10, Argument<GatherArgs>(nameof(GatherArgs.Tokens)));
        _code.Label(ref tokens);
        Load(rax + 0);
        for (int q = 0; q < queries; q++)
            Multiply(q, At(rsi, q));
        _code.add(rax, r8);
        _code.add(rsi, sizeof(float));
        _code.add(r11, sizeof(float));
        _code.dec(r10);
        _code.jnz(tokens);
        EachSum((sum, place) => _code.vmovups(place, sum));
        _code.add(rdx, 2 * VectorBytes);
        _code.add(Argument<GatherArgs>(nameof(GatherArgs.Values)), LanesBytes);
        _code.dec(r9);
        _code.jnz(slice);
        return End();
    }

    /// <summary>A function void(ShareArgs*): each number times the share, rounded to the nearest half.</summary>
    public static byte[] Round()
    {
        var code = new Assembler(64);
        Label loop = code.CreateLabel();
        code.mov(rax, Argument<ShareArgs>(nameof(ShareArgs.Weights)));
        code.mov(rcx, Argument<ShareArgs>(nameof(ShareArgs.Groups)));
        code.vbroadcastss(ymm2, __dword_ptr[rdi + (int)Marshal.OffsetOf<ShareArgs>(nameof(ShareArgs.Share))]);
        code.Label(ref loop);
        for (int half = 0; half < 2; half++)
        {
            (AssemblerRegisterYMM eight, AssemblerRegisterXMM rounded) = half == 0 ? (ymm0, xmm0) : (ymm1, xmm1);
            code.vmulps(eight, ymm2, __ymmword_ptr[rax + half * VectorBytes]);
            code.vcvtps2ph(rounded, eight, 0);
            code.vcvtph2ps(eight, rounded);
            code.vmovups(__ymmword_ptr[rax + half * VectorBytes], eight);
        }
        code.add(rax, 2 * VectorBytes);
        code.dec(rcx);
        code.jnz(loop);
        return End(code);
    }

    /// <summary>Where a query ends.</summary>
    private static AssemblerRegister64 Query(int index) => index switch
    {
        0 => rsi,
        1 => r8,
        2 => r11,
        3 => rbx,
        4 => r12,
        5 => r13,
        _ => throw new ArgumentOutOfRangeException(nameof(index), index, "there are six queries at most"),
    };

    private static AssemblerRegisterYMM Sum(int index) => index switch
    {
        0 => ymm0,
        1 => ymm1,
        2 => ymm2,
        3 => ymm3,
        4 => ymm4,
        5 => ymm5,
        6 => ymm6,
        7 => ymm7,
        8 => ymm8,
        9 => ymm9,
        10 => ymm10,
        11 => ymm11,
        _ => throw new ArgumentOutOfRangeException(nameof(index), index, "six queries have twelve sums"),
    };

    /// <summary>A query's place where queries stand rcx bytes apart; r11 is the place of the fourth.</summary>
    private static AssemblerMemoryOperand At(AssemblerRegister64 first, int query) => (query % 3) switch
    {
        0 => (query < 3 ? first : r11) + 0,
        1 => (query < 3 ? first : r11) + rcx,
        _ => (query < 3 ? first : r11) + rcx * 2,
    };

    private static AssemblerMemoryOperand Argument<T>(string field) => __qword_ptr[rdi + (int)Marshal.OffsetOf<T>(field)];

    private void Load(AssemblerMemoryOperand place)
    {
        for (int half = 0; half < 2; half++)
        {
            AssemblerRegisterYMM target = half == 0 ? ymm12 : ymm13;
            if (halves)
                _code.vcvtph2ps(target, __xmmword_ptr[place + half * VectorBytes / 2]);
            else
                _code.vmovups(target, __ymmword_ptr[place + half * VectorBytes]);
        }
    }

    private void Multiply(int query, AssemblerMemoryOperand number)
    {
        _code.vbroadcastss(ymm14, __dword_ptr[number]);
        _code.vfmadd231ps(Sum(2 * query), ymm12, ymm14);
        _code.vfmadd231ps(Sum(2 * query + 1), ymm13, ymm14);
    }

    /// <summary>Every sum and its place in memory; uses rsi.</summary>
    private void EachSum(Action<AssemblerRegisterYMM, AssemblerMemoryOperand> action)
    {
        _code.mov(rsi, rdx);
        for (int q = 0; q < queries; q++)
        {
            if (q > 0)
                _code.add(rsi, Argument<GatherArgs>(nameof(GatherArgs.SumStride)));
            for (int half = 0; half < 2; half++)
                action(Sum(2 * q + half), __ymmword_ptr[rsi + half * VectorBytes]);
        }
    }

    private byte[] End() => End(_code);

    private static byte[] End(Assembler code)
    {
        code.vzeroupper();
        code.ret();
        using var stream = new MemoryStream();
        code.Assemble(new StreamCodeWriter(stream), 0);
        return stream.ToArray();
    }
}
