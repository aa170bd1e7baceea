using Qanat.TinyModel;

namespace Qanat.Models.Tests;

/// <summary>The tiny model, written once per test run.</summary>
internal static class TinyFile
{
    private static readonly Lazy<byte[]> s_bytes = new(() =>
    {
        using var stream = new MemoryStream();
        TinyModelRecipe.Tiny.Write(stream);
        return stream.ToArray();
    });

    private static readonly Lazy<BpeTokenizer> s_tokenizer = new(Fresh);

    public static byte[] Bytes => s_bytes.Value;
    public static BpeTokenizer Tokenizer => s_tokenizer.Value;

    public static TempFile Write() => new(Bytes);

    /// <summary>A tokenizer with an empty cache.</summary>
    public static BpeTokenizer Fresh()
    {
        using TempFile temp = Write();
        using GgufFile file = GgufFile.Open(temp.Path);
        return BpeTokenizer.FromGguf(file);
    }
}
