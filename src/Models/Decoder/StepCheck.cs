namespace Qanat.Models;

/// <summary>Refuses steps that would read or write outside the network's memory.</summary>
internal static class StepCheck
{
    /// <exception cref="ArgumentException">Says what contradicts what.</exception>
    public static void Throw(in StepBatch step, ModelShape shape, KvCache cache, int hidden)
    {
        int rows = step.Tokens.Length;
        if (step.Positions.Length != rows)
            throw Bad($"{rows} tokens but {step.Positions.Length} positions");
        foreach (int token in step.Tokens)
            if (token < 0 || token >= shape.Vocabulary)
                throw Bad($"token {token} is not among the {shape.Vocabulary} of the vocabulary");
        int row = 0;
        foreach (StepSlice slice in step.Slices)
        {
            if (slice.FirstRow != row || slice.RowCount < 1 || slice.RowCount > rows - row)
                throw Bad($"{slice} does not continue at row {row} of {rows}");
            CheckSlice(step, slice, cache);
            row += slice.RowCount;
        }
        if (row != rows)
            throw Bad($"the slices cover {row} of {rows} rows");
        CheckRows(step.LogitRows, rows, "logit");
        CheckRows(step.HiddenRows, rows, "hidden");
        if ((long)step.LogitRows.Length * shape.Vocabulary > Array.MaxLength)
            throw Bad($"{step.LogitRows.Length} rows of {shape.Vocabulary} logits are more than can be given");
        if (hidden < (long)step.HiddenRows.Length * shape.Hidden)
            throw Bad($"{step.HiddenRows.Length} vectors of {shape.Hidden} numbers do not fit {hidden}");
        if (shape.DeltaNet is not null)
            CheckStates(step, cache);
    }

    private static void CheckRows(ReadOnlySpan<int> wanted, int rows, string what)
    {
        int before = -1;
        foreach (int row in wanted)
        {
            if (row <= before || row >= rows)
                throw Bad($"{what} row {row} after {before} is not ascending within {rows} rows");
            before = row;
        }
    }

    private static void CheckStates(in StepBatch step, KvCache cache)
    {
        for (int i = 0; i < step.Slices.Length; i++)
        {
            StepSlice slice = step.Slices[i];
            if ((uint)slice.StateOut >= (uint)cache.StateCount || slice.StateIn >= cache.StateCount)
                throw Bad($"the states of {slice} are not among the {cache.StateCount} of the cache");
            if (slice.StateIn < 0 != (step.Positions[slice.FirstRow] == 0))
                throw Bad($"{slice} begins at position {step.Positions[slice.FirstRow]}: a state comes from before, except at position 0");
            for (int other = 0; other < step.Slices.Length; other++)
                if (other != i && (step.Slices[other].StateOut == slice.StateOut || step.Slices[other].StateIn == slice.StateOut))
                    throw Bad($"{slice} writes a state that {step.Slices[other]} uses");
        }
    }

    private static void CheckSlice(in StepBatch step, StepSlice slice, KvCache cache)
    {
        if (slice.FirstBlock < 0 || slice.BlockCount < 0 || slice.BlockCount > step.BlockTables.Length - slice.FirstBlock)
            throw Bad($"{slice} reaches beyond the {step.BlockTables.Length} entries of the block tables");
        foreach (int block in step.BlockTables.Slice(slice.FirstBlock, slice.BlockCount))
            if (block < 0 || block >= cache.BlockCount)
                throw Bad($"block {block} is not among the {cache.BlockCount} of the cache");
        int first = step.Positions[slice.FirstRow];
        for (int i = 0; i < slice.RowCount; i++)
            if (step.Positions[slice.FirstRow + i] != first + i)
                throw Bad($"the positions of {slice} are not consecutive");
        if (first < 0 || first + (long)slice.RowCount > (long)slice.BlockCount * cache.BlockTokens)
            throw Bad($"positions {first} to {first + slice.RowCount - 1} do not fit {slice.BlockCount} blocks of {cache.BlockTokens} tokens");
    }

    private static ArgumentException Bad(FormattableString what) => new(FormattableString.Invariant(what));
}
