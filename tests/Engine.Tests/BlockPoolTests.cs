using System.Diagnostics;

namespace Qanat.Engine.Tests;

public sealed class BlockPoolTests
{
    [Fact]
    public void Every_block_is_handed_out_once_and_then_none()
    {
        var pool = new BlockPool(5, 4);
        Assert.Equal([0, 1, 2, 3, 4], Enumerable.Range(0, 5).Select(_ => pool.TryTake()).Order());
        Assert.Equal(Block.None, pool.TryTake());
        Assert.Equal(5, pool.UsedCount);
        pool.Verify();
    }

    [Fact]
    public void A_registered_block_is_found_by_its_tokens_its_parent_and_its_scope_only()
    {
        var pool = new BlockPool(4, 2);
        int first = pool.Register(pool.TryTake(), 7, Block.None, "a", [1, 2]);
        int second = pool.Register(pool.TryTake(), 7, first, "a", [3, 4]);

        Assert.Equal(first, pool.Find(7, Block.None, "a", [1, 2]));
        Assert.Equal(second, pool.Find(7, first, "a", [3, 4]));
        Assert.Equal(Block.None, pool.Find(7, Block.None, "a", [1, 3]));
        Assert.Equal(Block.None, pool.Find(7, Block.None, "b", [1, 2]));
        Assert.Equal(Block.None, pool.Find(7, second, "a", [3, 4]));
        Assert.Equal(Block.None, pool.Find(8, first, "a", [3, 4]));
        pool.Verify();
    }

    [Fact]
    public void Blocks_whose_hashes_collide_are_told_apart_by_their_tokens()
    {
        var pool = new BlockPool(8, 2);
        int[] blocks = [.. Enumerable.Range(0, 8).Select(i => pool.Register(pool.TryTake(), 0, Block.None, "a", [i, i]))];
        for (int i = 0; i < 8; i++) Assert.Equal(blocks[i], pool.Find(0, Block.None, "a", [i, i]));
        foreach (int block in blocks) pool.Release(block);
        for (int i = 0; i < 8; i++)
        {
            Assert.Equal(blocks[i], pool.TryTake());
            Assert.Equal(Block.None, pool.Find(0, Block.None, "a", [i, i]));
            pool.Verify();
        }
    }

    [Fact]
    public void What_a_block_begins_with_is_found_by_its_parent_and_its_scope()
    {
        var pool = new BlockPool(8, 4);
        int parent = pool.Register(pool.TryTake(), 1, Block.None, "a", [1, 2, 3, 4]);
        int whole = pool.Register(pool.TryTake(), 2, parent, "a", [5, 6, 7, 8]), begun = pool.TryTake();
        pool.RegisterBeginning(begun, parent, "a", [5, 6, 9]);

        Assert.Equal((whole, 4), (pool.FindBeginning(parent, "a", [5, 6, 7, 8], out int common), common));
        Assert.Equal((begun, 3), (pool.FindBeginning(parent, "a", [5, 6, 9, 8], out common), common));
        Assert.Equal((parent, 1), (pool.FindBeginning(Block.None, "a", [1, 9], out common), common));
        Assert.Equal((Block.None, 0), (pool.FindBeginning(parent, "a", [6, 5], out common), common));
        Assert.Equal((Block.None, 0), (pool.FindBeginning(Block.None, "b", [1, 2, 3], out common), common));
        Assert.Equal((Block.None, 0), (pool.FindBeginning(whole, "a", [5, 6, 9], out common), common));
        // It is no full block, even when its tokens are asked for.
        Assert.Equal(Block.None, pool.Find(2, parent, "a", [5, 6, 9]));
        pool.Verify();
    }

    [Fact]
    public void A_beginning_that_is_known_is_not_kept_twice()
    {
        var pool = new BlockPool(4, 4);
        int[] blocks = [.. Enumerable.Range(0, 3).Select(_ => pool.TryTake())];
        pool.RegisterBeginning(blocks[0], Block.None, "a", [1, 2, 3]);
        pool.RegisterBeginning(blocks[1], Block.None, "a", [1, 2]);
        pool.RegisterBeginning(blocks[2], Block.None, "a", [1, 2, 4]);
        foreach (int block in blocks) pool.Release(block);
        Assert.Equal((2, 2), (pool.CachedCount, pool.FreeCount));
        pool.Verify();
    }

    [Fact]
    public void Only_the_newest_children_of_a_block_are_looked_at()
    {
        var pool = new BlockPool(BlockPool.ChildrenMax + 1, 2);
        for (int i = 0; i <= BlockPool.ChildrenMax; i++) pool.RegisterBeginning(pool.TryTake(), Block.None, "a", [i]);
        Assert.Equal(Block.None, pool.FindBeginning(Block.None, "a", [0], out _));
        for (int i = 1; i <= BlockPool.ChildrenMax; i++) Assert.NotEqual(Block.None, pool.FindBeginning(Block.None, "a", [i], out _));
    }

    [Fact]
    public void Beginnings_give_way_in_any_order_least_recently_used_first()
    {
        var pool = new BlockPool(5, 2);
        int[] blocks = [.. Enumerable.Range(0, 5).Select(i =>
        {
            int block = pool.TryTake();
            pool.RegisterBeginning(block, Block.None, "a", [i]);
            return block;
        })];
        foreach (int place in new[] { 2, 0, 4, 1, 3 }) pool.Release(blocks[place]);
        pool.Touch(blocks[2]);
        foreach (int place in new[] { 0, 4, 1, 3, 2 })
        {
            Assert.Equal(blocks[place], pool.TryTake());
            Assert.Equal(Block.None, pool.FindBeginning(Block.None, "a", [place], out _));
            pool.Verify();
        }
    }

    [Fact]
    public void A_second_block_of_the_same_content_gives_way_to_the_first()
    {
        var pool = new BlockPool(4, 2);
        int first = pool.Register(pool.TryTake(), 3, Block.None, "a", [1, 2]);
        Assert.Equal(first, pool.Register(pool.TryTake(), 3, Block.None, "a", [1, 2]));
        Assert.Equal(2, pool.References(first));
        Assert.Equal(3, pool.FreeCount);
        pool.Verify();
    }

    [Fact]
    public void Free_blocks_go_first_and_then_the_least_recently_used()
    {
        var pool = new BlockPool(3, 1);
        int a = pool.Register(pool.TryTake(), 1, Block.None, "", [1]);
        int b = pool.Register(pool.TryTake(), 2, Block.None, "", [2]);
        pool.Release(a);
        pool.Release(b);
        pool.Share(a);
        pool.Release(a);
        int free = pool.TryTake();
        Assert.DoesNotContain(free, new[] { a, b });
        Assert.Equal(b, pool.TryTake());
        Assert.Equal(a, pool.TryTake());
        pool.Verify();
    }

    [Fact]
    public void Releasing_a_block_too_often_stops()
    {
        var pool = new BlockPool(2, 1);
        int block = pool.TryTake();
        pool.Release(block);
        Assert.Throws<UnreachableException>(() => pool.Release(block));
    }
}
