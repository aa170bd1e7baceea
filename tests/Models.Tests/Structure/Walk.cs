using System.Numerics;
using System.Text;

namespace Qanat.Models.Tests;

/// <summary>Writes answers by drawing from what a constraint allows, now and then keeping to what ends soonest, so that they do end.</summary>
internal static class Walk
{
    public const int TokensMax = 4000;

    public static string Random(AnswerConstraint constraint, BpeTokenizer tokenizer, int seed)
    {
        var random = new Random(seed);
        var bytes = new List<byte>();
        ConstraintCursor cursor = constraint.Begin();
        for (int count = 0; count < TokensMax; count++)
        {
            List<int> allowed = Allowed(cursor.Allowed);
            Assert.NotEmpty(allowed);
            int token = Choose(allowed, tokenizer, random, hurry: count > random.Next(60));
            cursor.Accept(token);
            if (cursor.HasEnded) return Encoding.UTF8.GetString([.. bytes]);
            bytes.AddRange(tokenizer.Bytes(token));
        }
        throw new Xunit.Sdk.XunitException($"The answer did not end: {Encoding.UTF8.GetString([.. bytes])}");
    }

    public static List<int> Allowed(ReadOnlySpan<ulong> mask)
    {
        List<int> allowed = [];
        for (int word = 0; word < mask.Length; word++)
            for (ulong bits = mask[word]; bits != 0; bits &= bits - 1) allowed.Add(word * 64 + BitOperations.TrailingZeroCount(bits));
        return allowed;
    }

    /// <summary>Whether a text, in the tokens that a model would write it in, may be an answer.</summary>
    public static bool Accepts(AnswerConstraint constraint, BpeTokenizer tokenizer, string text)
    {
        ConstraintCursor cursor = constraint.Begin();
        foreach (int token in tokenizer.Encode(text, SpecialText.Parse))
        {
            if (!cursor.Allows(token)) return false;
            cursor.Accept(token);
        }
        return cursor.Allows(tokenizer.StopTokens[0]);
    }

    private static int Choose(List<int> allowed, BpeTokenizer tokenizer, Random random, bool hurry)
    {
        int stop = allowed.FindIndex(tokenizer.StopTokens.Contains);
        if (stop >= 0 && (hurry || random.Next(3) == 0)) return allowed[stop];
        if (hurry)
        {
            int[] closing = [.. allowed.Where(token => tokenizer.Bytes(token) is [(byte)'"' or (byte)'}' or (byte)']'])];
            if (closing.Length > 0 && random.Next(4) > 0) return closing[random.Next(closing.Length)];
        }
        return allowed[random.Next(allowed.Count)];
    }
}
