namespace Qanat.Models;

/// <summary>The first half of tokenizing on its own, for those who learn a vocabulary.</summary>
public static class PieceCutter
{
    /// <summary>The text in NFC, cut into the pieces that a pre-tokenizer makes of it; together they are the text.</summary>
    public static IReadOnlyList<string> Cut(string text, PreTokenizer kind)
    {
        var pieces = new List<string>();
        var scanner = new PieceScanner(Nfc.Normalize(text), kind);
        while (scanner.MoveNext())
            pieces.Add(scanner.Current.ToString());
        return pieces;
    }
}
