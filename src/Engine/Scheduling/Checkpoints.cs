namespace Qanat.Engine;

/// <summary>
/// The positions of a prompt at which its recurrent state is worth keeping: where other prompts are likely to part from it. These are the ends of messages (the system prompt that all share; the
/// last ones, which the next turn repeats) and the end of the prompt (asked again, or continued), all at the block boundary before; and wherever another prompt turned out to part from it.
/// </summary>
internal sealed class Checkpoints
{
    private const int BlocksBetween = 4;
    private const int LastMessages = 3;

    private readonly List<int> _positions = [];

    /// <param name="messageStart">The token that begins a message; none of the vocabulary: messages cannot be told apart.</param>
    public Checkpoints(ReadOnlySpan<int> prompt, int messageStart, int blockTokens)
    {
        for (int position = 1; position < prompt.Length; position++)
        {
            int boundary = position / blockTokens * blockTokens;
            if (prompt[position] != messageStart || boundary - (_positions.Count == 0 ? 0 : _positions[^1]) < BlocksBetween * blockTokens) continue;
            // The first message and the last ones.
            if (_positions.Count > LastMessages) _positions.RemoveAt(1);
            _positions.Add(boundary);
        }
        int end = (prompt.Length - 1) / blockTokens * blockTokens;
        if (end > 0) _positions.Add(end);
    }

    /// <summary>Where the cache knew the tokens but had no state: another sequence parted from this one here. 0: nowhere.</summary>
    public int Parting { get; set; }

    public bool Contains(int position) => (position == Parting && position > 0) || _positions.Contains(position);

    /// <summary>Whether there is one after a position, up to and with another.</summary>
    public bool AnyWithin(int after, int upTo)
    {
        foreach (int position in _positions)
            if (position > after && position <= upTo) return true;
        return Parting > after && Parting <= upTo;
    }
}
