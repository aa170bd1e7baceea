using System.Buffers;
using System.Text;

namespace Qanat.Store;

/// <summary>PostgreSQL keeps any text but one with the character 0, and Qanat keeps whatever a client sends: it is written as two characters of the private use area, of which the first then marks itself.
/// Half a surrogate pair is no text anywhere; it becomes the replacement character, as in SQLite.</summary>
internal static class PostgresText
{
    private const string Mark = "\uF8F0", Zero = "\uF8F0\uF8F1", MarkItself = "\uF8F0\uF8F2";
    private static readonly SearchValues<char> s_special = SearchValues.Create("\0\uF8F0");

    public static string Stored(string text)
    {
        if (text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF')) text = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text));
        return text.AsSpan().ContainsAny(s_special) ? text.Replace(Mark, MarkItself, StringComparison.Ordinal).Replace("\0", Zero, StringComparison.Ordinal) : text;
    }

    public static string Read(string stored) => !stored.Contains('\uF8F0', StringComparison.Ordinal) ? stored
        : stored.Replace(Zero, "\0", StringComparison.Ordinal).Replace(MarkItself, Mark, StringComparison.Ordinal);
}
