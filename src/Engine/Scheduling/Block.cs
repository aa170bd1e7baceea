namespace Qanat.Engine;

/// <summary>What the pool knows of one block of keys and values. A block is free (no references, no content), cached (no references, content kept) or used (referenced).</summary>
internal struct Block
{
    public const int None = -1;

    /// <summary>Sequences whose tables hold the block.</summary>
    public int References;

    /// <summary>True when the block can be found by its content.</summary>
    public bool IsRegistered;

    /// <summary>Tokens of its content, from its beginning; fewer than a block holds when whoever computed it ended inside it.</summary>
    public int Count;

    /// <summary>Chained over all tokens from the start of the sequence to the end of this block, which is full.</summary>
    public ulong Hash;

    /// <summary>The block before it in the sequence; None for the first.</summary>
    public int Parent;

    /// <summary>Whose cache it belongs to; compared in first blocks, later ones inherit it through their parent.</summary>
    public string? Scope;

    /// <summary>Next block in the same hash bucket.</summary>
    public int NextInBucket;

    /// <summary>Neighbours among the registered blocks with the same parent, or of another parent in the same bucket; newest first.</summary>
    public int NewerSibling;
    public int OlderSibling;

    /// <summary>Neighbours in the list of cached blocks, least recently used first.</summary>
    public int Older;
    public int Newer;
}
