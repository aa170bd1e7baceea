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
            Filter filter = FilterOf(reader, query, OwnerOf(query) is null ? "completed_at" : "+completed_at");
            return [.. Rows(reader, filter, $" WHERE no IN (SELECT no FROM usage{filter.Sql} {newest}) ORDER BY id DESC")];
        }
        // The plus keeps the planner from the index on time: it would sort the whole period.
        Filter inOrder = FilterOf(reader, query, "+completed_at").And("in_order = 1").And("id >= ?", IdTime.LowestFrom(query.Period.From)).And("id < ?", IdTime.Above(query.Period.To));
        Filter others = FilterOf(reader, query, "completed_at").And("in_order = 0");
        string page = $"SELECT no FROM (SELECT no FROM usage{inOrder.Sql} {newest}) AS in_order UNION ALL SELECT no FROM (SELECT no FROM usage{others.Sql} {newest}) AS others";
        inOrder.Take(others);
        return [.. Rows(reader, inOrder, $" WHERE no IN ({page}) {newest}")];
    }

    /// <summary>Oldest first, by completion.</summary>
    public static IEnumerable<UsageRecord> Stream(Reader reader, UsageQuery query)
    {
        if (reader.Database.KeepsUsageOfTenants && OwnerOf(query) is { } owner) return StreamOf(reader, owner, query);
        // A few unposted records are found by their numbers and then put in order; of very many it is better to walk the times.
        bool few = query.Posted == false && reader.Database["SELECT max(no) - (SELECT record FROM posted_through) FROM usage"].Scalar() is null or <= UnpostedSortedMax;
        if (few && reader.Database.IsInProcess) return RowsInOrder(reader, FilterOf(reader, query, "+completed_at"));
        Filter filter = FilterOf(reader, query, few ? "+completed_at" : "completed_at");
        return Rows(reader, filter, $"{filter.Sql} ORDER BY {(few ? "+completed_at" : "completed_at")}, id");
    }

    /// <summary>Numbers are put in order and not whole rows, which are then read one by one, as fast as they are asked for.</summary>
    private static IEnumerable<UsageRecord> RowsInOrder(Reader reader, Filter filter)
    {
        Statement numbers = filter.Bind(reader.Database.Streamed($"SELECT no FROM usage{filter.Sql} ORDER BY +completed_at, id"));
        while (numbers.Step())
        {
            Statement row = reader.Database[UsageRows.SelectOne].Add(numbers.Long());
            if (row.Step()) yield return UsageRows.Read(row, reader.Identities);
            row.Reset();
        }
        numbers.Reset();
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

    private static Filter FilterOf(Reader reader, UsageQuery query, string time)
    {
        Filter filter = new();
        // Without bounds on the time, the planner is free to walk the ids.
        if (query.Period != Period.All) filter.Within(time, query.Period);
        if (reader.Database.KeepsUsageOfTenants && OwnerOf(query) is { } owner)
        {
            string ofTenant = $"SELECT no FROM usage_of_tenants WHERE tenant = {owner.No} AND completed_at >= ? AND completed_at < ?";
            filter.And($"no IN ({ofTenant} UNION ALL SELECT no FROM usage WHERE no > ? AND +tenant = {owner.No})", owner.Id, query.Period.From, query.Period.To, UsageRollups.ThroughIn(reader.Database), owner.Id);
            filter.About(null, null, query.Model, query.Pool);
            if (query.Project is ProjectId project) filter.And("project = (SELECT no FROM projects WHERE id = ?)", project.Value);
        }
        else filter.About(query.Tenant, query.Project, query.Model, query.Pool);
        if (query.Transaction is TransactionId transaction) filter.And("no IN (SELECT record FROM posted WHERE txn = (SELECT no FROM transactions WHERE id = ?))", transaction.Value);
        if (query.Id is RequestId id) filter.And("id = ?", id.Value);
        if (query.Before is RequestId before) filter.And("id < ?", before.Value);
        if (query.Posted is true) filter.And(PostedRecords.IsPosted);
        if (query.Posted is false) filter.And("no > ? AND NOT " + PostedRecords.IsPosted, PostedRecords.Through(reader.Database));
        return filter;
    }

    /// <summary>As <see cref="Stream"/>, where records are written down by tenant: those, and the newest, which are not yet. Their numbers come in order, and each leads to its row.</summary>
    private static IEnumerable<UsageRecord> StreamOf(Reader reader, Owner owner, UsageQuery query)
    {
        Filter others = FilterOf(reader, query with { Tenant = null, Project = null, Period = Period.All }, "completed_at");
        if (query.Project is ProjectId project) others.And("project = (SELECT no FROM projects WHERE id = ?)", project.Value);
        string select = $"{UsageRows.Select}{others.Sql}{(others.Sql.Length == 0 ? " WHERE" : " AND")} no = ?";
        long through = UsageRollups.ThroughIn(reader.Database);
        Statement numbers = reader.Database.Streamed($"""
            SELECT no FROM (
              SELECT no, completed_at, id FROM usage_of_tenants WHERE tenant = {owner.No} AND completed_at >= ? AND completed_at < ? AND no <= ?
              UNION ALL SELECT no, completed_at, id FROM usage WHERE no > ? AND +tenant = {owner.No} AND +completed_at >= ? AND +completed_at < ?)
            ORDER BY completed_at, id
            """).Add(owner.Id).Add(query.Period.From).Add(query.Period.To).Add(through).Add(through).Add(owner.Id).Add(query.Period.From).Add(query.Period.To);
        while (numbers.Step())
        {
            Statement row = others.Bind(reader.Database[select]).Add(numbers.Long());
            if (row.Step()) yield return UsageRows.Read(row, reader.Identities);
            row.Reset();
        }
        numbers.Reset();
    }

    /// <summary>The tenant that a question is about, or whose project it is about.</summary>
    private static Owner? OwnerOf(UsageQuery query) => query.Tenant is TenantId tenant ? new Owner("(SELECT no FROM tenants WHERE id = ?)", tenant.Value)
        : query.Project is ProjectId project ? new Owner("(SELECT tenant FROM projects WHERE id = ?)", project.Value) : null;

    /// <param name="No">A query for its number, with the id as its value.</param>
    private sealed record Owner(string No, Guid Id);
}
