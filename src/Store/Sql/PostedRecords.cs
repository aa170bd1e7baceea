namespace Qanat.Store;

/// <summary>Which transaction sums up which record: a table of pairs beside the records, which therefore never change. Nearly all records are posted and the others are the newest,
/// so the store remembers up to which record there is no unposted one, and looks for unposted ones only after it.</summary>
internal static class PostedRecords
{
    /// <summary>A range of ids is read as a whole when it holds at most so many times the records that are looked for.</summary>
    private const int SparseMax = 4;

    /// <summary>Fewer records are looked up one by one.</summary>
    private const int DenseMin = 64;

    /// <summary>Condition: the record of this row is posted.</summary>
    public const string IsPosted = "EXISTS (SELECT 1 FROM posted WHERE record = no)";

    /// <summary>No record up to this number is unposted. Given as a value, it shows a planner how few records are left.</summary>
    public static long Through(SqlDatabase database) => database["SELECT record FROM posted_through"].Scalar()!.Value;

    /// <summary>The ids of a transaction's records.</summary>
    public static List<Guid> Of(SqlDatabase database, long transaction)
    {
        List<Guid> ids = [];
        Statement rows = database["SELECT id FROM usage WHERE no IN (SELECT record FROM posted WHERE txn = ?) ORDER BY id"].Add(transaction);
        while (rows.Step()) ids.Add(rows.Guid());
        rows.Reset();
        return ids;
    }

    /// <summary>The numbers of the records with these ids, as far as they are there. Records that are posted together began together, so that their ids mostly lie side by side.</summary>
    public static Dictionary<Guid, long> NumbersOf(SqlDatabase database, HashSet<Guid> ids)
    {
        Dictionary<Guid, long> numbers = new(ids.Count);
        if (ids.Count >= DenseMin)
        {
            int read = 0;
            Statement range = database["SELECT id, no FROM usage WHERE id >= ? AND id <= ? ORDER BY id LIMIT ?"].Add(ids.Min()).Add(ids.Max()).Add((long)ids.Count * SparseMax);
            while (range.Step())
            {
                Guid id = range.Guid();
                if (ids.Contains(id)) numbers[id] = range.Long();
                read++;
            }
            range.Reset();
            if (read < ids.Count * SparseMax) return numbers;
        }
        foreach (Statement row in database.WithIds("SELECT id, no FROM usage", ids)) numbers[row.Guid()] = row.Long();
        return numbers;
    }

    /// <summary>Moves the mark up to which all records are posted.</summary>
    public static void Advance(SqlDatabase database) => database["""
        UPDATE posted_through SET record = coalesce(
          (SELECT no FROM usage WHERE no > posted_through.record AND NOT EXISTS (SELECT 1 FROM posted WHERE posted.record = usage.no) ORDER BY no LIMIT 1) - 1,
          (SELECT max(no) FROM usage), 0)
        """].Run();
}
