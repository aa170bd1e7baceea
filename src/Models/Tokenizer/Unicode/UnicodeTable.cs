using System.Globalization;

namespace Qanat.Models;

/// <summary>What the pre-tokenizers distinguish. Letter, Mark and Number are the general categories L, M and N; Space is White_Space without CR and LF.</summary>
internal enum CodePointClass : byte { Other, Letter, Mark, Number, Space, NewLine }

/// <summary>Facts about code points, from the embedded unicode.txt: independent of the runtime's Unicode version and of ICU, so that a text has the same tokens everywhere.
/// Lines of unicode.txt: a kind, then words in hexadecimal.
/// L, M, N, S: ranges of a class (S: white space). C230: ranges with that canonical combining class.
/// P: composed=first=second, primary composites. D: point=parts, full canonical decompositions that are never composed again. Hangul syllables are left to arithmetic.</summary>
internal static class UnicodeTable
{
    public const int CodePoints = 0x110000;
    private const byte ClassMask = 0x0F;
    private const byte UnsettledFlag = 0x80;
    private const byte ChangesFlag = 0x40;

    // One byte per code point: the class, and whether the point can change or join others under NFC. 1.1 MB, of which text touches a few pages.
    private static readonly byte[] s_facts = new byte[CodePoints];
    private static readonly Dictionary<int, byte> s_combiningClass = [];
    private static readonly Dictionary<int, int[]> s_decomposition = [];
    private static readonly Dictionary<long, int> s_composition = [];

    static UnicodeTable()
    {
        using Stream stream = typeof(UnicodeTable).Assembly.GetManifestResourceStream("Qanat.Models.unicode.txt")
            ?? throw new InvalidOperationException("The assembly lacks its resource unicode.txt");
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            if (line.Length > 0 && line[0] != '#')
                ReadLine(line);
        }
        s_facts['\r'] = s_facts['\n'] = (byte)CodePointClass.NewLine;
        // Hangul vowels and final consonants join a syllable before them.
        for (int vowel = 0x1161; vowel <= 0x1175; vowel++)
            s_facts[vowel] |= UnsettledFlag | ChangesFlag;
        for (int final = 0x11A8; final <= 0x11C2; final++)
            s_facts[final] |= UnsettledFlag | ChangesFlag;
    }

    public static CodePointClass ClassOf(int codePoint) => (CodePointClass)(s_facts[codePoint] & ClassMask);

    /// <summary>True when the point has a combining class, decomposes for good, or may join the point before it: NFC must look at it.</summary>
    public static bool IsUnsettled(int codePoint) => (s_facts[codePoint] & UnsettledFlag) != 0;

    /// <summary>True when the point decomposes for good or may join the point before it; other unsettled points only change places.</summary>
    public static bool MayChange(int codePoint) => (s_facts[codePoint] & ChangesFlag) != 0;

    public static byte CombiningClassOf(int codePoint) => s_combiningClass.GetValueOrDefault(codePoint);

    /// <summary>The canonical decomposition, of which the first part may decompose further; false when the point stands for itself.</summary>
    public static bool TryDecompose(int codePoint, out int[] parts) => s_decomposition.TryGetValue(codePoint, out parts!);

    /// <summary>The primary composite of two points.</summary>
    public static bool TryCompose(int first, int second, out int composed) => s_composition.TryGetValue(PairKey(first, second), out composed);

    private static void ReadLine(string line)
    {
        string[] words = line.Split(' ');
        string kind = words[0];
        foreach (string word in words.AsSpan(1))
        {
            switch (kind[0])
            {
                case 'L': AddClass(word, CodePointClass.Letter); break;
                case 'M': AddClass(word, CodePointClass.Mark); break;
                case 'N': AddClass(word, CodePointClass.Number); break;
                case 'S': AddClass(word, CodePointClass.Space); break;
                case 'C': AddCombining(word, byte.Parse(kind.AsSpan(1), CultureInfo.InvariantCulture)); break;
                case 'P': AddComposite(Points(word, '=')); break;
                case 'D': AddDecomposition(Points(word, '=')); break;
                default: throw new InvalidOperationException($"unicode.txt has the unknown kind {kind}");
            }
        }
    }

    private static void AddClass(string range, CodePointClass value)
    {
        int[] ends = Points(range, '-');
        for (int point = ends[0]; point <= ends[^1]; point++)
            s_facts[point] |= (byte)value;
    }

    private static void AddCombining(string range, byte value)
    {
        int[] ends = Points(range, '-');
        for (int point = ends[0]; point <= ends[^1]; point++)
        {
            s_combiningClass[point] = value;
            s_facts[point] |= UnsettledFlag;
        }
    }

    private static void AddComposite(int[] points)
    {
        s_composition[PairKey(points[1], points[2])] = points[0];
        s_decomposition[points[0]] = [points[1], points[2]];
        s_facts[points[2]] |= UnsettledFlag | ChangesFlag;
    }

    private static void AddDecomposition(int[] points)
    {
        s_decomposition[points[0]] = points[1..];
        s_facts[points[0]] |= UnsettledFlag | ChangesFlag;
    }

    private static long PairKey(int first, int second) => ((long)first << 32) | (uint)second;

    private static int[] Points(string word, char separator) =>
        [.. word.Split(separator).Select(hex => int.Parse(hex, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture))];
}
