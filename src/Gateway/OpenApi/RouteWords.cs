using System.Collections.Immutable;

namespace Qanat.Gateway;

/// <summary>What the document says of a route. It stands where the route is mapped.</summary>
/// <param name="Tag">The heading it stands under.</param>
/// <param name="Summary">What it does, in a sentence.</param>
internal sealed record RouteWords(string Tag, string Summary)
{
    /// <summary>What its request may hold; null: no body is read.</summary>
    public Schema? Body { get; init; }

    public string BodyType { get; init; } = "application/json";

    public ImmutableArray<Field> Query { get; init; } = [];

    /// <summary>Headers of the request that mean something here.</summary>
    public ImmutableArray<Field> Headers { get; init; } = [];

    /// <summary>What it answers; null: it differs, or nobody wrote it down.</summary>
    public Schema? Answer { get; init; }

    public string AnswerType { get; init; } = "application/json";

    /// <summary>What it answers with 503 when that is no error but its answer; null: it never is.</summary>
    public Schema? Unready { get; init; }

    /// <summary>As what it answers when the request asks for a stream; null: it never does.</summary>
    public string? Streams { get; init; }

    /// <summary>It serves a call: the headers of its answer tell what that cost, and what is left of the caller's rates.</summary>
    public bool IsCharged { get; init; }
}

/// <summary>The headings of the document.</summary>
internal static class Tags
{
    public const string OpenAi = "OpenAI", Responses = "Responses", Batches = "Files and batches", Anthropic = "Anthropic", DashScope = "DashScope", Ollama = "Ollama";
    public const string Directory = "Tenants, projects and keys", Limits = "Limits and alerts", Prices = "Prices", Costs = "Costs", Upstreams = "Upstreams", Kept = "Kept prompts and answers", Usage = "Usage",
        Books = "Books", Invoices = "Contracts and invoices", Server = "The server";
}

/// <summary>Parameters of queries that several routes have.</summary>
internal static class Asked
{
    public static Field From { get; } = Field.May("from", Schema.Time("The beginning of the period, which is in it; without it, all from the first on"));
    public static Field To { get; } = Field.May("to", Schema.Time("The end of the period, which is no longer in it; without it, all up to now"));
    public static Field At { get; } = Field.May("at", Schema.Time("The moment before which everything counts; without it, now"));
    public static Field Tenant { get; } = Field.May("tenant", Schema.Text("A tenant by its id or name; without it, all that you may see"));
    public static Field By { get; } = Field.May("by", Schema.Text("One or more of tenant, project, model, pool, day and hour, separated by commas"));

    public static Field Limit(int standard, int most) => Field.May("limit", Schema.Integer("How many at most", 1, most).Defaults(standard));

    /// <summary>As OpenAI's lists are asked for.</summary>
    public static ImmutableArray<Field> Page(int standard, int most) =>
    [
        Limit(standard, most),
        Field.May("order", Schema.OneOf("By the time they were made", "desc", "asc").Defaults("desc")),
        Field.May("after", Schema.Text("The id that the page before ended with")),
    ];
}
