using System.Buffers;

namespace Qanat.Models;

/// <summary>Finds added tokens in a text: the leftmost, and of several at one place the longest.</summary>
internal sealed class AddedTokenFinder
{
    private readonly SearchValues<char> _firstUnits;
    private readonly Dictionary<char, AddedToken[]> _byFirstUnit;

    public AddedTokenFinder(IEnumerable<AddedToken> tokens)
    {
        _byFirstUnit = tokens.GroupBy(token => token.Text[0]).ToDictionary(group => group.Key, group => group.OrderByDescending(token => token.Text.Length).ToArray());
        _firstUnits = SearchValues.Create([.. _byFirstUnit.Keys]);
    }

    /// <summary>The next added token at or after the start; false when there is none.</summary>
    public bool TryFind(ReadOnlySpan<char> text, out int index, out AddedToken token)
    {
        for (index = 0; index < text.Length; index++)
        {
            int step = text[index..].IndexOfAny(_firstUnits);
            if (step < 0)
                break;
            index += step;
            foreach (AddedToken candidate in _byFirstUnit[text[index]])
            {
                if (text[index..].StartsWith(candidate.Text))
                {
                    token = candidate;
                    return true;
                }
            }
        }
        token = null!;
        return false;
    }
}
