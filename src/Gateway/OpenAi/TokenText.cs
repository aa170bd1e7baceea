using System.Text;
using System.Text.Unicode;

namespace Qanat.Gateway;

/// <summary>Tokens as log probabilities show them.</summary>
internal static class TokenText
{
    /// <summary>The bytes of a token, those of its name when it is a special one.</summary>
    public static ReadOnlySpan<byte> BytesOf(ServedModel model, int token)
    {
        ReadOnlySpan<byte> bytes = model.Bytes(token);
        return bytes.IsEmpty && model.SpecialTextOf(token) is { } special ? Encoding.UTF8.GetBytes(special) : bytes;
    }

    /// <summary>The text of a token; a part of a character becomes U+FFFD, its bytes tell which.</summary>
    public static string Of(ReadOnlySpan<byte> bytes) => Encoding.UTF8.GetString(bytes);

    /// <summary>The text of a token, told apart from every other: one that is not whole characters is written "bytes:\xe4\xb8", as OpenAI's completions do.</summary>
    public static string Distinct(ReadOnlySpan<byte> bytes)
    {
        if (Utf8.IsValid(bytes)) return Encoding.UTF8.GetString(bytes);
        StringBuilder text = new("bytes:");
        foreach (byte value in bytes)
            text.Append("\\x").Append(value.ToString("x2", System.Globalization.CultureInfo.InvariantCulture));
        return text.ToString();
    }

    /// <summary>Characters (code points) that begin in these bytes.</summary>
    public static int CharactersBegun(ReadOnlySpan<byte> bytes)
    {
        int count = 0;
        foreach (byte value in bytes)
            count += (value & 0xC0) == 0x80 ? 0 : 1;
        return count;
    }

    /// <summary>JSON has no infinity: a token that cannot be drawn has OpenAI's -9999.</summary>
    public static float Finite(float logprob) => float.IsFinite(logprob) ? logprob : -9999;
}
