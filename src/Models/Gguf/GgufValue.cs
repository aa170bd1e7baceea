namespace Qanat.Models;

/// <summary>The kinds of metadata values, with their ids in the file.</summary>
public enum GgufKind
{
    UInt8 = 0,
    Int8 = 1,
    UInt16 = 2,
    Int16 = 3,
    UInt32 = 4,
    Int32 = 5,
    Float32 = 6,
    Bool = 7,
    String = 8,
    Array = 9,
    UInt64 = 10,
    Int64 = 11,
    Float64 = 12,
}

/// <summary>One metadata value: a number, a truth value, a string, or an array of one of these.</summary>
public sealed class GgufValue
{
    private readonly object _value;

    internal GgufValue(GgufKind kind, GgufKind elementKind, object value)
    {
        Kind = kind;
        ElementKind = elementKind;
        _value = value;
    }

    public GgufKind Kind { get; }

    /// <summary>Kind of an array's elements; the value's own kind when it is no array.</summary>
    public GgufKind ElementKind { get; }

    /// <summary>The boxed number, string, or typed array (byte[], int[], string[] ...). Strings of a file are made anew at each call.</summary>
    public object Raw => _value is ByteStrings texts ? texts.Texts() : _value;

    public static GgufValue Of(uint value) => new(GgufKind.UInt32, GgufKind.UInt32, value);
    public static GgufValue Of(int value) => new(GgufKind.Int32, GgufKind.Int32, value);
    public static GgufValue Of(ulong value) => new(GgufKind.UInt64, GgufKind.UInt64, value);
    public static GgufValue Of(float value) => new(GgufKind.Float32, GgufKind.Float32, value);
    public static GgufValue Of(bool value) => new(GgufKind.Bool, GgufKind.Bool, value);
    public static GgufValue Of(string value) => new(GgufKind.String, GgufKind.String, value);
    public static GgufValue Of(string[] value) => new(GgufKind.Array, GgufKind.String, value);
    internal static GgufValue Of(ByteStrings value) => new(GgufKind.Array, GgufKind.String, value);
    public static GgufValue Of(int[] value) => new(GgufKind.Array, GgufKind.Int32, value);
    public static GgufValue Of(uint[] value) => new(GgufKind.Array, GgufKind.UInt32, value);
    public static GgufValue Of(float[] value) => new(GgufKind.Array, GgufKind.Float32, value);
    public static GgufValue Of(bool[] value) => new(GgufKind.Array, GgufKind.Bool, value);

    /// <summary>A whole number of any width; false for other kinds and for values beyond 63 bits.</summary>
    public bool TryInteger(out long number) => TryInteger(Kind, _value, out number);

    /// <summary>A number, whole or not.</summary>
    public bool TryNumber(out double number)
    {
        switch (_value)
        {
            case float f:
                number = f;
                return true;
            case double d:
                number = d;
                return true;
            default:
                bool whole = TryInteger(out long integer);
                number = integer;
                return whole;
        }
    }

    public bool TryText(out string text)
    {
        text = _value as string ?? "";
        return _value is string;
    }

    public bool TryFlag(out bool flag)
    {
        flag = _value is true;
        return _value is bool;
    }

    public bool TryTexts(out string[] texts)
    {
        texts = _value is ByteStrings bytes ? bytes.Texts() : _value as string[] ?? [];
        return _value is ByteStrings or string[];
    }

    internal bool TryTexts(out ByteStrings texts)
    {
        texts = _value as ByteStrings ?? ByteStrings.Of(_value as string[] ?? []);
        return _value is ByteStrings or string[];
    }

    public bool TrySingles(out float[] numbers)
    {
        numbers = _value as float[] ?? [];
        return _value is float[];
    }

    /// <summary>An array of whole numbers of any width, each within int; false otherwise.</summary>
    public bool TryIntegers(out int[] numbers)
    {
        numbers = [];
        if (_value is int[] own)
        {
            numbers = [.. own];
            return true;
        }
        if (Kind != GgufKind.Array || _value is not Array array || array is string[] or bool[] or float[] or double[])
            return false;
        var result = new int[array.Length];
        for (int i = 0; i < result.Length; i++)
        {
            if (!TryInteger(ElementKind, array.GetValue(i)!, out long number) || number is < int.MinValue or > int.MaxValue)
                return false;
            result[i] = (int)number;
        }
        numbers = result;
        return true;
    }

    public override string ToString() => _value switch
    {
        string text => text,
        ByteStrings texts => $"[{texts.Count} x {ElementKind}]",
        Array array => $"[{array.Length} x {ElementKind}]",
        IFormattable number => number.ToString(null, System.Globalization.CultureInfo.InvariantCulture),
        _ => _value.ToString() ?? "",
    };

    private static bool TryInteger(GgufKind kind, object value, out long number)
    {
        number = kind switch
        {
            GgufKind.UInt8 => (byte)value,
            GgufKind.Int8 => (sbyte)value,
            GgufKind.UInt16 => (ushort)value,
            GgufKind.Int16 => (short)value,
            GgufKind.UInt32 => (uint)value,
            GgufKind.Int32 => (int)value,
            GgufKind.Int64 => (long)value,
            GgufKind.UInt64 => (ulong)value <= long.MaxValue ? (long)(ulong)value : -1,
            _ => 0,
        };
        return kind switch
        {
            GgufKind.UInt64 => number >= 0,
            GgufKind.UInt8 or GgufKind.Int8 or GgufKind.UInt16 or GgufKind.Int16 or GgufKind.UInt32 or GgufKind.Int32 or GgufKind.Int64 => true,
            _ => false,
        };
    }
}
