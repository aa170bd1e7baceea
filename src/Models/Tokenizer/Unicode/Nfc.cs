using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;

namespace Qanat.Models;

/// <summary>Unicode normalisation form C (UAX #15), as the reference tokenizer does it: canonical data of Unicode 9, later characters untouched.
/// string.Normalize cannot serve: it does nothing under invariant globalization and throws on noncharacters.</summary>
public static class Nfc
{
    // Hangul arithmetic, The Unicode Standard 3.12.
    private const int SyllableBase = 0xAC00, LeadBase = 0x1100, VowelBase = 0x1161, FinalBase = 0x11A7;
    private const int LeadCount = 19, VowelCount = 21, FinalCount = 28, SyllableCount = LeadCount * VowelCount * FinalCount;

    /// <summary>The text in form C, with unpaired surrogates replaced by U+FFFD; the same object when nothing changes.</summary>
    public static string Normalize(string text) => IsNormalized(text) ? text : Rebuild(text);

    /// <summary>The quick check of UAX #15: nothing in the text can decompose or join, and marks stand in order. False may be said of normalised text too.</summary>
    private static bool IsNormalized(string text)
    {
        // Everything below U+0300 is settled, and ASCII is most of what comes.
        int index = text.AsSpan().IndexOfAnyExceptInRange('\0', '\u02FF');
        int lastClass = 0;
        while (index >= 0 && index < text.Length)
        {
            if (Rune.DecodeFromUtf16(text.AsSpan(index), out Rune rune, out int units) != OperationStatus.Done || UnicodeTable.MayChange(rune.Value))
                return false;
            int combiningClass = UnicodeTable.IsUnsettled(rune.Value) ? UnicodeTable.CombiningClassOf(rune.Value) : 0;
            if (combiningClass != 0 && combiningClass < lastClass)
                return false;
            lastClass = combiningClass;
            index += units;
        }
        return true;
    }

    /// <summary>Normalises stretch by stretch: a stretch is a settled point and the unsettled ones after it. Nothing joins across its ends.</summary>
    private static string Rebuild(string text)
    {
        var result = new StringBuilder(text.Length + 16);
        var stretch = new List<int>();
        foreach (Rune rune in text.EnumerateRunes()) // gives U+FFFD for unpaired surrogates
        {
            if (!UnicodeTable.IsUnsettled(rune.Value))
                Flush(stretch, result);
            stretch.Add(rune.Value);
        }
        Flush(stretch, result);
        return result.ToString();
    }

    private static void Flush(List<int> stretch, StringBuilder result)
    {
        if (stretch.Count > 1 || (stretch.Count == 1 && UnicodeTable.IsUnsettled(stretch[0])))
        {
            List<int> parts = Decompose(stretch);
            Order(parts);
            Compose(parts, stretch);
        }
        foreach (int point in stretch)
            result.Append(new Rune(point).ToString());
        stretch.Clear();
    }

    private static List<int> Decompose(List<int> points)
    {
        var parts = new List<int>(points.Count * 2);
        foreach (int point in points)
            Decompose(point, parts);
        return parts;
    }

    private static void Decompose(int point, List<int> parts)
    {
        int syllable = point - SyllableBase;
        if (syllable is >= 0 and < SyllableCount)
        {
            parts.Add(LeadBase + (syllable / (VowelCount * FinalCount)));
            parts.Add(VowelBase + (syllable % (VowelCount * FinalCount) / FinalCount));
            if (syllable % FinalCount != 0)
                parts.Add(FinalBase + (syllable % FinalCount));
        }
        else if (UnicodeTable.TryDecompose(point, out int[] pieces))
        {
            foreach (int piece in pieces)
                Decompose(piece, parts);
        }
        else
        {
            parts.Add(point);
        }
    }

    /// <summary>Canonical ordering: each run of marks is sorted by combining class, equal classes keep their order.</summary>
    private static void Order(List<int> parts)
    {
        for (int start = 0; start < parts.Count; start++)
        {
            int end = start;
            while (end < parts.Count && UnicodeTable.CombiningClassOf(parts[end]) != 0)
                end++;
            if (end - start > 1)
            {
                Span<int> run = CollectionsMarshal.AsSpan(parts)[start..end];
                int[] sorted = [.. run.ToArray().OrderBy(point => UnicodeTable.CombiningClassOf(point))]; // OrderBy is stable
                sorted.CopyTo(run);
            }
            start = end;
        }
    }

    /// <summary>Canonical composition of ordered parts: a mark joins the last starter unless one of its own class or higher stands between.</summary>
    private static void Compose(List<int> parts, List<int> composed)
    {
        composed.Clear();
        int starter = -1;
        int lastClass = -1; // of the last point after the starter that did not join; -1: none stands between
        foreach (int point in parts)
        {
            int combiningClass = UnicodeTable.CombiningClassOf(point);
            if (starter >= 0 && lastClass < combiningClass && TryJoin(composed[starter], point, out int joined))
            {
                composed[starter] = joined;
                continue;
            }
            if (combiningClass == 0)
            {
                starter = composed.Count;
                lastClass = -1;
            }
            else
            {
                lastClass = combiningClass;
            }
            composed.Add(point);
        }
    }

    private static bool TryJoin(int first, int second, out int joined)
    {
        int lead = first - LeadBase, vowel = second - VowelBase;
        if (lead is >= 0 and < LeadCount && vowel is >= 0 and < VowelCount)
        {
            joined = SyllableBase + (((lead * VowelCount) + vowel) * FinalCount);
            return true;
        }
        int syllable = first - SyllableBase, final = second - FinalBase;
        if (syllable is >= 0 and < SyllableCount && syllable % FinalCount == 0 && final is > 0 and < FinalCount)
        {
            joined = first + final;
            return true;
        }
        return UnicodeTable.TryCompose(first, second, out joined);
    }
}
