using System.Runtime.InteropServices;
using Iced.Intel;

namespace Qanat.Kernels.Tests;

/// <summary>Runs the emitted kernels' instructions one by one on any machine, by the definitions of Intel's manual: what an assembler emits is tested where the processor could not run it.
/// An instruction that no assembler uses is an error.</summary>
internal sealed unsafe class MachineInterpreter
{
    private readonly Instruction[] _code;
    private readonly Dictionary<ulong, int> _indexByAddress = [];
    private readonly ulong[] _general = new ulong[16];
    private readonly byte[][] _vectors = [.. Enumerable.Range(0, 32).Select(_ => new byte[64])];
    private readonly ulong[] _stack = new ulong[512];
    private readonly List<ulong> _asked = [];
    private bool _zero;

    public MachineInterpreter(byte[] code)
    {
        var decoder = Decoder.Create(64, code);
        var instructions = new List<Instruction>();
        while (decoder.IP < (ulong)code.Length)
        {
            _indexByAddress[decoder.IP] = instructions.Count;
            instructions.Add(decoder.Decode());
        }
        _code = [.. instructions];
    }

    /// <summary>How often an instruction stands in the code, in this encoding.</summary>
    public int Count(Code code) => _code.Count(instruction => instruction.Code == code);

    /// <summary>Addresses of memory that was asked for ahead, in order.</summary>
    public IReadOnlyList<ulong> Asked => _asked;

    /// <summary>Calls the function with one pointer, as the System V convention passes it.</summary>
    public void Call(void* argument)
    {
        fixed (ulong* stack = _stack)
        {
            _general[Index(Register.RDI)] = (ulong)argument;
            _general[Index(Register.RSP)] = (ulong)(stack + _stack.Length);
            Run();
        }
    }

    private void Run()
    {
        for (int next = 0; ;)
        {
            ref readonly Instruction instruction = ref _code[next++];
            if (instruction.Mnemonic == Mnemonic.Ret)
                return;
            if (instruction.Mnemonic == Mnemonic.Jne)
                next = _zero ? next : _indexByAddress[instruction.NearBranchTarget];
            else if (instruction.Mnemonic == Mnemonic.Prefetcht0)
                _asked.Add(Address(instruction));
            else if (instruction.Op0Kind == OpKind.Register && instruction.Op0Register.IsGPR())
                General(instruction);
            else if (instruction.Mnemonic != Mnemonic.Vzeroupper)
                Vector(instruction);
        }
    }

    private void General(in Instruction instruction)
    {
        ref ulong target = ref _general[Index(instruction.Op0Register)];
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Mov: target = Value(instruction); break;
            case Mnemonic.Lea: target = Address(instruction); break;
            case Mnemonic.Add: target += Value(instruction); break;
            case Mnemonic.Sub: target -= Value(instruction); break;
            case Mnemonic.And: target &= Value(instruction); break;
            case Mnemonic.Push: *(ulong*)(_general[Index(Register.RSP)] -= sizeof(ulong)) = target; break;
            case Mnemonic.Pop: target = *(ulong*)_general[Index(Register.RSP)]; _general[Index(Register.RSP)] += sizeof(ulong); break;
            case Mnemonic.Shl: target <<= (int)Value(instruction); break;
            case Mnemonic.Dec: target--; _zero = target == 0; break;
            default: throw new NotSupportedException(instruction.ToString());
        }
    }

    private ulong Value(in Instruction instruction) => instruction.Op1Kind switch
    {
        OpKind.Memory => *(ulong*)Address(instruction),
        OpKind.Register => _general[Index(instruction.Op1Register)],
        _ => instruction.GetImmediate(1),
    };

    private void Vector(in Instruction instruction)
    {
        if (instruction.Op0Kind == OpKind.Memory)
        {
            int size = instruction.Op1Register.GetSize();
            _vectors[instruction.Op1Register.GetNumber()].AsSpan(0, size).CopyTo(new Span<byte>((void*)Address(instruction), size));
            return;
        }
        byte[] target = _vectors[instruction.Op0Register.GetNumber()];
        byte[] a = Operand(instruction, 1);
        byte[] b = instruction.OpCount > 2 && instruction.GetOpKind(2) is OpKind.Register or OpKind.Memory ? Operand(instruction, 2) : [];
        int count = instruction.OpCount > 2 ? (int)(instruction.GetOpKind(2) == OpKind.Immediate8 ? instruction.Immediate8 : 0) : 0;
        int chosen = instruction.Immediate8;
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Vmovdqa64 or Mnemonic.Vmovups or Mnemonic.Vmovaps or Mnemonic.Vmovdqa or Mnemonic.Vmovdqu or Mnemonic.Vmovd: a.CopyTo(target, 0); break;
            case Mnemonic.Vpbroadcastd or Mnemonic.Vbroadcastss: Each<uint>(target, i => Of<uint>(a)[0]); break;
            case Mnemonic.Vpxord or Mnemonic.Vpxor: Each<uint>(target, i => Of<uint>(a)[i] ^ Of<uint>(b)[i]); break;
            case Mnemonic.Vpandd or Mnemonic.Vpand: Each<uint>(target, i => Of<uint>(a)[i] & Of<uint>(b)[i]); break;
            case Mnemonic.Vpor: Each<uint>(target, i => Of<uint>(a)[i] | Of<uint>(b)[i]); break;
            case Mnemonic.Vpternlogd: Ternary(target, a, b, instruction.Immediate8); break;
            case Mnemonic.Vpaddd: Each<int>(target, i => Of<int>(a)[i] + Of<int>(b)[i]); break;
            case Mnemonic.Vpsubd: Each<int>(target, i => Of<int>(a)[i] - Of<int>(b)[i]); break;
            case Mnemonic.Vpmulld: Each<int>(target, i => Of<int>(a)[i] * Of<int>(b)[i]); break;
            case Mnemonic.Vpsrlw: Each<ushort>(target, i => (ushort)(Of<ushort>(a)[i] >> count)); break;
            case Mnemonic.Vpsllw: Each<ushort>(target, i => (ushort)(Of<ushort>(a)[i] << count)); break;
            case Mnemonic.Vpsrld: Each<uint>(target, i => Of<uint>(a)[i] >> count); break;
            case Mnemonic.Vpslld: Each<uint>(target, i => Of<uint>(a)[i] << count); break;
            case Mnemonic.Vpsrad: Each<int>(target, i => Of<int>(a)[i] >> count); break;
            case Mnemonic.Vpaddw: Each<short>(target, i => (short)(Of<short>(a)[i] + Of<short>(b)[i])); break;
            case Mnemonic.Vpcmpeqw: Each<short>(target, i => (short)(Of<short>(a)[i] == Of<short>(b)[i] ? -1 : 0)); break;
            case Mnemonic.Vpblendw: Each<short>(target, i => (chosen >> i % 8 & 1) != 0 ? Of<short>(b)[i] : Of<short>(a)[i]); break;
            case Mnemonic.Vpabsb: Each<sbyte>(target, i => (sbyte)Math.Abs((int)(sbyte)a[i])); break;
            case Mnemonic.Vpsignb: Each<sbyte>(target, i => (sbyte)((sbyte)a[i] * Math.Sign((sbyte)b[i]))); break;
            case Mnemonic.Vpmaddubsw: Each<short>(target, i => (short)Math.Clamp(Enumerable.Range(2 * i, 2).Sum(k => a[k] * (sbyte)b[k]), short.MinValue, short.MaxValue)); break;
            case Mnemonic.Vpmaddwd: Each<int>(target, i => Enumerable.Range(2 * i, 2).Sum(k => Of<short>(a)[k] * Of<short>(b)[k])); break;
            case Mnemonic.Vpmovsxbw: Each<short>(target, i => (sbyte)a[i]); break;
            case Mnemonic.Vcvtph2ps: Each<float>(target, i => (float)Of<Half>(a)[i]); break;
            case Mnemonic.Vcvtdq2ps: Each<float>(target, i => Of<int>(a)[i]); break;
            case Mnemonic.Vmulps: Each<float>(target, i => Of<float>(a)[i] * Of<float>(b)[i]); break;
            case Mnemonic.Vfmadd231ps: Each<float>(target, i => MathF.FusedMultiplyAdd(Of<float>(a)[i], Of<float>(b)[i], Of<float>(target)[i])); break;
            case Mnemonic.Vfmadd213ps: Each<float>(target, i => MathF.FusedMultiplyAdd(Of<float>(a)[i], Of<float>(target)[i], Of<float>(b)[i])); break;
            case Mnemonic.Vfnmadd231ps: Each<float>(target, i => MathF.FusedMultiplyAdd(-Of<float>(a)[i], Of<float>(b)[i], Of<float>(target)[i])); break;
            case Mnemonic.Vpdpbusd: Each<int>(target, i => Of<int>(target)[i] + Enumerable.Range(4 * i, 4).Sum(k => a[k] * (sbyte)b[k])); break;
            case Mnemonic.Vpdpwssd: Each<int>(target, i => Of<int>(target)[i] + Enumerable.Range(2 * i, 2).Sum(k => Of<short>(a)[k] * Of<short>(b)[k])); break;
            case Mnemonic.Vdpbf16ps: Each<float>(target, i => DotBFloat(a, b, 2 * i, Of<float>(target)[i])); break;
            default: throw new NotSupportedException(instruction.ToString());
        }
    }

    /// <summary>The odd number first; what is below the smallest normal number is zero, before and after each step.</summary>
    private static float DotBFloat(byte[] a, byte[] b, int pair, float sum)
    {
        for (int k = pair + 1; k >= pair; k--)
            sum = Flush(MathF.FusedMultiplyAdd(Flush(Float16.BFloatToSingle(Of<ushort>(a)[k])), Flush(Float16.BFloatToSingle(Of<ushort>(b)[k])), Flush(sum)));
        return sum;
    }

    private static float Flush(float value) => float.IsSubnormal(value) ? MathF.CopySign(0, value) : value;

    private static void Ternary(byte[] target, byte[] a, byte[] b, int table) => Each<uint>(target, i =>
    {
        uint result = 0;
        for (int bit = 0; bit < 32; bit++)
        {
            uint row = (Of<uint>(target)[i] >> bit & 1) << 2 | (Of<uint>(a)[i] >> bit & 1) << 1 | Of<uint>(b)[i] >> bit & 1;
            result |= ((uint)table >> (int)row & 1) << bit;
        }
        return result;
    });

    /// <summary>64 bytes of a register or of memory (fewer where the instruction reads fewer), or one number of memory in all lanes.</summary>
    private byte[] Operand(in Instruction instruction, int index)
    {
        var bytes = new byte[64];
        if (instruction.GetOpKind(index) == OpKind.Register)
        {
            Register register = instruction.GetOpRegister(index);
            if (register.IsGPR())
                MemoryMarshal.Write(bytes, _general[Index(register)]);
            else
                _vectors[register.GetNumber()].CopyTo(bytes, 0);
            return bytes;
        }
        var memory = (byte*)Address(instruction);
        int size = instruction.IsBroadcast ? 4 : instruction.MemorySize.GetSize();
        for (int i = 0; i < (instruction.IsBroadcast ? 64 : size); i++)
            bytes[i] = memory[i % size];
        return bytes;
    }

    private ulong Address(in Instruction instruction) =>
        _general[Index(instruction.MemoryBase)]
        + (instruction.MemoryIndex == Register.None ? 0 : _general[Index(instruction.MemoryIndex)] * (ulong)instruction.MemoryIndexScale)
        + instruction.MemoryDisplacement64;

    private static int Index(Register register) => register.GetFullRegister() - Register.RAX;

    private static Span<T> Of<T>(byte[] bytes) where T : unmanaged => MemoryMarshal.Cast<byte, T>(bytes.AsSpan());

    private static void Each<T>(byte[] target, Func<int, T> lane) where T : unmanaged
    {
        for (int i = 0; i < 64 / sizeof(T); i++)
            Of<T>(target)[i] = lane(i);
    }
}
