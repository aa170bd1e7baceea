using System.Collections.Immutable;
using System.Globalization;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>Usage records and open holds. A record belongs to the period of its completion.</summary>
internal static class UsageQueries
{
    private const long UnpostedSortedMax = 100_000;

    /// <summary>Newest first, by id. The inner query finds the page before whole rows are read.</summary>
    public static ImmutableArray<UsageRecord> Page(Reader reader, UsageQuery query)
    {
        string newest = $"ORDER BY id DESC LIMIT {Math.Max(0, query.Limit).ToString(CultureInfo.InvariantCulture)}";
        // An index leads to few rows of the period, or there is no period: one query finds the page. Otherwise, as for all requests of a month, walk down the ids.
        bool walk = query.Period != Period.All && (query.Tenant, query.Project, query.Transaction, query.Id) == default && query.Posted != false;
        if (!walk)
        {
            Filter filter = FilterOf(query, "completed_at");
            return [.. Rows(reader, filter, $" WHERE no IN (SELECT no FROM usage{filter.Sql} {newest}) ORDER BY id DESC")];
        }
        // The plus keeps the planner from the index on time: it would sort the whole period.
        Filter inOrder = FilterOf(query, "+completed_at").And("in_order = 1").And("id >= ?", IdTime.LowestFrom(query.Period.From)).And("id < ?", IdTime.Above(query.Period.To));
        Filter others = FilterOf(query, "completed_at").And("in_order = 0");
        string page = $"SELECT no FROM (SELECT no FROM usage{inOrder.Sql} {newest}) AS in_order UNION ALL SELECT no FROM (SELECT no FROM usage{others.Sql} {newest}) AS others";
        inOrder.Take(others);
        return [.. Rows(reader, inOrder, $" WHERE no IN ({page}) {newest}")];
    }

    /// <summary>Oldest first, by completion.</summary>
    public static IEnumerable<UsageRecord> Stream(Reader reader, UsageQuery query)
    {
        // A few unposted records are found by their numbers and then put in order; of very many it is better to walk the times.
        bool few = query.Posted == false && reader.Database["SELECT max(no) - (SELECT record FROM posted_through) FROM usage"].Scalar() is null or <= UnpostedSortedMax;
        Filter filter = FilterOf(query, few ? "+completed_at" : "completed_at");
        return Rows(reader, filter, $"{filter.Sql} ORDER BY {(few ? "+completed_at" : "completed_at")}, id");
    }

    public static ImmutableArray<OpenHold> OpenHolds(Reader reader) => reader.All(HoldRows.SelectAll, HoldRows.Read);

    public static ImmutableArray<RequestId> PostedBy(Reader reader, TransactionId transaction)
    {
        ImmutableArray<RequestId>.Builder ids = ImmutableArray.CreateBuilder<RequestId>();
        if (reader.Database["SELECT no FROM transactions WHERE id = ?"].Add(transaction.Value).Scalar() is long no)
            foreach (Guid id in PostedRecords.Of(reader.Database, no)) ids.Add(new RequestId(id));
        return ids.ToImmutable();
    }

    private static IEnumerable<UsageRecord> Rows(Reader reader, Filter filter, string rest)
    {
        Statement rows = filter.Bind(reader.Database.Streamed(UsageRows.Select + rest));
        while (rows.Step()) yield return UsageRows.Read(rows, reader.Identities);
        rows.Reset();
    }

    private static Filter FilterOf(UsageQuery query, string time)
    {
        Filter filter = new();
        // Without bounds on the time, the planner is free to walk the ids.
        if (query.Period != Period.All) filter.Within(time, query.Period);
        filter.About(query.Tenant, query.Project, query.Model);
        if (query.Transaction is TransactionId transaction) filter.And("no IN (SELECT record FROM posted WHERE txn = (SELECT no FROM transactions WHERE id = ?))", transaction.Value);
        if (query.Id is RequestId id) filter.And("id = ?", id.Value);
        if (query.Before is RequestId before) filter.And("id < ?", before.Value);
        if (query.Posted is bool posted) filter.And(posted ? PostedRecords.IsPosted : PostedRecords.IsUnposted);
        return filter;
    }
}
