using System.Collections.Immutable;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>All transactions with the records they sum up, for the check. Records of one hour lie side by side and belong to many postings, so that those of many postings are read together, in the order in which they lie.</summary>
internal static class PostingQueries
{
    /// <summary>Read together: about as many postings and records, if not those of a single posting are more.</summary>
    private const int PostingsAtOnce = 100, RecordsAtOnce = 4_000;

    /// <summary>Whose records are looked up with one question.</summary>
    private const int PostingsAsked = 50;

    /// <summary>A stretch of records is read as a whole when it holds at most so many times the records that are looked for.</summary>
    private const int SparseMax = 4;

    public static IEnumerable<Posting> Stream(Reader reader)
    {
        Statement transactions = reader.Database.Streamed("SELECT no FROM transactions ORDER BY at, id");
        bool more = true;
        while (more)
        {
            List<long> numbers = [];
            List<Place> places = [];
            while (more && numbers.Count < PostingsAtOnce && places.Count < RecordsAtOnce)
            {
                int first = numbers.Count;
                while (numbers.Count < first + PostingsAsked && (more = transactions.Step())) numbers.Add(transactions.Long());
                AddPlaces(reader, numbers[first..], places);
            }
            ImmutableArray<UsageRecord>.Builder[] records = Read(reader, numbers, places);
            Dictionary<long, Transaction> read = TransactionRows.ReadAll(reader, numbers);
            for (int index = 0; index < numbers.Count; index++)
            {
                ImmutableArray<UsageRecord> its = records[index].DrainToImmutable();
                yield return new Posting(read[numbers[index]], [.. its.Select(record => record.Id)], its);
            }
        }
        transactions.Reset();
    }

    private static void AddPlaces(Reader reader, List<long> numbers, List<Place> places)
    {
        foreach (Statement pair in reader.Database.WithNumbers("SELECT record, txn FROM posted", "txn", numbers)) places.Add(new Place(pair.Long(), pair.Long()));
    }

    /// <summary>The records of each posting, by number.</summary>
    private static ImmutableArray<UsageRecord>.Builder[] Read(Reader reader, List<long> numbers, List<Place> places)
    {
        ImmutableArray<UsageRecord>.Builder[] records = [.. numbers.Select(_ => ImmutableArray.CreateBuilder<UsageRecord>())];
        if (places.Count == 0) return records;
        Dictionary<long, int> indexOf = [];
        for (int index = 0; index < numbers.Count; index++) indexOf[numbers[index]] = index;
        places.Sort(static (one, other) => one.Record.CompareTo(other.Record));
        (long from, long to) = (places[0].Record, places[^1].Record);
        IEnumerable<Statement> rows = to - from < (long)places.Count * SparseMax ? Stretch(reader, from, to)
            : reader.Database.WithNumbers(Select, "no", [.. places.Select(place => place.Record)], "ORDER BY no");
        int next = 0;
        foreach (Statement row in rows)
        {
            long no = row.Long();
            while (next < places.Count && places[next].Record < no) next++;
            if (next < places.Count && places[next].Record == no) records[indexOf[places[next].Transaction]].Add(UsageRows.Read(row, reader.Identities));
        }
        return records;
    }

    private static IEnumerable<Statement> Stretch(Reader reader, long from, long to)
    {
        Statement rows = reader.Database.Streamed(Select + " WHERE no BETWEEN ? AND ? ORDER BY no").Add(from).Add(to);
        while (rows.Step()) yield return rows;
        rows.Reset();
    }

    private const string Select = $"SELECT no, {UsageRows.Columns} FROM usage";

    /// <summary>Which transaction sums up the record with a number.</summary>
    private readonly record struct Place(long Record, long Transaction);
}
