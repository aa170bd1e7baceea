using System.Text;

namespace Qanat.Conformance.Tests;

/// <summary>Texts to tokenize: written ones, and seeded random ones that dwell on what tokenizers get wrong. All are well-formed UTF-16.</summary>
internal sealed class TokenizerTexts(int seed)
{
    private static readonly string[] s_special =
    [
        "<|im_start|>", "<|im_end|>", "<|endoftext|>", "<think>", "</think>", "<tool_call>", "</tool_call>", "<|im_end", "|>", "<|", "<", "<tool_", "<|fim_prefix|>", "<|IM_END|>",
    ];

    private static readonly string[] s_words =
    [
        "the", "water", "Qanat", "ledger", "HTTP", "naïve", "Straße", "水渠", "人工智能", "کاریز", "قنات", "पानी", "हिन्दी", "вода", "日本語", "カタカナ", "한국어", "ไทย", "ελληνικά", "עברית",
        "I'm", "we'll", "It'S", "they'VE", "can't", "o'clock", "'tis", "'\u017F", "x'\u017Fa", "'re", "''ll", "'D", "1234567890", "3.14", "１２", "٣٤", "½", "Ⅷ", "²", "𝟘𝟙", "𝒜𝓑", "𠀀𪛖",
        "👩‍👩‍👧", "🇮🇷", "👍🏽", "☕", "==", "=>", "//", "/*", "{}", "();", "\\n", "...", "…", "—", "«»", "“”", "\u200D", "\u200B", "\uFEFF", "\u00AD", "\uFFFD", "\uFFFE", "\uFFFF", "\U0001FFFE",
    ];

    private static readonly string[] s_spaces = [" ", "  ", "   ", "\t", "\n", "\r\n", "\r", "\n\n\n", " \n ", "\u00A0", "\u3000", "\u2028", "\u0085", "\v", "\f", "\u001F", "\u180E", "\u2009"];

    private static readonly string[] s_marks =
    [
        "\u0301", "\u0308", "\u0323", "\u0338", "\u0327", "\u0345", "\u20D7", "\u093C", "\u094D", "\u0651", "\u064B", "\u0E38", "\u0E48", "\u3099", "\u309A", "\u05B4", "\U0001D165", "\u1ABF", "\u0C3C",
    ];

    private static readonly string[] s_bases = ["e", "a", "A", "u", "o\u0302", "\u1E69", "が", "क", "\u0344", "\u212B", "\u2126", "\uFA10", "\u0958", "\u09C7", "\u1100", "\u1161", "\u11A8", "가", "각", "\u2F81A"];

    // Blocks worth drawing from evenly, first and last code point.
    private static readonly (int First, int Last)[] s_blocks =
    [
        (0x20, 0x7E), (0x00, 0x1F), (0x80, 0x24F), (0x250, 0x36F), (0x370, 0x52F), (0x590, 0x6FF), (0x900, 0xDFF), (0xE00, 0xFFF), (0x1100, 0x11FF), (0x1E00, 0x1FFF), (0x2000, 0x2BFF),
        (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xA640, 0xABFF), (0xAC00, 0xD7A3), (0xE000, 0xE0FF), (0xF900, 0xFFFF), (0x10000, 0x11FFF), (0x16A00, 0x1D7FF), (0x1E000, 0x1EFFF), (0x1F000, 0x1FAFF),
        (0x20000, 0x203FF), (0x2F800, 0x2FA1F), (0xE0000, 0xE01EF), (0x0, 0x10FFFF),
    ];

    private readonly Random _random = new(seed);

    public string Next()
    {
        var text = new StringBuilder();
        int parts = _random.Next(1, 14);
        for (int i = 0; i < parts; i++)
        {
            switch (_random.Next(12))
            {
                case 0: text.Append(Pick(s_special)); break;
                case 1 or 2 or 3: text.Append(Pick(s_words)); break;
                case 4 or 5 or 6: text.Append(Pick(s_spaces)); break;
                case 7:
                    text.Append(Pick(s_bases));
                    for (int marks = _random.Next(4); marks > 0; marks--)
                        text.Append(Pick(s_marks));
                    break;
                case 8: text.Append(Pick(s_marks)); break;
                case 9: text.Append((char)_random.Next(0x21, 0x7F), _random.Next(1, 5)); break;
                default: AppendFromBlock(text); break;
            }
        }
        return text.ToString();
    }

    private void AppendFromBlock(StringBuilder text)
    {
        (int first, int last) = s_blocks[_random.Next(s_blocks.Length)];
        for (int count = _random.Next(1, 6); count > 0; count--)
        {
            int point = _random.Next(first, last + 1);
            if (point is < 0xD800 or > 0xDFFF)
                text.Append(new Rune(point).ToString());
        }
    }

    private string Pick(string[] choices) => choices[_random.Next(choices.Length)];

    /// <summary>Every code point where something may be assigned, each beside a letter, a digit, a space and itself, 32 to a text.</summary>
    public static IEnumerable<string> EveryCodePoint()
    {
        var text = new StringBuilder();
        int count = 0;
        for (int point = 0; point < 0x110000; point++)
        {
            bool worthwhile = point is < 0xD800 or (> 0xDFFF and < 0x32400) or (>= 0xE0000 and < 0xE0200) or >= 0x10FFF0;
            if (!worthwhile)
                continue;
            var rune = new Rune(point);
            text.Append('a').Append(rune).Append('1').Append(rune).Append("! ").Append(rune).Append(rune).Append("'\n");
            if (++count % 32 == 0)
            {
                yield return text.ToString();
                text.Clear();
            }
        }
    }

    /// <summary>Every mark that changes places, between marks of low and high class; and every code point after a base, under NFC.</summary>
    public static IEnumerable<string> EveryMarkInDisorder()
    {
        var text = new StringBuilder();
        int count = 0;
        for (int point = 0x80; point < 0x1F000; point++)
        {
            if (point is >= 0x3400 and < 0xA000 or >= 0xAC00 and < 0xF900 or >= 0x12000 and < 0x16000 or >= 0x17000 and < 0x1BC00)
                continue;
            var rune = new Rune(point);
            text.Append("a\u0301\u0323").Append(rune).Append("\u0334\u0316").Append(rune).Append("\u0345 ");
            if (++count % 32 == 0)
            {
                yield return text.ToString();
                text.Clear();
            }
        }
    }
}
