using System.Text;
using CsCheck;

namespace Qanat.Models.Tests;

/// <summary>Random texts for properties.</summary>
internal static class SampleText
{
    private static readonly (int First, int Last)[] s_blocks =
    [
        (0x20, 0x7E), (0x20, 0x7E), (0x09, 0x0D), (0x80, 0x2FF), (0x300, 0x36F), (0x370, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F), (0xE00, 0xE7F), (0x1100, 0x11FF), (0x1E00, 0x1FFF),
        (0x2000, 0x206F), (0x3000, 0x30FF), (0x4E00, 0x4FFF), (0xAC00, 0xAD00), (0xFFF0, 0xFFFF),
    ];

    private static readonly (int First, int Last)[] s_astral = [(0x10400, 0x1044F), (0x11080, 0x110C0), (0x1D100, 0x1D1FF), (0x1D7CE, 0x1D7FF), (0x1F300, 0x1F6FF), (0x20000, 0x20100)];

    /// <summary>Well-formed, all planes.</summary>
    public static Gen<string> WellFormed { get; } = Of([.. s_blocks, .. s_astral]);

    /// <summary>Well-formed, nothing beyond U+FFFF.</summary>
    public static Gen<string> Basic { get; } = Of(s_blocks);

    /// <summary>With unpaired surrogates now and then.</summary>
    public static Gen<string> Any { get; } = Gen.Select(WellFormed, Gen.Char['\uD7F0', '\uE010'], Gen.Int[0, 3], (text, unit, kind) => kind == 0 ? text[..(text.Length / 2)] + unit + text[(text.Length / 2)..] : text);

    private static Gen<string> Of((int First, int Last)[] blocks) =>
        Gen.Select(Gen.Int[0, blocks.Length - 1], Gen.Int[0, 0xFFFF], Gen.Int[1, 3]).Array[0, 24].Select(picks =>
        {
            var text = new StringBuilder();
            foreach ((int block, int offset, int repeat) in picks)
            {
                (int first, int last) = blocks[block];
                for (int i = 0; i < repeat; i++)
                    text.Append(new Rune(first + ((offset + (i * 7)) % (last - first + 1))));
            }
            return text.ToString();
        });
}
