using System.Diagnostics;
using System.Numerics;

namespace Qanat.Engine;

/// <summary>
/// Hands out the blocks of the KV cache. Blocks are counted by reference, so that sequences share equal prefixes; a full block is found by its chained hash
/// and then verified against its tokens and its parent, so that a collision is a miss and never a wrong answer. What a block begins with is found by its parent: it is copied, because
/// a block is shared as a whole only.
/// A referenced block's parents are referenced too and sequences release their last block first, therefore a cached block is always evicted before its parent
/// and a block number names one content for as long as any child refers to it.
/// </summary>
internal sealed class BlockPool
{
    /// <summary>How many children of a block (and of others that share its bucket) are looked at for what they begin with: the newest ones.</summary>
    internal const int ChildrenMax = 64;

    private readonly StatePool? _states;
    private readonly Block[] _blocks;
    private readonly int[] _tokens;
    private readonly int[] _buckets;
    private readonly int[] _children;
    private readonly int[] _free;
    private int _oldest = Block.None;
    private int _newest = Block.None;

    /// <param name="states">Loses the checkpoints of blocks whose content is given up; null: the network has no states.</param>
    public BlockPool(int blockCount, int blockTokens, StatePool? states = null)
    {
        _states = states;
        ArgumentOutOfRangeException.ThrowIfLessThan(blockCount, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(blockTokens, 1);
        BlockTokens = blockTokens;
        _blocks = new Block[blockCount];
        _tokens = new int[checked(blockCount * blockTokens)];
        _buckets = new int[(int)BitOperations.RoundUpToPowerOf2((uint)blockCount)];
        Array.Fill(_buckets, Block.None);
        _children = new int[_buckets.Length];
        Array.Fill(_children, Block.None);
        _free = new int[blockCount];
        for (int i = 0; i < blockCount; i++) _free[i] = blockCount - 1 - i;
        FreeCount = blockCount;
    }

    public int BlockTokens { get; }
    public int BlockCount => _blocks.Length;
    public int FreeCount { get; private set; }
    public int CachedCount { get; private set; }
    public int UsedCount => BlockCount - FreeCount - CachedCount;

    /// <summary>Blocks that can be handed out: free ones first, then cached ones, least recently used first.</summary>
    public int AvailableCount => FreeCount + CachedCount;

    /// <summary>A block for new content, referenced once; None when every block is in use.</summary>
    public int TryTake()
    {
        int block;
        if (FreeCount > 0)
        {
            block = _free[--FreeCount];
        }
        else if (_oldest != Block.None)
        {
            block = _oldest;
            Unlink(block);
            Unregister(block);
        }
        else
        {
            return Block.None;
        }
        _blocks[block].References = 1;
        return block;
    }

    /// <summary>One more sequence holds the block.</summary>
    public void Share(int block)
    {
        ref Block b = ref _blocks[block];
        if (b.References == 0)
        {
            Require(b.IsRegistered, "a free block cannot be shared");
            Unlink(block);
        }
        b.References++;
    }

    /// <summary>One sequence fewer holds the block. Content that can be found again stays cached.</summary>
    public void Release(int block)
    {
        ref Block b = ref _blocks[block];
        Require(b.References > 0, "a block was released more often than it was taken");
        if (--b.References > 0) return;
        if (b.IsRegistered) Link(block);
        else _free[FreeCount++] = block;
    }

    public int References(int block) => _blocks[block].References;

    /// <summary>The block that holds exactly these tokens after exactly this parent; None when there is none. Takes no reference.</summary>
    public int Find(ulong hash, int parent, string scope, ReadOnlySpan<int> tokens)
    {
        for (int block = _buckets[BucketOf(hash)]; block != Block.None; block = _blocks[block].NextInBucket)
        {
            ref Block b = ref _blocks[block];
            if (b.Hash == hash && IsChild(b, parent, scope) && TokensOf(block).SequenceEqual(tokens)) return block;
        }
        return Block.None;
    }

    /// <summary>Makes a computed block findable. When its content is there already, the caller's reference moves to that block and its own is released.</summary>
    /// <returns>The block to hold from now on.</returns>
    public int Register(int block, ulong hash, int parent, string scope, ReadOnlySpan<int> tokens)
    {
        Require(tokens.Length == BlockTokens, "only full blocks can be found again");
        int known = Find(hash, parent, scope, tokens);
        if (known != Block.None)
        {
            Share(known);
            Release(block);
            return known;
        }
        ref Block b = ref _blocks[block];
        AddChild(block, parent, scope, tokens);
        b.Hash = hash;
        b.NextInBucket = _buckets[BucketOf(hash)];
        _buckets[BucketOf(hash)] = block;
        return block;
    }

    /// <summary>The block after this parent that begins with the most of these tokens, and how many these are; None when there is none that is worth copying. Takes no reference.</summary>
    public int FindBeginning(int parent, string scope, ReadOnlySpan<int> tokens, out int common)
    {
        int best = Block.None, left = ChildrenMax;
        common = CommonMin - 1;
        for (int block = _children[BucketOfChildren(parent, scope)]; block != Block.None && left > 0; block = _blocks[block].OlderSibling, left--)
        {
            ref Block b = ref _blocks[block];
            if (!IsChild(b, parent, scope)) continue;
            int same = TokensOf(block)[..b.Count].CommonPrefixLength(tokens);
            if (same <= common) continue;
            best = block;
            common = same;
        }
        if (best == Block.None) common = 0;
        return best;
    }

    /// <summary>Keeps the beginning of a block that only its holder holds and is about to release, unless it is known or too short.</summary>
    public void RegisterBeginning(int block, int parent, string scope, ReadOnlySpan<int> tokens)
    {
        Require(tokens.Length < BlockTokens && _blocks[block].References == 1, "only a block of one holder ends inside");
        if (tokens.Length < CommonMin) return;
        FindBeginning(parent, scope, tokens, out int common);
        if (common < tokens.Length) AddChild(block, parent, scope, tokens);
    }

    /// <summary>A cached block was of use: others go before it.</summary>
    public void Touch(int block)
    {
        if (!_blocks[block].IsRegistered || _blocks[block].References > 0) return;
        Unlink(block);
        Link(block);
    }

    /// <summary>Chains a block's tokens onto the hash of everything before it (FNV-1a over whole tokens with a final mix).</summary>
    public static ulong Chain(ulong before, ReadOnlySpan<int> tokens)
    {
        unchecked
        {
            ulong hash = before ^ 0xcbf29ce484222325;
            foreach (int token in tokens) hash = (hash ^ (uint)token) * 0x100000001b3;
            hash ^= hash >> 32;
            hash *= 0x9e3779b97f4a7c15;
            return hash ^ (hash >> 29);
        }
    }

    /// <summary>Recounts everything from the blocks themselves and throws when the books of the pool do not agree.</summary>
    public void Verify()
    {
        int used = 0, registered = 0, full = 0, cached = 0, findable = 0, children = 0;
        foreach (ref readonly Block b in _blocks.AsSpan())
        {
            if (b.References > 0) used++;
            if (b.IsRegistered) registered++;
            if (b.IsRegistered && b.Count == BlockTokens) full++;
            if (b.IsRegistered && b.Parent != Block.None)
                Require(_blocks[b.Parent].IsRegistered && _blocks[b.Parent].Count == BlockTokens && (b.References == 0 || _blocks[b.Parent].References > 0), "a block outlived its parent");
        }
        for (int block = _oldest; block != Block.None; block = _blocks[block].Newer)
        {
            Require(_blocks[block].References == 0 && _blocks[block].IsRegistered, "a block in use is in the list of cached blocks");
            cached++;
        }
        foreach (int head in _buckets)
            for (int block = head; block != Block.None; block = _blocks[block].NextInBucket) findable++;
        foreach (int head in _children)
            for (int block = head; block != Block.None; block = _blocks[block].OlderSibling) children++;
        Require(cached == CachedCount && used == UsedCount && findable == full && children == registered, "free, cached and used blocks do not add up");
        Require(FreeCount + CachedCount + UsedCount == BlockCount, "blocks were lost");
        for (int i = 0; i < FreeCount; i++) Require(_blocks[_free[i]].References == 0 && !_blocks[_free[i]].IsRegistered, "a free block has content");
    }

    /// <summary>Fewer tokens than an eighth of a block are computed sooner than copied, and not worth a block.</summary>
    private int CommonMin => (BlockTokens + 7) / 8;

    private int BucketOf(ulong hash) => (int)(hash & (ulong)(_buckets.Length - 1));

    private int BucketOfChildren(int parent, string scope) =>
        BucketOf(Chain(0, parent == Block.None ? [string.GetHashCode(scope, StringComparison.Ordinal), parent] : [0, parent]));

    private static bool IsChild(in Block block, int parent, string scope) => block.Parent == parent && (parent != Block.None || string.Equals(block.Scope, scope, StringComparison.Ordinal));

    private void AddChild(int block, int parent, string scope, ReadOnlySpan<int> tokens)
    {
        ref Block b = ref _blocks[block];
        Require(b.References > 0 && !b.IsRegistered, "a block is registered once, by its holder");
        b.IsRegistered = true;
        b.Parent = parent;
        b.Scope = scope;
        b.Count = tokens.Length;
        tokens.CopyTo(TokensOf(block));
        ref int newest = ref _children[BucketOfChildren(parent, scope)];
        b.NewerSibling = Block.None;
        b.OlderSibling = newest;
        if (newest != Block.None) _blocks[newest].NewerSibling = block;
        newest = block;
    }

    private Span<int> TokensOf(int block) => _tokens.AsSpan(block * BlockTokens, BlockTokens);

    private void Unregister(int block)
    {
        ref Block b = ref _blocks[block];
        if (b.NewerSibling == Block.None) _children[BucketOfChildren(b.Parent, b.Scope!)] = b.OlderSibling;
        else _blocks[b.NewerSibling].OlderSibling = b.OlderSibling;
        if (b.OlderSibling != Block.None) _blocks[b.OlderSibling].NewerSibling = b.NewerSibling;
        if (b.Count == BlockTokens)
        {
            ref int link = ref _buckets[BucketOf(b.Hash)];
            while (link != block) link = ref _blocks[link].NextInBucket;
            link = b.NextInBucket;
        }
        b.IsRegistered = false;
        b.Scope = null;
        _states?.Forget(block);
    }

    private void Link(int block)
    {
        ref Block b = ref _blocks[block];
        b.Older = _newest;
        b.Newer = Block.None;
        if (_newest == Block.None) _oldest = block;
        else _blocks[_newest].Newer = block;
        _newest = block;
        CachedCount++;
    }

    private void Unlink(int block)
    {
        ref Block b = ref _blocks[block];
        if (b.Older == Block.None) _oldest = b.Newer;
        else _blocks[b.Older].Newer = b.Newer;
        if (b.Newer == Block.None) _newest = b.Older;
        else _blocks[b.Newer].Older = b.Older;
        CachedCount--;
    }

    private static void Require(bool holds, string message)
    {
        if (!holds) throw new UnreachableException(message);
    }
}
