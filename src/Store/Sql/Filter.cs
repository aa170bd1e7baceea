using System.Text;
using Qanat.Books;

namespace Qanat.Store;

/// <summary>Conditions of a query and the values bound to them, in order. Ids are looked up in the query itself: an unknown one matches nothing.</summary>
internal sealed class Filter
{
    private readonly StringBuilder _sql = new();
    private readonly List<object> _values = [];

    /// <summary>" WHERE ..." or nothing.</summary>
    public string Sql => _sql.ToString();

    public Filter And(string condition, params ReadOnlySpan<object> values)
    {
        _sql.Append(_sql.Length == 0 ? " WHERE " : " AND ").Append(condition);
        foreach (object value in values) _values.Add(value);
        return this;
    }

    public Filter Within(string column, Period period) => And($"{column} >= ?", period.From).And($"{column} < ?", period.To);

    /// <param name="plus">"+" keeps the planner from an index on tenants.</param>
    public Filter About(TenantId? tenant, ProjectId? project, ModelName? model, PoolName? pool = null, string plus = "")
    {
        if (tenant is TenantId of) And(plus + "tenant = (SELECT no FROM tenants WHERE id = ?)", of.Value);
        // A project is its tenant's: naming the tenant too lets an index on tenants help.
        if (project is ProjectId its && tenant is null) And(plus + "tenant = (SELECT tenant FROM projects WHERE id = ?)", its.Value);
        if (project is ProjectId inside) And("project = (SELECT no FROM projects WHERE id = ?)", inside.Value);
        if (model is ModelName by) And("model = (SELECT no FROM names WHERE text = ?)", by.Value);
        if (pool is PoolName on) And("pool = (SELECT no FROM names WHERE text = ?)", on.Value);
        return this;
    }

    /// <summary>Takes over the values of another filter whose conditions stand in this one's text.</summary>
    public void Take(Filter other) => _values.AddRange(other._values);

    public Statement Bind(Statement statement)
    {
        foreach (object value in _values)
        {
            _ = value switch
            {
                long number => statement.Add(number),
                Instant at => statement.Add(at),
                Guid id => statement.Add(id),
                string text => statement.Add(text),
                _ => throw new InvalidOperationException($"A filter cannot hold a {value.GetType().Name}."),
            };
        }
        return statement;
    }
}
